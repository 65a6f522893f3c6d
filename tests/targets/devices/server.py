"""A real sshd on loopback, whose user is this one, whose Python has numpy and a runtime and nothing else."""

from __future__ import annotations

import os
import pwd
import shlex
import shutil
import socket
import subprocess
import sys
import sysconfig
import time
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

SSHD = shutil.which("sshd") or next((path for path in ("/usr/sbin/sshd", "/sbin/sshd") if Path(path).is_file()), None)
SKIPPED = "sshd is not installed: apt-get install openssh-server"

USER = pwd.getpwuid(os.getuid()).pw_name


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def run(*command: str | Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"


def make_python(folder: Path, *packages: str) -> Path:
    """A virtual environment with just these packages, borrowed from the present one by links; its interpreter."""
    run(sys.executable, "-m", "venv", "--without-pip", folder)
    (own,) = folder.glob("lib/python*/site-packages")
    for package in packages:
        distribution = metadata.distribution(package)
        tops = {file.parts[0] for file in distribution.files or () if file.parts[0] != ".."}
        for name in tops - {"__pycache__"}:
            (own / name).symlink_to(Path(str(distribution.locate_file(""))) / name)
    assert Path(sysconfig.get_path("purelib")) != own
    return folder / "bin" / "python3"


@dataclass
class Server:
    """An sshd. `home` is that of the client, with its key and the server's host key; `temporary` the device's TMPDIR.

    `python`: the device's interpreter.
    """

    folder: Path
    python: Path
    port: int = field(default_factory=free_port)
    options: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self.home, self.temporary = self.folder / "home", self.folder / "tmp"
        for path in (self.home / ".ssh", self.temporary):
            path.mkdir(parents=True, mode=0o700)
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.folder / "host_key")
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.home / ".ssh" / "id_ed25519")
        shutil.copy(self.home / ".ssh" / "id_ed25519.pub", self.folder / "authorized_keys")
        self.know(self.port)

    @property
    def url(self) -> str:
        return f"ssh://{USER}@127.0.0.1:{self.port}"

    @property
    def known_hosts(self) -> Path:
        return self.home / ".ssh" / "known_hosts"

    def know(self, port: int) -> None:
        """Let the client know the host key under one more port."""
        key = " ".join((self.folder / "host_key.pub").read_text().split()[:2])
        with self.known_hosts.open("a") as stream:
            stream.write(f"[127.0.0.1]:{port} {key}\n")

    def start(self) -> None:
        assert SSHD is not None
        lines = (
            f"Port {self.port}",
            "ListenAddress 127.0.0.1",
            f"HostKey {self.folder / 'host_key'}",
            f"AuthorizedKeysFile {self.folder / 'authorized_keys'}",
            f"PidFile {self.folder / 'pid'}",
            "StrictModes no",
            "UsePAM no",
            "MaxStartups 100",
            "PermitRootLogin yes",
            f"SetEnv TMPDIR={self.temporary} PATH={shlex.quote(f'{self.python.parent}:/usr/bin:/bin')}",
            *self.options,
        )
        (self.folder / "sshd_config").write_text("".join(f"{line}\n" for line in lines))
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)
        log = (self.folder / "log").open("ab")
        self.process = subprocess.Popen([SSHD, "-D", "-e", "-f", self.folder / "sshd_config"], stderr=log)
        log.close()
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            assert self.process.poll() is None, (self.folder / "log").read_text()
            time.sleep(0.05)
        raise AssertionError((self.folder / "log").read_text())

    def stop(self) -> None:
        """Stop listening; sessions go on."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait()


def left_behind(server: Server) -> list[str]:
    """Processes of the device's Python, and files in its folder for temporary files but the lock."""
    processes = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if command.startswith(str(server.python)) and state != "Z":
            processes.append(command[:80])
    return processes + [path.name for path in server.temporary.iterdir() if path.name != "edgeres-latency.lock"]
