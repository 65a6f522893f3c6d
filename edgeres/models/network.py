"""What the zoo knows of a network before it is built."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from edgeres.errors import ConfigError

_LARGEST = {"classes": 100_000, "input_size": 4096}


@dataclass(frozen=True)
class Network:
    """A network of the zoo: its builder, the defaults of its paper, and what was published for it.

    `width`: feature maps of the first stage. `published`: data set and top-1 accuracy in the paper. `smallest`: input
    size in pixels below which a pooling has nothing left to pool. `preprocess`: the preset (`edgeres.preprocess`) that
    suits it untrained; a network without batch norm cannot take up the scale of raw pixels.
    """

    name: str
    builder: Callable[..., Any]
    width: int
    classes: int
    input_size: int
    paper: str
    published: str | None = None
    smallest: int = 16
    preprocess: str = "raw"

    def variant(self, name: str, arguments: Mapping[str, Any]) -> Network:
        """The same network under another name, with further arguments for its builder; nothing published for it."""
        return replace(self, name=name, builder=partial(self.builder, **arguments), published=None)

    def build(self, *, width: float = 1.0, classes: int | None = None, input_size: int | None = None) -> Any:
        """A new, untrained tf_keras model that has the network's name.

        Args:
            width: multiplies the number of feature maps of every stage.
            classes: outputs; the paper's number by default.
            input_size: height and width of the input in pixels; the paper's by default.

        Raises:
            ConfigError: a width, class count or input size that gives no sensible network.
        """
        classes = self.classes if classes is None else classes
        input_size = self.input_size if input_size is None else input_size
        maps = round(self.width * width) if math.isfinite(width) else 0
        if not 2 <= maps <= 4096:
            raise ConfigError(
                f"width {width} gives {self.name} a first stage of {maps} maps; expected 2…4096",
                fix=f"give a width in {2 / self.width:g}…{4096 / self.width:g}",
            )
        for name, value, least in (("classes", classes, 2), ("input_size", input_size, self.smallest)):
            if not least <= value <= _LARGEST[name]:
                problem = f"{name} of {self.name} must be in {least}…{_LARGEST[name]}, found {value}"
                raise ConfigError(problem, fix="give a value in that range")
        return self.builder(width=maps, classes=classes, input_size=input_size, name=self.name)
