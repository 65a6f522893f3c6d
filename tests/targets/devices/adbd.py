"""A fake adbd: speaks adb's wire protocol over TCP, so that the real `adb` connects, pushes, runs and pulls.

What a phone would run is run here by `sh` in a folder: `/data/local/tmp` in a command or path stands for one in it, and
on its PATH are stand-ins for `getprop`, `dumpsys` and `cmd`, and before them the tools of this system. Faults are
attributes, which a test sets at any time. The protocol is described in AOSP, `packages/modules/adb/protocol.txt`,
`SERVICES.TXT` and `SYNC.TXT`.
"""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

ROOT = "/data/local/tmp"
VERSION, MOST = 0x01000001, 1 << 18
NEW = ("shell_v2", "cmd", "stat_v2", "ls_v2")
_CHUNK = 64 << 10
_STDIN, _STDOUT, _STDERR, _EXIT, _CLOSE_STDIN = range(5)

PROPERTIES = {
    "ro.soc.manufacturer": "Testing",
    "ro.soc.model": "T1000",
    "ro.product.manufacturer": "edgeres",
    "ro.product.model": "Fake phone",
    "ro.build.version.release": "14",
    "ro.build.version.sdk": "34",
    "ro.product.cpu.abi": "arm64-v8a",
}


@dataclass
class Faults:
    """What goes wrong.

    `auth`: None, or "unauthorized" where whoever holds the phone does not agree. `mute`: no answer to a connection.
    `full`: no room for a file. `altered`: a file arrives with another byte. `exit_lost`: a shell ends without its exit
    code. `cut_on`, `hang_on`, `partial_on`: the connection ends, nothing comes back, or the output ends in the middle,
    when a service contains this text; `after` so many times.
    """

    auth: str | None = None
    mute: bool = False
    full: bool = False
    altered: bool = False
    exit_lost: bool = False
    cut_on: str | None = None
    hang_on: str | None = None
    partial_on: str | None = None
    after: int = 0

    def meets(self, name: str, service: str) -> bool:
        """Whether this fault happens now."""
        text = getattr(self, name)
        if text is None or text not in service:
            return False
        self.after -= 1
        return self.after < 0


@dataclass
class Phone:
    """A fake phone; `commands` are the shell commands that came."""

    folder: Path
    features: tuple[str, ...] = NEW
    properties: dict[str, str] = field(default_factory=lambda: dict(PROPERTIES))
    faults: Faults = field(default_factory=Faults)
    environment: dict[str, str] = field(default_factory=dict)
    commands: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.storage, self.tools, self.state = (self.folder / name for name in ("tmp", "bin", "state"))
        for path in (self.storage, self.tools, self.state):
            path.mkdir(parents=True)
        self.set(thermal="Thermal Status: 0", battery="  level: 80\n  temperature: 285", screen="mWakefulness=Awake")
        self._tool("getprop", 'cat "$STATE/properties" | sed -n "s/^$1=//p"')
        self._tool(
            "dumpsys",
            'case "$1" in thermalservice) n=thermal;; battery) n=battery;; *) n=screen;; esac; cat "$STATE/$n"',
        )
        self._tool("cmd", '[ -e "$STATE/no_fixed" ] && { echo "Failed to set"; exit 255; }; echo "$*" >>"$STATE/cmd"')
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._transports: list[Transport] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def set(self, **texts: str) -> None:
        """What the stand-ins print."""
        texts.setdefault("properties", "".join(f"{name}={value}\n" for name, value in self.properties.items()))
        for name, text in texts.items():
            (self.state / name).write_text(text + "\n")

    def _tool(self, name: str, script: str) -> None:
        (self.tools / name).write_text(f"#!/bin/sh\n{script}\n")
        (self.tools / name).chmod(0o755)

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    @property
    def serial(self) -> str:
        return f"127.0.0.1:{self.port}"

    def shell_environment(self) -> dict[str, str]:
        path = f"{self.tools}:/usr/bin:/bin"
        return {"PATH": path, "STATE": str(self.state), "HOME": str(self.folder), **self.environment}

    def inside(self, text: str) -> str:
        """A path or command of the phone's as it is here."""
        return text.replace(ROOT, str(self.storage))

    def outside(self, data: bytes) -> bytes:
        return data.replace(str(self.storage).encode(), ROOT.encode())

    def unplug(self) -> None:
        """End all connections, at once."""
        for transport in self._transports:
            transport.end()

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # else it goes on listening for the thread that accepts
        self._listener.close()
        self.unplug()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                transport = Transport(self, self._listener.accept()[0])
                self._transports.append(transport)
                threading.Thread(target=transport.run, daemon=True).start()


