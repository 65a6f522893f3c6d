"""Apps: what uses a bundle on a device, with the bundle's own preprocessing, checked against its golden tensors.

    bundle → `source.read_source` → `Source` → a platform's `write` → {file name: bytes} → `embedding.embed` → folder

A platform is one folder: a `writer.py`, and beside it the files that are the same in every app (`templates/`). What
differs from bundle to bundle goes into files of data, never into code that is put together from text; labels and
names are hostile until `literals.py` has written them.
"""

from __future__ import annotations

APPS = {
    "android": "converters.apps.android.writer:write",
    "c": "converters.apps.c.writer:write",
    "flutter": "converters.apps.flutter.writer:write",
    "ios": "converters.apps.ios.writer:write",
    "python": "converters.apps.python.writer:write",
    "react-native": "converters.apps.react_native.writer:write",
    "web": "converters.apps.web.writer:write",
}
"""Platform -> "module:attribute" of `write(source: Source) -> dict[str, bytes]`, the files of the app by their path."""
