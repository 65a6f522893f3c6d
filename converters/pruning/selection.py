"""Which channels stay: by score, to a share of every group or of all channels together, or until a budget is met."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Literal

import numpy as np

from converters.pruning.criteria import Scores
from converters.pruning.graph import ChannelGraph, ChannelGroup, Channels, Kept
from edgeres.errors import ConfigError, suggestion

Cost = Callable[[Kept], float]
"""What a network with these channels costs; fewer channels never cost more."""

_HALVINGS = 24


@dataclass(frozen=True)
class Rules:
    """What may be removed.

    `multiple`: of which a group's width must be one, unless the group stays whole. `floor`: share of each group that
    stays in any case. `scope`: "internal" leaves alone the channels that a sum joins. `ranking`: "uniform" takes the
    same share of every group, "global" ranks all channels together. `keep`: the share of the groups of those layers
    whose name matches a pattern (fnmatch), whatever the others get; the first that matches counts.
    """

    multiple: int = 8
    floor: float = 0.1
    scope: Literal["all", "internal"] = "all"
    ranking: Literal["uniform", "global"] = "uniform"
    keep: Mapping[str, float] = field(default_factory=dict)


class Selection:
    """Chooses channels of a graph by their scores, within rules.

    `sizes`: how many channels each group, by name, had before any of it was removed, where that was in earlier rounds:
    of these are all shares.

    Raises:
        ConfigError: a pattern of `rules.keep` that matches no layer.
    """

    def __init__(
        self, graph: ChannelGraph, scores: Scores, rules: Rules, *, sizes: Mapping[str, int] | None = None
    ) -> None:
        self._graph, self._scores, self._rules = graph, scores, rules
        self._sizes = sizes or sizes_of(graph)
        self._given = {group.name: share for group in graph.groups if (share := _given(group, rules)) is not None}
        self._free = [group for group in removable(graph, rules) if group.name not in self._given]
        # The best first; of equal ones the earlier, so that the choice does not depend on the sorting.
        self._order = {
            group.name: group.channels[np.argsort(-scores[group.channels], kind="stable")] for group in graph.groups
        }

    def share(self, share: float) -> Kept:
        """Keep this share of the channels that may be removed: 1 keeps all of them, 0 as few as the rules allow."""
        widths = self._uniform(share) if self._rules.ranking == "uniform" else self._global(share)
        return self._kept(widths)

    def within(self, budget: float, cost: Cost, *, what: str, whole: float | None = None) -> Kept:
        """Keep as much as costs no more than `budget`; `what` names what is counted.

        `whole`: what the network cost before any of it was removed, of which an error gives the share.

        Raises:
            ConfigError: even the smallest network costs more; says how much it costs.
        """
        least = cost(self.share(0.0))
        if least > budget:
            whole = cost(self._graph.everything()) if whole is None else whole
            raise ConfigError(
                f"the network cannot be brought from {whole:,.6g} {what} down to {budget:,.6g}: the smallest that the "
                f"rules allow has {least:,.6g}",
                fix=f"ask for {math.ceil(1000 * least / whole) / 1000} or more, or lower slim.floor or slim.multiple",
            )
        low, high = 0.0, 1.0
        if cost(self.share(high)) <= budget:
            return self.share(high)
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            low, high = (middle, high) if cost(self.share(middle)) <= budget else (low, middle)
        return self._filled(self.share(low), budget, cost)

    def _uniform(self, share: float) -> dict[str, int]:
        return {group.name: self._width(group, share * self._sizes[group.name]) for group in self._free}

    def _global(self, share: float) -> dict[str, int]:
        """As many of each group as are among the best of all."""
        if not self._free:
            return {}
        channels = np.concatenate([self._order[group.name] for group in self._free])
        count = round(share * sum(self._sizes[group.name] for group in self._free))
        best = channels[np.argsort(-self._scores[channels], kind="stable")[:count]]
        return {group.name: self._width(group, float(np.isin(group.channels, best).sum())) for group in self._free}

    def _width(self, group: ChannelGroup, wanted: float) -> int:
        """The allowed width nearest to the wanted one."""
        multiple = self._rules.multiple
        least = max(multiple, multiple * math.ceil(self._rules.floor * self._sizes[group.name] / multiple))
        if wanted >= group.size:
            return group.size
        return min(group.size, max(least, multiple * int(wanted / multiple + 0.5)))

    def _kept(self, widths: Mapping[str, int]) -> Kept:
        kept = self._graph.everything()
        for group in self._graph.groups:
            width = widths.get(group.name)
            if group.name in self._given:
                width = self._width(group, self._given[group.name] * self._sizes[group.name])
            if width is not None:
                kept[self._order[group.name][width:]] = False
        return kept

    def _filled(self, kept: Kept, budget: float, cost: Cost) -> Kept:
        """Give back what still fits: widths come in steps, and equal shares leave some of the budget."""
        full: set[str] = set()
        while True:
            steps = {
                g.name: self._next(g, kept) for g in self._free if g.name not in full and not kept[g.channels].all()
            }
            if not steps:
                return kept
            name = max(steps, key=lambda name: float(self._scores[steps[name]].mean()))
            kept[steps[name]] = True
            if cost(kept) > budget:
                kept[steps[name]] = False
                full.add(name)

    def _next(self, group: ChannelGroup, kept: Kept) -> Channels:
        """The best of a group's channels that are gone, as many as the next width has more."""
        order = self._order[group.name]
        return order[~kept[order]][: self._rules.multiple]


def sizes_of(graph: ChannelGraph) -> dict[str, int]:
    """How many channels each group has, by its name."""
    return {group.name: group.size for group in graph.groups}


def removable(graph: ChannelGraph, rules: Rules) -> list[ChannelGroup]:
    """The groups of which the rules let channels go.

    Raises:
        ConfigError: a pattern of `rules.keep` that matches no layer.
    """
    _require_matches(graph, rules)
    given = {group.name: _given(group, rules) for group in graph.groups}
    return [
        group
        for group in graph.groups
        if (given[group.name] or 0) < 1 and (given[group.name] or rules.scope == "all" or not group.joined)
    ]


def _given(group: ChannelGroup, rules: Rules) -> float | None:
    """The share that `rules.keep` gives a group: that of the first pattern that matches one of its layers."""
    for pattern, share in rules.keep.items():
        if any(fnmatchcase(layer, pattern) for layer in group.producers):
            return share
    return None


def _require_matches(graph: ChannelGraph, rules: Rules) -> None:
    layers = [layer for group in graph.groups for layer in group.producers]
    for pattern in rules.keep:
        if not any(fnmatchcase(layer, pattern) for layer in layers):
            raise ConfigError(
                f"slim.groups: '{pattern}' is no layer whose channels can go", fix=suggestion(pattern, layers)
            )
