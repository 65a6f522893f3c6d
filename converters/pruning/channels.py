"""Channel pruning: whole channels go, the network becomes smaller and faster, and what is left is fine-tuned.

Keras file ─ analyse ─▶ channel graph ─ score, choose ─▶ channels to keep ─ shrink, prove ─▶ smaller model ─ train ─▶
Keras file; at once, or in rounds each of which takes a part of what is to go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from converters.finetuning import gives_logits
from converters.job import Job, require_classes
from converters.pruning.analysis import analyse
from converters.pruning.criteria import Scores, scores
from converters.pruning.goal import Goal
from converters.pruning.graph import ChannelGraph
from converters.pruning.latency_goal import LatencyMeter
from converters.pruning.selection import Rules, Selection, removable
from converters.pruning.shrink import require_equal, shrink
from converters.pruning.tuning import fine_tuned, labelled_batches, timing_inputs
from converters.steps import SlimStep
from edgeres.keras_file import KerasFile, ModelCard, read_keras_file
from edgeres.keras_io import load_prunable, model_bytes, save_model
from edgeres.models.cost import trainable_parameters
from edgeres.native_output import muted
from targets.catalogue import find_target

Record = Mapping[str, tuple[int, ...]]
"""Layer -> the positions, in the model that was pruned, of the outputs that it kept; other layers kept all."""


@dataclass(frozen=True)
class Slimmed:
    """A smaller model, and which channels of the larger one are in it."""

    model: Any
    kept: Record


def slim(file: KerasFile, settings: SlimStep, job: Job, state: Path) -> Slimmed:
    """Prune the channels of the model in a file, and fine-tune what is left.

    `state`: the folder from which a killed run goes on.

    Raises:
        ModelError: a model or layer whose channels cannot be followed; a loss that became NaN.
        ConfigError: a budget that cannot be met; a criterion or pattern that does not fit the model.
        DataError: an image cannot be decoded; the model has other classes than the data.
    """
    whole = load_prunable(file)
    require_classes(whole.output_shape[-1], job)
    whole.trainable = True  # what a transfer froze loses channels as all else does, and must learn to do without them
    goal = Goal.of_step(settings, whole)
    found = Slimmed(whole, {})
    for number in range(1, settings.rounds + 1):
        pruned = partial(one_round, found, settings, job, goal, number)
        found = _remembered(state / f"round{number}.keras", job, pruned)
        if settings.epochs:
            model = fine_tuned(found.model, settings, job, whole, state / f"round{number}")
            found = replace(found, model=model)
    return found


def one_round(before: Slimmed, settings: SlimStep, job: Job, goal: Goal, number: int) -> Slimmed:
    """Remove what a round, from 1, is to remove, and prove that what is left computes what it did."""
    model = before.model
    graph = analyse(model)
    rules = _rules(settings, number)
    selection = Selection(graph, _scores(model, graph, rules, settings, job), rules, sizes=goal.sizes)
    meter = LatencyMeter(
        find_target(settings.target),
        lambda: timing_inputs(job),
        precision=settings.precision or "int8",
        threads=settings.threads,
    )
    kept = goal.chosen(number, model, graph, selection, meter)
    small = shrink(model, graph, kept)
    require_equal(model, graph, kept, small)
    return Slimmed(small, composed(before.kept, graph.record(kept)))


def run(settings: SlimStep, job: Job, source: Path, state: Path) -> bytes:
    """The pipeline's step: a Keras file to a smaller `.keras` file, whose card says which channels it kept.

    Raises:
        EdgeresError: see `slim`.
    """
    file = read_keras_file(source, trust=job.file.trusted)
    with muted():
        found = slim(file, settings, job, state)
    card = file.card or ModelCard(preprocess=job.contract, labels=job.dataset.labels)
    network = card.network and replace(card.network, parameters=trainable_parameters(found.model))
    card = replace(card, network=network, kept=composed(card.kept or {}, found.kept))
    return model_bytes(found.model, card=card)


def composed(first: Record, then: Record) -> dict[str, tuple[int, ...]]:
    """What two prunings, one after the other, kept of the model before both."""
    both = {name: tuple(first[name][place] for place in places) for name, places in then.items() if name in first}
    return {**first, **then, **both}


def _remembered(place: Path, job: Job, make: Callable[[], Slimmed]) -> Slimmed:
    """What `make` gives, or gave before a kill: what was measured then would come out otherwise now."""
    if place.is_file():
        file = read_keras_file(place, trust=job.file.trusted)
        return Slimmed(load_prunable(file), (file.card and file.card.kept) or {})
    found = make()
    place.parent.mkdir(parents=True, exist_ok=True)
    save_model(found.model, place, card=ModelCard(job.contract, job.dataset.labels, kept=dict(found.kept)))
    return found


def _scores(model: Any, graph: ChannelGraph, rules: Rules, settings: SlimStep, job: Job) -> Scores:
    batches = labelled_batches(job, settings.images) if settings.criterion == "taylor" else ()
    return scores(
        model,
        graph,
        settings.criterion,
        groups=removable(graph, rules),
        batches=batches,
        seed=job.seed,
        logits=gives_logits(model),
    )


def _rules(settings: SlimStep, number: int) -> Rules:
    """The rules of a round; shares of single groups are spread over the rounds as the goal is."""
    keep = {pattern: share ** (number / settings.rounds) for pattern, share in settings.groups.items()}
    return Rules(settings.multiple, settings.floor, settings.scope, settings.ranking, keep)