class Transport:
    """One connection of an adb server."""

    def __init__(self, phone: Phone, link: socket.socket) -> None:
        self.phone, self._link = phone, link
        self._writing = threading.Lock()
        self._streams: dict[int, Stream] = {}
        self._count = 0

    def send(self, name: bytes, first: int, second: int, data: bytes = b"") -> None:
        number = struct.unpack("<I", name)[0]
        header = struct.pack("<6I", number, first, second, len(data), sum(data) & 0xFFFFFFFF, number ^ 0xFFFFFFFF)
        with self._writing, suppress(OSError):
            self._link.sendall(header + data)

    def run(self) -> None:
        with suppress(OSError, EOFError):
            while True:
                header = self._read(24)
                name = header[:4]
                first, second, length = struct.unpack("<3I", header[4:16])
                self._received(name, first, second, self._read(length))
        self.end()

    def _read(self, size: int) -> bytes:
        found = b""
        while len(found) < size:
            piece = self._link.recv(size - len(found))
            if not piece:
                raise EOFError
            found += piece
        return found

    def _received(self, name: bytes, first: int, second: int, data: bytes) -> None:
        if self.phone.faults.mute:
            return
        if name == b"CNXN" and self.phone.faults.auth is None:
            features = ",".join(self.phone.features)
            banner = f"device::ro.product.name=fake;ro.product.model=Fake;ro.product.device=fake;features={features}"
            self.send(b"CNXN", VERSION, MOST, banner.encode())
        elif name in (b"CNXN", b"AUTH"):  # every signature is unknown, and nobody accepts the key
            if not (name == b"AUTH" and first == 3):
                self.send(b"AUTH", 1, 0, b"0123456789abcdefghij")
        elif name == b"OPEN":
            self._count += 1
            self._streams[self._count] = Stream(self, self._count, first)
            self._streams[self._count].open(data.rstrip(b"\0").decode())
        elif (stream := self._streams.get(second)) is None:
            if name != b"CLSE":
                self.send(b"CLSE", 0, first)
        elif name == b"OKAY":
            stream.acknowledged.set()
        elif name == b"WRTE":
            stream.received(data)
        elif name == b"CLSE":
            stream.end()

    def end(self) -> None:
        with suppress(OSError):
            self._link.shutdown(socket.SHUT_RDWR)
        self._link.close()
        for stream in list(self._streams.values()):
            stream.end()


