from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator

import pytest

from edgeres.training.interruption import held_signals


class Interrupted(Exception):
    pass


@pytest.fixture(autouse=True)
def handlers() -> Iterator[list[int]]:
    """Handlers that note the signal and raise, as the command line's do."""
    seen: list[int] = []

    def handler(number: int, _: object) -> None:
        seen.append(number)
        raise Interrupted

    usual = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    yield seen
    for number, former in usual.items():
        signal.signal(number, former)


def send(number: int = signal.SIGINT) -> None:
    os.kill(os.getpid(), number)
    for _ in range(3):  # Python runs a handler between two lines
        time.sleep(0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_acts_where_it_is_let_through(handlers: list[int], number: int) -> None:
    passed = []
    with pytest.raises(Interrupted), held_signals() as let_through:
        let_through()
        send(number)
        passed.append("held")
        let_through()
        passed.append("not reached")
    assert passed == ["held"]
    assert handlers == [number]


def test_it_acts_at_the_end_of_the_block_at_the_latest(handlers: list[int]) -> None:
    with pytest.raises(Interrupted):
        with held_signals():
            send()
        pytest.fail("the signal was lost")
    assert handlers == [signal.SIGINT]


def test_a_second_one_acts_at_once() -> None:
    passed = []
    with pytest.raises(Interrupted), held_signals():
        send()
        passed.append("held")
        send()
        passed.append("not reached")
    assert passed == ["held"]


def test_it_does_not_wait_for_ever() -> None:
    with pytest.raises(Interrupted), held_signals(patience_s=0.05):
        send()
        time.sleep(30)


def test_the_handlers_are_the_usual_ones_afterwards(handlers: list[int]) -> None:
    before = signal.getsignal(signal.SIGINT)
    with held_signals():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before
    with pytest.raises(Interrupted), held_signals(patience_s=0.05) as let_through:
        send()
        let_through()
    time.sleep(0.1)  # the reminder was called off
    assert handlers == [signal.SIGINT]


def test_an_ignored_signal_stays_ignored() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with held_signals() as let_through:
        send()
        let_through()


def test_other_threads_have_no_handlers_to_hold() -> None:
    done = []

    def within() -> None:
        with held_signals() as let_through:
            let_through()
            done.append(True)

    thread = threading.Thread(target=within)
    thread.start()
    thread.join()
    assert done
