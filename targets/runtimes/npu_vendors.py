"""Vendors of NPUs that LiteRT compiles for: their chips, and whether what their compiler needs is installed."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path


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

    def missing(self) -> tuple[str, str] | None:
        """Why its compiler cannot run, and how to mend it; None where its libraries are there. Imports nothing."""
        found = importlib.util.find_spec(self.module)
        if found is None:
            return f"the package {self.distribution} is not installed", f"pip install {self.distribution}"
        places = [Path(place) for place in found.submodule_search_locations or ()]
        if not any(path.stat().st_size for place in places for path in place.rglob("*.so*")):
            why = f"{self.distribution} is installed empty: the vendor's libraries, which it fetches then, did not come"
            again = f"pip install --force-reinstall --no-cache-dir {self.distribution}"
            return why, f"{again}, with a connection to the vendor's server (pip reports success also without)"
        return None


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