class Stream:
    """One service on a connection."""

    def __init__(self, transport: Transport, own: int, theirs: int) -> None:
        self._transport, self._own, self._theirs = transport, own, theirs
        self._phone = transport.phone
        self.acknowledged = threading.Event()
        self._input, self._arrived, self._ended = b"", threading.Condition(), False
        self._process: subprocess.Popen[bytes] | None = None

    def open(self, service: str) -> None:
        name = service.partition(":")[0]
        if name == "sync":
            work = self._sync
        elif name.startswith(("shell", "exec")):
            self._phone.commands.append(service.partition(":")[2])
            work = self._shell
        else:
            self._transport.send(b"CLSE", 0, self._theirs)
            return
        self._transport.send(b"OKAY", self._own, self._theirs)
        threading.Thread(target=self._run, args=(work, service), daemon=True).start()

    def _run(self, work: object, service: str) -> None:
        with suppress(EOFError, OSError):
            if self._struck(service):
                return
            work(service)  # type: ignore[operator]
        self._transport.send(b"CLSE", self._own, self._theirs)

    def _struck(self, service: str) -> bool:
        """Whether a fault took the place of the service."""
        if self._phone.faults.meets("cut_on", service):
            self._transport.end()
            return True
        if self._phone.faults.meets("hang_on", service):
            with self._arrived:
                self._arrived.wait_for(lambda: self._ended)
            return True
        return False

    def write(self, data: bytes) -> None:
        for begin in range(0, len(data), _CHUNK):
            self.acknowledged.clear()
            self._transport.send(b"WRTE", self._own, self._theirs, data[begin : begin + _CHUNK])
            while not self.acknowledged.wait(0.2):
                if self._ended:
                    raise EOFError

    def received(self, data: bytes) -> None:
        with self._arrived:
            self._input += data
            self._arrived.notify_all()
        self._transport.send(b"OKAY", self._own, self._theirs)

    def read(self, size: int) -> bytes:
        with self._arrived:
            self._arrived.wait_for(lambda: len(self._input) >= size or self._ended)
            if len(self._input) < size:
                raise EOFError
            data, self._input = self._input[:size], self._input[size:]
            return data

    def end(self) -> None:
        with self._arrived:
            self._ended = True
            self._arrived.notify_all()
        if self._process is not None:
            with suppress(OSError):
                os.killpg(self._process.pid, signal.SIGHUP)

    # Shells

    def _shell(self, service: str) -> None:
        kind, _, command = service.partition(":")
        second = ",v2" in kind and "shell_v2" in self._phone.features
        self._process = process = subprocess.Popen(
            ["/bin/sh", "-c", self._phone.inside(command)],
            cwd=self._phone.folder,
            env=self._phone.shell_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        if self._ended:
            self.end()
        threading.Thread(target=self._feed, args=(process, second), daemon=True).start()
        assert process.stdout is not None
        partial = self._phone.faults.meets("partial_on", service)
        with process.stdout:
            for line in process.stdout:
                data = self._phone.outside(line)
                if partial and b"count=" in data:
                    self.write(_packet(_STDOUT, data[:9]) if second else data[:9])
                    return
                self.write(_packet(_STDOUT, data) if second else data)
        code = process.wait()
        if second and not self._phone.faults.exit_lost:
            self.write(_packet(_EXIT, bytes([code % 256])))

    def _feed(self, process: subprocess.Popen[bytes], second: bool) -> None:
        """Pass on what comes for the program's input; its end, and that of the stream, is the end of the input."""
        assert process.stdin is not None
        with suppress(EOFError, OSError, ValueError):
            while True:
                kind, size = (self.read(1)[0], struct.unpack("<I", self.read(4))[0]) if second else (_STDIN, 1)
                data = self.read(size)
                if kind == _CLOSE_STDIN:
                    break
                if kind == _STDIN:
                    process.stdin.write(data)
                    process.stdin.flush()
        with suppress(OSError):
            process.stdin.close()

    # Files

    def _sync(self, _: str) -> None:
        while True:
            name, length = self.read(4), struct.unpack("<I", self.read(4))[0]
            if name == b"QUIT":
                return
            path = self.read(length).decode()
            if self._struck(f"{name.decode()}:{path}"):
                raise EOFError
            {
                b"STAT": self._stat,
                b"STA2": self._stat2,
                b"LST2": self._stat2,
                b"SEND": self._store,
                b"RECV": self._load,
            }[name](path, name)

    def _place(self, path: str) -> Path:
        return Path(self._phone.inside(path))

    def _found(self, path: str) -> os.stat_result | None:
        with suppress(OSError):
            return self._place(path).stat()
        return None

    def _stat(self, path: str, _: bytes) -> None:
        found = self._found(path)
        values = (found.st_mode, found.st_size, int(found.st_mtime)) if found else (0, 0, 0)
        self.write(b"STAT" + struct.pack("<3I", *values))

    def _stat2(self, path: str, name: bytes) -> None:
        found = self._found(path)
        if found is None:
            self.write(name + struct.pack("<IQQIIIIQqqq", 2, *[0] * 10))
            return
        own = (found.st_dev, found.st_ino, found.st_mode, found.st_nlink, found.st_uid, found.st_gid, found.st_size)
        times = (int(found.st_atime), int(found.st_mtime), int(found.st_ctime))
        self.write(name + struct.pack("<IQQIIIIQqqq", 0, *own, *times))

    def _store(self, text: str, _: bytes) -> None:
        path, _, mode = text.rpartition(",")
        content = b""
        while True:
            name, length = self.read(4), struct.unpack("<I", self.read(4))[0]
            if name == b"DONE":
                break
            content += self.read(length)
            if self._struck(f"DATA:{path}"):
                raise EOFError
        if self._phone.faults.full:
            self._fail("write failed: No space left on device")
            return
        if self._phone.faults.altered:
            content = content[:-1] + bytes([content[-1] ^ 1])
        try:
            self._place(path).write_bytes(content)
            self._place(path).chmod(int(mode) & 0o777)
        except OSError as problem:
            self._fail(f"couldn't create file: {problem.strerror}")
            return
        self.write(b"OKAY" + struct.pack("<I", 0))

    def _load(self, path: str, _: bytes) -> None:
        try:
            content = self._place(path).read_bytes()
        except OSError as problem:
            self._fail(f"open failed: {problem.strerror}")
            return
        for begin in range(0, len(content), _CHUNK):
            piece = content[begin : begin + _CHUNK]
            self.write(b"DATA" + struct.pack("<I", len(piece)) + piece)
        self.write(b"DONE" + struct.pack("<I", 0))

    def _fail(self, message: str) -> None:
        self.write(b"FAIL" + struct.pack("<I", len(message)) + message.encode())
        time.sleep(0.05)


def _packet(kind: int, data: bytes) -> bytes:
    return struct.pack("<BI", kind, len(data)) + data
