"""Gates as JUnit XML, which CI servers show as tests: a test case for each gate."""

from __future__ import annotations

from xml.etree import ElementTree  # nosec B405

from edgeres.printable import clean
from edgeres.report.wording import interval, number
from edgeres.results import Estimate
from targets.gates import Checked, Gate


def junit(checked: Checked) -> str:
    """The XML document; a gate that is not passed is a failure of type `missed` or `inconclusive`."""
    failing = sum(gate.outcome != "passed" for gate in checked.gates)
    counts = {"name": "edgeres check", "tests": str(len(checked.gates)), "failures": str(failing), "errors": "0"}
    root = ElementTree.Element("testsuites", counts)
    suite = ElementTree.SubElement(root, "testsuite", counts)
    for gate in checked.gates:
        case = ElementTree.SubElement(suite, "testcase", classname=_text(gate.artifact), name=_text(title(gate)))
        if gate.outcome != "passed":
            message = _text(f"{gate.outcome}: {amount(gate)}")
            failure = ElementTree.SubElement(case, "failure", type=gate.outcome, message=message)
            failure.text = _text("; ".join(filter(None, (gate.result, gate.decide))))
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(root, encoding="unicode")}\n'


def title(gate: Gate) -> str:
    """The gate with its limit and, where known, its target."""
    where = f" on {gate.target}" if gate.target and gate.gate != "max-size" else ""
    return f"{gate.gate} {limit(gate)}{where}"


def limit(gate: Gate) -> str:
    """The limit with its unit."""
    return _with_unit(f"{gate.limit:,}" if gate.unit == "bytes" else f"{gate.limit:g}", gate.unit)


def amount(gate: Gate) -> str:
    """What was found, with its interval where it has one."""
    if gate.found is None:
        return "not measured"
    if isinstance(gate.found, Estimate):
        return interval(gate.found, _with_unit("", gate.unit), decimals=None if gate.unit == "ms" else 2)
    return _with_unit(number(gate.found, 0), gate.unit)


def _with_unit(text: str, unit: str) -> str:
    return f"{text}{unit}" if unit == "x" else f"{text} {unit}"


def _text(text: str) -> str:
    """Text without the characters that XML 1.0 has no way to write."""
    return "".join(
        "\N{REPLACEMENT CHARACTER}" if ord(character) & 0xFFFE == 0xFFFE else character for character in clean(text)
    )
