"""What a pruned network is to cost, and the channels that come nearest to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from converters.pruning.analysis import analyse
from converters.pruning.graph import ChannelGraph, Kept
from converters.pruning.latency_goal import LatencyMeter, within_latency
from converters.pruning.selection import Selection, sizes_of
from converters.steps import SlimStep
from edgeres.models.cost import peak_activations

_WORDS = {"macs": "MACs", "parameters": "parameters", "arena": "activation values alive at once"}


@dataclass(frozen=True)
class Goal:
    """`of` brought down to `share` of the `total` that the whole network has; `sizes` are those of its groups.

    For "channels", that share of each group, or of all, is kept; for "latency" it is measured; the others are counted.
    Reached in `rounds`, each of which takes the same factor off.
    """

    of: str
    share: float
    total: float
    sizes: Mapping[str, int]
    rounds: int

    @classmethod
    def of_step(cls, settings: SlimStep, model: Any) -> Goal:
        """The goal of a step for a model as it is before the first round."""
        of, share = settings.goal
        graph = analyse(model)
        total = count(model, graph, graph.everything(), of) if of in _WORDS else 1.0
        return cls(of, share, total, sizes_of(graph), settings.rounds)

    def chosen(self, number: int, model: Any, graph: ChannelGraph, selection: Selection, meter: LatencyMeter) -> Kept:
        """The channels to keep in a round, from 1.

        Raises:
            ConfigError: the budget cannot be met; says what can.
        """
        if self.of == "channels":
            return selection.share(self.share ** (number / self.rounds))
        if self.of == "latency":
            return within_latency(model, graph, selection, self.share, meter)

        def cost(kept: Kept) -> float:
            return count(model, graph, kept, self.of)

        budget = self.total * self.share ** (number / self.rounds)
        return selection.within(budget, cost, what=_WORDS[self.of], whole=self.total)


def count(model: Any, graph: ChannelGraph, kept: Kept, of: str) -> float:
    """What a network with these channels has of "macs", "parameters" or "arena" (activation values alive at once)."""
    if of == "macs":
        return graph.macs(kept)
    if of == "parameters":
        return graph.parameters(kept)
    return peak_activations(model, smaller=graph.activations(kept))
