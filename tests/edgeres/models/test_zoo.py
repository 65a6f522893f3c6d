"""Every network of the zoo: what it costs is what its paper says and what `figures.json` keeps."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from pathlib import Path

import pytest

from edgeres.errors import ConfigError
from edgeres.models import MODELS, find_network
from edgeres.models.cost import Cost, measure
from edgeres.models.figures import Figures, read_figures
from tests.golden import Golden

FIGURES = Path(str(files("edgeres.models").joinpath("figures.json")))
PARAMETERS = {
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "resnet152": 60_192_808,
    "resnet20": 272_474,
}
GIGA_MACS = {"resnet18": 1.82, "resnet34": 3.67, "resnet50": 4.09, "resnet101": 7.80, "resnet152": 11.51}
ALL = [pytest.param(name, marks=pytest.mark.slow) if name == "resnet152" else name for name in MODELS]


@cache
def cost(name: str) -> Cost:
    return measure(find_network(name).build())


@pytest.mark.parametrize("name", ALL)
def test_what_it_costs_is_what_the_figures_say(name: str, golden: Golden) -> None:
    found, network = cost(name), find_network(name)
    row = Figures(
        found.name,
        found.parameters,
        found.macs,
        found.size_bytes,
        found.arena_bytes,
        found.input,
        network.paper,
        network.published,
    )
    golden.check(FIGURES, row, row=name)


@pytest.mark.parametrize("name", ALL)
def test_parameters_and_multiplications_are_those_of_the_paper(name: str) -> None:
    found = cost(name)
    if name in PARAMETERS:
        assert found.parameters == PARAMETERS[name]
    if name in GIGA_MACS:
        assert found.macs == pytest.approx(GIGA_MACS[name] * 1e9, rel=0.01)
    assert found.parameters == sum(layer.parameters for layer in found.layers)
    assert found.macs == sum(layer.macs for layer in found.layers)


@pytest.mark.parametrize("name", ALL)
def test_a_depth_counts_the_layers_with_weights_on_the_longest_path(name: str) -> None:
    weighted = [layer.name for layer in cost(name).layers if layer.macs and "shortcut" not in layer.name]
    assert len(weighted) == int(name.removeprefix("resnet"))


def test_the_figures_are_those_of_the_whole_zoo_in_its_order() -> None:
    assert [row.name for row in read_figures()] == list(MODELS)


def test_an_unknown_network_is_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="unknown network 'resnet51'") as caught:
        find_network("resnet51")
    assert caught.value.fix == "did you mean 'resnet50'?" or "resnet5" in str(caught.value.fix)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"width": 0.01}, "width 0.01 gives resnet8 a first stage of 0 maps; expected 2…4096"),
        ({"width": 1e6}, "first stage of 16000000 maps"),
        ({"width": -1}, "first stage of -16 maps"),
        ({"width": float("nan")}, "width nan"),
        ({"width": float("inf")}, "width inf"),
        ({"classes": 1}, "classes must be in 2…100000, found 1"),
        ({"classes": 0}, "classes must be in 2…100000, found 0"),
        ({"classes": 100_001}, "classes must be in"),
        ({"input_size": 15}, "input_size must be in 16…4096, found 15"),
        ({"input_size": 0}, "input_size must be in"),
        ({"input_size": 4097}, "input_size must be in"),
    ],
)
def test_arguments_that_give_no_network_are_refused(arguments: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        find_network("resnet8").build(**arguments)  # type: ignore[arg-type]
    assert message in str(caught.value)
