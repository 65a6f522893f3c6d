"""Every network of the zoo: what it costs is what its paper says and what `figures.json` keeps."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from pathlib import Path

import pytest

from edgeres.errors import ConfigError
from edgeres.models import MODELS, find_network, require_network
from edgeres.models.cost import Cost, measure
from edgeres.models.figures import Figures, read_figures
from edgeres.records import dump
from tests.golden import Golden

FIGURES = Path(str(files("edgeres.models").joinpath("figures.json")))
PARAMETERS = {
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "resnet152": 60_192_808,
    "resnet50v1": 25_557_032,
    "resnet20": 272_474,
    "resnet20-A": 269_722,  # 16 · 32 + 32 · 64 weights of projections less, and their batch norms
    "plain20": 269_722,
    "alexnet": 61_100_840,
    "vgg16": 138_357_544,
    "vgg19": 143_667_240,
    "densenetbc100": 769_162,
    "densenetbc100-dropout": 769_162,
    "densenet121": 7_978_856,
    "densenet169": 14_149_480,
    "densenet201": 20_013_928,
}
GIGA_MACS = {
    "resnet18": 1.82,
    "resnet34": 3.67,
    "resnet50": 4.09,
    "resnet101": 7.80,
    "resnet152": 11.51,
    "resnet50v1": 3.86,
    "resnet101v1": 7.58,
    "resnet152v1": 11.30,
    "vgg19": 19.6,
    "densenet121": 2.83,
}
DEEP = "resnet1202"
"""Takes minutes to build: its row is computed from those of shallower networks."""

SLOW = re.compile(r"resnet(34|50|101|110|152)v[12]|resnet1(01|52)|vgg19|plain34|densenet\w+")


def marked(name: str) -> object:
    return pytest.param(name, marks=pytest.mark.slow) if SLOW.match(name) else name


ALL = [marked(name) for name in MODELS if name != DEEP]


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


def test_a_thousand_layers_cost_as_many_blocks_more(golden: Golden) -> None:
    """A row of the table without building it: twelve layers more are a block more in each stage."""
    short, long, network = cost("resnet20"), cost("resnet32"), find_network(DEEP)
    blocks = (1202 - 20) / 12

    def grown(field: str) -> int:
        first, second = getattr(short, field), getattr(long, field)
        return round(first + blocks * (second - first))

    row = Figures(
        DEEP,
        grown("parameters"),
        grown("macs"),
        grown("size_bytes"),
        grown("arena_bytes"),
        short.input,
        network.paper,
        network.published,
    )
    assert row.parameters == 19_424_026
    golden.check(FIGURES, row, row=DEEP)


@pytest.mark.parametrize("name", [*ALL, "resnet20-A", marked("densenetbc100-dropout")])
def test_parameters_and_multiplications_are_those_of_the_paper(name: str) -> None:
    found = cost(name)
    if name in PARAMETERS:
        assert found.parameters == PARAMETERS[name]
    if name in GIGA_MACS:
        assert found.macs == pytest.approx(GIGA_MACS[name] * 1e9, rel=0.01)
    for parts in (found.layers, found.blocks):
        assert found.macs == sum(part.macs for part in parts)
        assert found.parameters == sum(part.parameters for part in parts)


@pytest.mark.parametrize("name", [name for name in ALL if name != "alexnet"])
def test_a_depth_counts_the_layers_with_weights_on_the_longest_path(name: str) -> None:
    weighted = [layer.name for layer in cost(name).layers if layer.macs and "shortcut" not in layer.name]
    assert len(weighted) == int(re.findall(r"\d+", name)[0])


def test_the_figures_are_those_of_the_whole_zoo_in_its_order(golden: Golden) -> None:
    if golden.update:
        rows = sorted(read_figures(), key=lambda row: list(MODELS).index(row.name))
        FIGURES.write_text(dump({"models": rows}), encoding="utf-8")
    assert [row.name for row in read_figures()] == list(MODELS)


def test_an_unknown_network_is_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="unknown network 'resnet51'") as caught:
        find_network("resnet51")
    assert caught.value.fix == "did you mean 'resnet50'?" or "resnet5" in str(caught.value.fix)


@pytest.mark.parametrize("name", ["resnet20-A", "resnet20-B", "resnet50v2-C", "densenet121-dropout", "vgg16"])
def test_a_name_with_a_suffix_is_a_network(name: str) -> None:
    require_network(name)
    network = find_network(name)
    assert network.name == name.removesuffix("-B")
    assert (network.published is None) == name.endswith(("-A", "-C", "-dropout"))


@pytest.mark.parametrize("name", ["plain20-A", "vgg16-dropout", "resnet20-D", "resnet20a", "resnet8v2", "-A", ""])
def test_a_suffix_that_a_network_does_not_have_is_refused(name: str) -> None:
    for refuse in (require_network, find_network):
        with pytest.raises(ConfigError, match="unknown network"):
            refuse(name)


@pytest.mark.parametrize(
    ("name", "size"), [("alexnet", 64), ("vgg16", 32), ("densenetbc100", 16), ("resnet18", 16), ("plain18", 16)]
)
def test_the_smallest_input_that_is_accepted_is_one_that_can_be_built(name: str, size: int) -> None:
    network = find_network(name)
    assert network.build(width=2 / network.width, input_size=size, classes=2).output_shape == (None, 2)
    with pytest.raises(ConfigError, match=f"input_size of {name} must be in {size}…4096, found {size - 1}"):
        network.build(input_size=size - 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"width": 0.01}, "width 0.01 gives resnet8 a first stage of 0 maps; expected 2…4096"),
        ({"width": 1e6}, "first stage of 16000000 maps"),
        ({"width": -1}, "first stage of -16 maps"),
        ({"width": float("nan")}, "width nan"),
        ({"width": float("inf")}, "width inf"),
        ({"classes": 1}, "classes of resnet8 must be in 2…100000, found 1"),
        ({"classes": 0}, "classes of resnet8 must be in 2…100000, found 0"),
        ({"classes": 100_001}, "classes of resnet8 must be in"),
        ({"input_size": 15}, "input_size of resnet8 must be in 16…4096, found 15"),
        ({"input_size": 0}, "input_size of resnet8 must be in"),
        ({"input_size": 4097}, "input_size of resnet8 must be in"),
    ],
)
def test_arguments_that_give_no_network_are_refused(arguments: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        find_network("resnet8").build(**arguments)  # type: ignore[arg-type]
    assert message in str(caught.value)
