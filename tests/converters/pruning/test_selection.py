from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from converters.pruning.analysis import analyse
from converters.pruning.graph import ChannelGraph, Kept
from converters.pruning.selection import Rules, Selection
from edgeres.errors import ConfigError
from tests.converters.pruning import networks
from tests.converters.pruning.networks import built


@pytest.fixture(scope="module")
def graph() -> ChannelGraph:
    """Groups stem (a stream of 16), one_conv1 and two_conv1 (24 each)."""
    return analyse(built(networks.residual))


def rising(graph: ChannelGraph) -> Any:
    """Scores that rise with the channel's number."""
    return np.arange(graph.count, dtype=float)


def widths(graph: ChannelGraph, kept: Kept) -> list[int]:
    return [int(kept[group.channels].sum()) for group in graph.groups]


@pytest.mark.parametrize(
    ("share", "multiple", "floor", "expected"),
    [
        (1.0, 8, 0.0, [16, 24, 24]),
        (0.5, 8, 0.0, [8, 16, 16]),
        (0.5, 1, 0.0, [8, 12, 12]),
        (0.0, 8, 0.0, [8, 8, 8]),
        (0.0, 1, 0.0, [1, 1, 1]),
        (0.0, 1, 0.25, [4, 6, 6]),
        (0.9, 32, 0.0, [16, 24, 24]),
        (0.3, 5, 0.0, [5, 5, 5]),
    ],
)
def test_a_share_becomes_widths_that_kernels_like(
    graph: ChannelGraph, share: float, multiple: int, floor: float, expected: list[int]
) -> None:
    selection = Selection(graph, rising(graph), Rules(multiple=multiple, floor=floor))
    assert widths(graph, selection.share(share)) == expected


def test_the_best_stay(graph: ChannelGraph) -> None:
    kept = Selection(graph, rising(graph), Rules(multiple=4)).share(0.5)
    for group in graph.groups:
        assert sorted(np.flatnonzero(kept[group.channels])) == list(range(group.size // 2, group.size))


def test_of_equal_channels_the_first_stay(graph: ChannelGraph) -> None:
    kept = Selection(graph, np.ones(graph.count), Rules()).share(0.5)
    assert kept[graph.groups[0].channels].tolist() == [True] * 8 + [False] * 8


def test_global_ranking_takes_from_where_scores_are_low(graph: ChannelGraph) -> None:
    scores = np.ones(graph.count)
    scores[graph.groups[1].channels] = 0.1
    kept = Selection(graph, scores, Rules(ranking="global", multiple=4, floor=0.0)).share(40 / 64)
    assert widths(graph, kept) == [16, 4, 24]


def test_of_equal_channels_no_more_stay_than_are_wanted(graph: ChannelGraph) -> None:
    rules = Rules(ranking="global", multiple=1, floor=0.0)
    kept = Selection(graph, np.ones(graph.count), rules).share(0.5)
    assert widths(graph, kept) == [16, 16, 1]  # in the order of the groups; no group goes altogether


def test_shares_are_of_what_there_was_in_the_first_round(graph: ChannelGraph) -> None:
    sizes = {group.name: 2 * group.size for group in graph.groups}
    selection = Selection(graph, rising(graph), Rules(multiple=1, floor=0.3), sizes=sizes)
    assert widths(graph, selection.share(0.4)) == [13, 19, 19]
    assert widths(graph, selection.share(0.6)) == [16, 24, 24]
    assert widths(graph, selection.share(0.0)) == [10, 15, 15]


def test_inside_of_blocks_only(graph: ChannelGraph) -> None:
    kept = Selection(graph, rising(graph), Rules(scope="internal")).share(0.3)
    assert widths(graph, kept) == [16, 8, 8]


def test_groups_have_shares_of_their_own(graph: ChannelGraph) -> None:
    rules = Rules(keep={"*conv2": 0.5, "one_*": 1.0}, multiple=4)
    assert widths(graph, Selection(graph, rising(graph), rules).share(0.34)) == [8, 24, 8]


def test_a_pattern_that_matches_nothing_is_an_error(graph: ChannelGraph) -> None:
    with pytest.raises(ConfigError, match="'stemm' is no layer whose channels can go") as caught:
        Selection(graph, rising(graph), Rules(keep={"stemm": 0.5}))
    assert caught.value.fix == "did you mean 'stem'?"


@pytest.mark.parametrize("ranking", ["uniform", "global"])
@pytest.mark.parametrize("share", [0.9, 0.5, 0.31])
def test_a_budget_is_met_and_used(graph: ChannelGraph, ranking: Any, share: float) -> None:
    whole = graph.macs(graph.everything())
    rules = Rules(multiple=2, floor=0.0, ranking=ranking)
    kept = Selection(graph, rising(graph), rules).within(share * whole, graph.macs, what="MACs")
    assert graph.macs(kept) <= share * whole
    for group in graph.groups:
        wider = kept.copy()
        wider[group.channels[np.flatnonzero(~kept[group.channels])[:2]]] = True
        assert kept[group.channels].all() or graph.macs(wider) > share * whole


def test_a_budget_for_everything_takes_nothing(graph: ChannelGraph) -> None:
    whole = graph.macs(graph.everything())
    assert Selection(graph, rising(graph), Rules()).within(whole, graph.macs, what="MACs").all()


def test_a_budget_out_of_reach_says_what_can_be_reached(graph: ChannelGraph) -> None:
    selection = Selection(graph, rising(graph), Rules())
    least = graph.macs(selection.share(0.0))
    with pytest.raises(ConfigError, match=f"the smallest that the rules allow has {least:,.6g}") as caught:
        selection.within(1000, graph.macs, what="MACs")
    share = float(str(caught.value.fix).split()[2])
    assert least <= share * graph.macs(graph.everything()) <= 1.02 * least
