"""What a phone prints, read as what it is, and never an exception where it is something else."""

from __future__ import annotations

import pytest

from targets.devices import phone

HUGE = "9" * 5000
"""More digits than Python reads."""

NONSENSE = (
    *(
        "",
        "\n",
        " ",
        "cat: /proc/uptime: Permission denied",
        "nan",
        "inf",
        "-1",
        "1e5",
        "1.2.3",
        "²",
        "٣",
        HUGE,
        "\x00",
    ),
    *(f"some avg10=0.00 total={HUGE}", "some total=x", f"MemTotal: {HUGE} kB", f"level: {HUGE}\ntemperature: -{HUGE}"),
    *(f"Thermal Status: {HUGE}", "Thermal Status: -1", "Filesystem\n/dev/x 1 2 free", f"a b c {HUGE}"),
)


def test_numbers_are_read() -> None:
    text = "35.27 60.10\nsome avg10=0.00 avg60=0.00 avg300=0.00 total=1500000\nfull avg10=0.00 total=9\n"
    assert phone.clock_s(text) == 35.27
    assert phone.waited_s(text) == 1.5
    assert phone.free_bytes("Filesystem 1K-blocks Used Available\n/dev/x 10 4 6 40% /data") == 6144
    assert phone.thermal_name("Thermal Status: 2") == "moderate"
    assert phone.battery("  level: 80\n  temperature: -15") == {"percent": 80, "celsius": -1.5, "charging": False}
    state = {"memory": "MemTotal:   1024 kB", "cores": "8\n", "load": "0.52 0.4 0.3 1/99 7"}
    found = phone.environment(state)
    assert (found["memory_bytes"], found["cores"], found["load"]) == (1 << 20, 8, 0.52)


@pytest.mark.parametrize("text", NONSENSE)
def test_nonsense_is_not_known(text: str) -> None:
    assert phone.clock_s(text) is None
    assert phone.waited_s(text) is None
    assert phone.free_bytes(text) is None
    assert phone.thermal_status(text) is None
    assert phone.battery(text) is None
    names = ("cores", "load", "memory", "thermal", "battery", "power")
    found = phone.environment(dict.fromkeys(names, text))
    assert not {"cores", "load", "memory_bytes", "thermal", "battery", "screen"} & set(found)
