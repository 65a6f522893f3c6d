"""Vendors of NPUs that LiteRT compiles for: their chips, and whether what their compiler needs is installed."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

_AGAIN = "pip install --force-reinstall --no-cache-dir"
_SERVER = "(with a connection to the vendor's server: pip reports success also without)"


@dataclass(frozen=True)
class Vendor:
    """`package`: of LiteRT's plugin for it; `distribution`: of the package that brings the vendor's libraries.

    `chips`: names of the chips that it compiles for.
    """

    name: str
    package: str
    distribution: str
    chips: tuple[str, ...]

    @property
    def module(self) -> str:
        """What the distribution is imported as."""
        return self.distribution.removesuffix("-nightly").replace("-", "_")

    @property
    def state(self) -> Literal["there", "absent", "empty"]:
        """Whether its libraries are there, or its package is not, or holds none. Imports nothing."""
        found = importlib.util.find_spec(self.module)
        if found is None:
            return "absent"
        places = [Path(place) for place in found.submodule_search_locations or ()]
        filled = any(path.stat().st_size for place in places for path in place.rglob("*.so*"))
        return "there" if filled else "empty"

    def missing(self) -> tuple[str, str] | None:
        """Why its compiler cannot run, and how to mend it; None where its libraries are there."""
        state = self.state
        if state == "absent":
            return f"the package {self.distribution} is not installed", f"pip install {self.distribution}"
        if state == "empty":
            why = f"{self.distribution} is installed empty: the vendor's libraries, which it fetches then, did not come"
            return why, f"{_AGAIN} {self.distribution} {_SERVER}"
        return None


def lacking(vendors: Sequence[Vendor]) -> tuple[str, str] | None:
    """As `Vendor.missing`, of several at once: whose libraries are not there, and the commands that bring them."""
    absent, empty = ([each for each in vendors if each.state == state] for state in ("absent", "empty"))
    whys, fixes = [], []
    if absent:
        whys.append(f"no libraries of {', '.join(each.name for each in absent)}")
        fixes.append(f"pip install {' '.join(each.distribution for each in absent)}")
    if empty:
        whys.append(f"installed empty: {', '.join(each.distribution for each in empty)}")
        fixes.append(f"{_AGAIN} {' '.join(each.distribution for each in empty)} {_SERVER}")
    return ("; ".join(whys), "; ".join(fixes)) if whys else None


def installed(distribution: str) -> str | None:
    """Its version; None where it is not installed."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def required(distribution: str, package: str) -> str | None:
    """The one version of a package that an installed distribution asks for; None where it takes several."""
    exact = re.compile(rf"{re.escape(package)}\s*\(?\s*==\s*([\w.]+)\s*\)?\s*(;.*)?")
    found = (exact.fullmatch(text) for text in metadata.requires(distribution) or ())
    return next((match[1] for match in found if match), None)


_QUALCOMM = "SA8255 SA8295 SM8350 SM8450 SM8475 SM8550 SM8650 SM8750 SM8845 SM8850"
_MEDIATEK = (
    "MT6853 MT6877 MT6878 MT6879 MT6886 MT6893 MT6895 MT6897 MT6983 MT6985 MT6989 MT6991 MT6993 MT8171 MT8188 MT8189"
)

VENDORS = {
    vendor.name: vendor
    for vendor in (
        Vendor("openvino", "intel_openvino", "ai-edge-litert-sdk-intel", ("LNL", "PTL")),
        Vendor("qualcomm", "qualcomm", "ai-edge-litert-sdk-qualcomm", tuple(_QUALCOMM.split())),
        Vendor("mediatek", "mediatek", "ai-edge-litert-sdk-mediatek", tuple(_MEDIATEK.split())),
        Vendor(
            "google-tensor",
            "google_tensor",
            "ai-edge-litert-sdk-google-tensor",
            ("Tensor_G3", "Tensor_G4", "Tensor_G5", "Tensor_G6"),
        ),
        Vendor("samsung", "samsung", "ai-edge-litert-sdk-samsung-nightly", ("E9965",)),
    )
}
