from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from targets.gates import Gate, Limits, check
from targets.junit import amount, junit, limit
from tests.targets import measured
from tests.targets.measured import compared


def test_a_gate_is_a_test_case_and_what_is_not_passed_a_failure() -> None:
    limits = Limits(max_drop=1.0, min_speedup=3.0, max_latency_ms=1.0, max_size=1000)
    root = ElementTree.fromstring(junit(check([(Path("r.json"), compared())], limits)))  # noqa: S314 - ours
    assert (root.tag, root.get("tests"), root.get("failures"), root.get("errors")) == ("testsuites", "4", "2", "0")
    cases = root.findall("testsuite/testcase")
    assert [case.get("classname") for case in cases] == ["int8"] * 4
    assert [case.get("name", "").split()[0] for case in cases] == [
        "max-drop",
        "min-speedup",
        "max-latency-ms",
        "max-size",
    ]
    failures = [case.find("failure") for case in cases]
    assert [None if each is None else each.get("type") for each in failures] == [None, "missed", "inconclusive", None]
    assert failures[2] is not None
    assert "rounds instead of 30" in (failures[2].text or "")


def test_a_name_of_hostile_characters_stays_text() -> None:
    name = '<failure/>&"]]>\x00\x1b\ud800\ufffe\n'
    found = measured.result(measured.artifact("plain"))
    checked = check([(Path("r.json"), found)], Limits(max_size=1))
    text = junit(type(checked)((Gate("max-size", name, 1, "bytes", "missed", 1000),), passed=False))
    root = ElementTree.fromstring(text.encode("utf-8"))  # noqa: S314 - ours
    assert root.find("testsuite/testcase").get("classname") == '<failure/>&"]]>' + "\N{REPLACEMENT CHARACTER}" * 5  # type: ignore[union-attr]
    assert len(root.findall(".//failure")) == 1


def test_limits_and_amounts_carry_their_units() -> None:
    gates = check([(Path("r.json"), compared())], Limits(max_drop=1.0, min_speedup=1.5, max_size=2000)).gates
    assert [limit(gate) for gate in gates] == ["1 points", "1.5x", "2,000 bytes"]
    assert amount(gates[0]).startswith("0.00 points [")
    assert amount(gates[1]).partition(" ")[0].endswith("x")
    assert amount(gates[2]) == "1,000 bytes"
    assert amount(Gate("max-drop", "a", 1, "points", "inconclusive")) == "not measured"
