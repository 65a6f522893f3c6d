"""The processes that train together: who they are (TF_CONFIG), and waiting until all are there.

No TensorFlow here: a wrong TF_CONFIG is told at once.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from edgeres.errors import ConfigError, TargetError

_PROBE_S = 2.0
"""A worker that does not answer a connection in this time is asked again."""


class PeerLostError(TargetError):
    """Another process of the training ended, or stopped answering, after `done` epochs."""

    def __init__(self, done: int) -> None:
        problem = "another worker of the training ended, or does not answer"
        super().__init__(problem, fix="start all workers again with --resume")
        self.done = done


@dataclass(frozen=True)
class Cluster:
    """Addresses ("host:port") of all processes, the chief first, and which of them this one is."""

    addresses: tuple[str, ...]
    index: int

    @property
    def chief(self) -> bool:
        """Whether this process writes the run folder."""
        return self.index == 0

    @property
    def others(self) -> tuple[str, ...]:
        """The addresses of all but this process."""
        return tuple(address for index, address in enumerate(self.addresses) if index != self.index)


def read_cluster(environment: Mapping[str, str] = os.environ) -> Cluster:
    """The cluster that TF_CONFIG describes: jobs "worker" and, where there is one, "chief".

    Raises:
        ConfigError: TF_CONFIG is absent, or not what TensorFlow documents.
    """
    text = environment.get("TF_CONFIG")
    if not text:
        raise _wrong("it is not set")
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as problem:
        raise _wrong(f"it is not JSON ({problem})") from None
    jobs, task = _part(content, "cluster"), _part(content, "task")
    if unknown := sorted(set(jobs) - {"chief", "worker"}):
        raise _wrong(f"'cluster' has the jobs {unknown}; known are 'chief' and 'worker'")
    chiefs, workers = _addresses(jobs, "chief"), _addresses(jobs, "worker")
    if len(chiefs) > 1:
        raise _wrong(f"'cluster.chief' names {len(chiefs)} processes; there can be one")
    addresses = (*chiefs, *workers)
    if twice := sorted({each for each in addresses if addresses.count(each) > 1}):
        raise _wrong(f"'cluster' names {twice[0]} twice")
    if not addresses:
        raise _wrong("'cluster' names no process")
    kind, index = task.get("type"), task.get("index")
    if not isinstance(kind, str) or not jobs.get(kind):
        raise _wrong(f"'task.type' is {kind!r}, which 'cluster' does not have")
    own = len(jobs[kind])
    if type(index) is not int or not 0 <= index < own:
        raise _wrong(f"'task.index' is {index!r}; 'cluster.{kind}' has 0…{own - 1}")
    return Cluster(addresses, index if kind == "chief" else len(chiefs) + index)


def asked_cluster(distribute: str | None, join_timeout: float | None) -> Cluster | None:
    """The cluster of TF_CONFIG where `distribute` asks for one.

    Raises:
        ConfigError: TF_CONFIG is absent or wrong; a time to wait for others where there are none.
    """
    if distribute == "multiworker":
        return read_cluster()
    if join_timeout is not None:
        raise ConfigError(
            "--join-timeout has no effect: this process trains alone",
            fix="add --distribute multiworker, or leave out --join-timeout",
        )
    return None


def wait_for_all(cluster: Cluster, *, seconds: float) -> None:
    """Return once every other process answers at its address; this one answers at its own meanwhile.

    Raises:
        ConfigError: this process cannot listen at its own address.
        TargetError: a process did not answer in time.
    """
    deadline = time.monotonic() + seconds
    missing = list(cluster.others)
    with _listening(cluster.addresses[cluster.index]):
        while missing:
            missing = [address for address in missing if not _answers(address)]
            if missing and time.monotonic() > deadline:
                raise TargetError(
                    f"{len(missing)} of {len(cluster.addresses)} workers did not answer within {seconds:g} s",
                    details=tuple(missing),
                    fix="start the command on every machine, with --resume where a run exists, or wait longer "
                    "with --join-timeout",
                )
            if missing:
                time.sleep(0.2)


def _listening(address: str) -> closing[socket.socket]:
    port = int(address.rpartition(":")[2])
    listener = socket.socket(socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a worker that starts again takes up its port
    if listener.family == socket.AF_INET6:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    try:
        listener.bind(("", port))
        listener.listen()
    except OSError as problem:
        listener.close()
        raise ConfigError(
            f"cannot listen on port {port}, this worker's in TF_CONFIG: {problem.strerror}",
            fix="end the process that uses the port, or name a free one in every worker's TF_CONFIG",
        ) from None
    return closing(listener)


def _answers(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_PROBE_S).close()
    except OSError:  # also: its name is not known yet
        return False
    return True


def _part(content: Any, name: str) -> dict[str, Any]:
    part = content.get(name) if isinstance(content, dict) else None
    if not isinstance(part, dict):
        raise _wrong(f"it has no mapping '{name}'")
    return part


def _addresses(jobs: dict[str, Any], name: str) -> tuple[str, ...]:
    found = jobs.get(name, [])
    if not isinstance(found, list):
        raise _wrong(f"'cluster.{name}' is not a list of addresses")
    for each in found:
        host, _, port = each.rpartition(":") if isinstance(each, str) else ("", "", "")
        if not host or not port.isdecimal() or not 0 < int(port) < 1 << 16:
            raise _wrong(f"'cluster.{name}' has {each!r}, which is no host:port")
    return tuple(found)


def _wrong(found: str) -> ConfigError:
    return ConfigError(
        f"--distribute multiworker needs TF_CONFIG to describe the cluster: {found}",
        fix='on worker 0: TF_CONFIG=\'{"cluster": {"worker": ["host1:2222", "host2:2222"]}, '
        '"task": {"type": "worker", "index": 0}}\'',
    )
