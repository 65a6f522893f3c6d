"""What the parts and the changes of a study are called, for its table and its page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from edgeres.sensitivity import Findings


@dataclass(frozen=True)
class Wording:
    """`part`, `size`, `work`: heads of a table. `column`: what stands before the name of a change.

    `axis`, `caption`: of the map; `{limit}` is the accepted drop in points. `plain`: what is recommended of a part that
    stays as it is, `chosen`: of one that does not, where its column has another name. `unchanged`: how the network
    is that drops are measured from. `together`: of all that is recommended, `{share}` of the multiply-accumulates;
    `advice`: what to do then; `none`: nothing is recommended.
    """

    part: str
    size: str
    work: str
    column: str
    axis: str
    caption: str
    plain: str
    unchanged: str
    together: str
    advice: str
    none: str
    chosen: Mapping[str, str] = field(default_factory=dict)


WORDINGS = {
    "prune": Wording(
        part="group",
        size="channels",
        work="MACs",
        column="keep ",
        axis="Share of the channels that is kept",
        caption="Each group alone, without fine-tuning; those that hurt most come first. A tick marks what the recipe "
        "takes: the smallest share whose whole interval is within {limit} points. An empty cell keeps every channel, "
        "because widths are rounded.",
        plain="1",
        unchanged="with all channels",
        together="{share} % of the MACs left",
        advice="Before fine-tuning. Groups that are pruned together cost more than each alone, and these images chose "
        "the shares: fine-tune, then measure on the test split.",
        none="no group can be pruned within {limit} points by its whole interval",
    ),
    "quantize": Wording(
        part="layer",
        size="weights",
        work="MACs",
        column="",
        axis="What is int8",
        caption="“alone”: this layer is int8 and all others are float32. “all but it”: it stays float32 in a network "
        "that is int8 else. The layers with the most noise come first. A tick marks the layers that the recipe leaves "
        "in float32 to come within {limit} points.",
        plain="int8",
        unchanged="in float32",
        together="{share} % of the MACs in int8",
        advice="These images chose the layers: measure on the test split.",
        none="nothing is recommended",
        chosen={"all but it": "float32"},
    ),
}


def wording_of(findings: Findings) -> Wording:
    """The wording of a study."""
    return WORDINGS[findings.record.inputs["of"]]


def recommended(findings: Findings, part: str) -> str:
    """What the recipe does with a part."""
    words, column = wording_of(findings), findings.chosen.get(part)
    return words.plain if column is None else words.chosen.get(column, column)
