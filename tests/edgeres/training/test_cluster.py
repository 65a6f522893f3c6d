from __future__ import annotations

import json
import socket
import threading
from contextlib import closing
from typing import Any

import pytest

from edgeres.console import run
from edgeres.errors import ConfigError, TargetError
from edgeres.training.cluster import Cluster, read_cluster, wait_for_all
from tests.edgeres.training.ports import free_addresses

TWO = {"worker": ["a:2222", "b:2222"]}


def environment(cluster: Any, kind: Any = "worker", index: Any = 0) -> dict[str, str]:
    return {"TF_CONFIG": json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}})}


def test_the_first_worker_is_the_chief() -> None:
    assert read_cluster(environment(TWO)) == Cluster(("a:2222", "b:2222"), 0)
    second = read_cluster(environment(TWO, index=1))
    assert (second.index, second.chief, second.others) == (1, False, ("a:2222",))


def test_a_chief_comes_before_the_workers() -> None:
    jobs = {"chief": ["c:1"], **TWO}
    assert read_cluster(environment(jobs, "chief")).chief
    assert read_cluster(environment(jobs, index=1)) == Cluster(("c:1", "a:2222", "b:2222"), 2)


@pytest.mark.parametrize(
    ("found", "told"),
    [
        ({}, "it is not set"),
        ({"TF_CONFIG": ""}, "it is not set"),
        ({"TF_CONFIG": "{"}, "it is not JSON"),
        ({"TF_CONFIG": "[" * 100_000}, "it is not JSON"),
        ({"TF_CONFIG": "[]"}, "it has no mapping 'cluster'"),
        ({"TF_CONFIG": '{"cluster": {"worker": ["a:1"]}}'}, "it has no mapping 'task'"),
        (environment({"worker": "a:1"}), "'cluster.worker' is not a list"),
        (environment({"worker": []}), "names no process"),
        (environment({"worker": ["a"]}), "'a', which is no host:port"),
        (environment({"worker": ["a:0"]}), "'a:0', which is no host:port"),
        (environment({"worker": ["a:x"]}), "'a:x', which is no host:port"),
        (environment({"worker": [7]}), "7, which is no host:port"),
        (environment({"worker": ["a:1", "a:1"]}), "names a:1 twice"),
        (environment({"chief": ["a:1", "b:1"]}, "chief"), "names 2 processes; there can be one"),
        (environment({**TWO, "ps": ["c:1"]}), r"the jobs \['ps'\]"),
        (environment(TWO, "chief"), "'task.type' is 'chief'"),
        (environment({"chief": [], **TWO}, "chief"), "'task.type' is 'chief'"),
        (environment(TWO, []), r"'task.type' is \[\]"),
        (environment(TWO, index=2), "'task.index' is 2; 'cluster.worker' has 0…1"),
        (environment(TWO, index=-1), "'task.index' is -1"),
        (environment(TWO, index="0"), "'task.index' is '0'"),
        (environment(TWO, index=True), "'task.index' is True"),
    ],
)
def test_a_wrong_description_is_told(found: dict[str, str], told: str) -> None:
    with pytest.raises(ConfigError, match=told) as caught:
        read_cluster(found)
    assert "TF_CONFIG=" in str(caught.value.fix)


def test_the_command_refuses_a_wrong_description(
    tmp_path: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TF_CONFIG", "{")
    line = ["train", "resnet8", "--data", "digits", "--distribute", "multiworker", "--out", str(tmp_path / "run")]
    assert run(line) == 3
    assert "needs TF_CONFIG to describe the cluster: it is not JSON" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_workers_that_start_one_after_the_other_meet() -> None:
    addresses = tuple(free_addresses(3))
    met, all_met = [], threading.Barrier(3)

    def work(index: int) -> None:
        wait_for_all(Cluster(addresses, index), seconds=30)
        host, port = addresses[index].split(":")
        with closing(socket.create_server((host, int(port)))):  # in the place of TensorFlow's
            met.append(index)
            all_met.wait(30)

    threads = [threading.Timer(0.3 * index, work, (index,)) for index in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(met) == [0, 1, 2]


def test_a_worker_that_does_not_come_is_named() -> None:
    there, absent = free_addresses(2)
    with pytest.raises(TargetError, match=r"1 of 2 workers did not answer within 0\.1 s") as caught:
        wait_for_all(Cluster((there, absent), 0), seconds=0.1)
    assert caught.value.details == (absent,)


def test_a_port_that_is_taken_is_told() -> None:
    own, other = free_addresses(2)
    host, port = own.split(":")
    with closing(socket.create_server((host, int(port)))), pytest.raises(ConfigError, match=f"listen on port {port}"):
        wait_for_all(Cluster((own, other), 0), seconds=0.1)
