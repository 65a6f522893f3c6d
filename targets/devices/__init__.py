"""Devices: machines that are reached over a connection, and what runs there as a target like any other.

    edgeres evaluate bundles/shapes-int8 --data folder:shapes --target ssh://pi@192.168.0.20
    edgeres profile bundles/shapes-int8 --device pi4 --device phone

Accuracy and latency are measured on the device; raw samples come back and are judged here. A device is one file, and
one line in `DEVICES`.
"""

from __future__ import annotations

DEVICES = {
    "ssh": "targets.devices.ssh:SSH",
    "adb": "targets.devices.android:ADB",
}
"""Scheme of the URL -> "module:attribute" of a `targets.devices.device.Scheme`."""
