"""The preprocessing of a Keras file: what it carries itself, or what the user says of it."""

from __future__ import annotations

from edgeres.errors import ConfigError
from edgeres.keras_file import KerasFile
from edgeres.preprocess import Preprocess, from_option


def contract_for(file: KerasFile, option: str | None, *, flag: str = "--preprocess ") -> Preprocess:
    """The preprocessing of a Keras file: that of its card, or what `option` says, which was given with `flag`.

    Raises:
        ConfigError: neither, or the option contradicts the card.
    """
    height, width, depth = file.input_shape
    asked = None if option is None else from_option(option, height=height, width=width, depth=depth)
    if file.card is not None:
        if asked is not None and asked != file.card.preprocess:
            raise ConfigError(
                f"{file.path} carries its own preprocessing, which is not '{option}'",
                fix=f"leave out {flag.rstrip(' =')}",
            )
        return file.card.preprocess
    if asked is None:
        raise ConfigError(
            f"{file.path} does not say how pixels become its input",
            fix=f"say what it was trained with: {flag}raw|unit|symmetric|torch|caffe|FILE.yaml",
        )
    return asked
