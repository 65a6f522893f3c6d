"""What a pruned network is to cost, and the channels that come nearest to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from converters.pruning.graph import ChannelGraph, Kept, analyse
from converters.pruning.latency_goal import LatencyMeter, within_latency
from converters.pruning.selection import Selection
from converters.recipe import SlimStep
from edgeres.models.cost import peak_activations

_WORDS = {"macs": "MACs", "parameters": "parameters", "arena": "activation values alive at once"}


@dataclass(frozen=True)
class Goal:
    """`of` brought down to `share` of the `total` that the whole network has.

    For "channels", that share of each group, or of all, is kept; for "latency" it is measured; the others are counted.
    Reached in `rounds`, each of which takes the same factor off.
    """

    of: str
    share: float
    total: float
    rounds: int

    @classmethod
    def of_step(cls, settings: SlimStep, model: Any) -> Goal:
        """The goal of a step for a model as it is before the first round."""
        of, share = settings.goal
        total = 1.0
        if of in _WORDS:
            graph = analyse(model)
            total = count(model, graph, graph.everything(), of)
        return cls(of, share, total, settings.rounds)

    def chosen(self, number: int, model: Any, graph: ChannelGraph, selection: Selection, meter: LatencyMeter) -> Kept:
        """The channels to keep in a round, from 1.

        Raises:
            ConfigError: the budget cannot be met; says what can.
        """
        if self.of == "channels":
            return selection.share(self.share ** (1 / self.rounds))
        if self.of == "latency":
            return within_latency(model, graph, selection, self.share, meter)

        def cost(kept: Kept) -> float:
            return count(model, graph, kept, self.of)

        return selection.within(self.total * self.share ** (number / self.rounds), cost, what=_WORDS[self.of])


def count(model: Any, graph: ChannelGraph, kept: Kept, of: str) -> float:
    """What a network with these channels has of "macs", "parameters" or "arena" (activation values alive at once)."""
    if of == "macs":
        return graph.macs(kept)
    if of == "parameters":
        return graph.parameters(kept)
    return peak_activations(model, smaller=graph.activations(kept))
