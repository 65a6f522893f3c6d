from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator

import pytest

from edgeres.training.interruption import held_signals


class InterruptedByTestError(Exception):
    pass


@pytest.fixture(autouse=True)
def handlers() -> Iterator[list[int]]:
    """Handlers that note the signal and raise, as the command line's do."""
    seen: list[int] = []

    def handler(number: int, _: object) -> None:
        seen.append(number)
        raise InterruptedByTestError

    usual = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    yield seen
    for number, former in usual.items():
        signal.signal(number, former)


def send(number: int = signal.SIGINT) -> None:
    os.kill(os.getpid(), number)
    for _ in range(3):  # Python runs a handler between two lines
        time.sleep(0)


def steps(passed: list[str], *, let_through: bool = False, number: int = signal.SIGINT, again: bool = False) -> None:
    """Work in which a signal comes."""
    with held_signals() as look:
        look()
        send(number)
        passed.append("held")
        if again:
            send(number)
        if let_through:
            look()
        passed.append("end")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_acts_where_it_is_let_through(handlers: list[int], number: int) -> None:
    passed: list[str] = []
    with pytest.raises(InterruptedByTestError):
        steps(passed, let_through=True, number=number)
    assert passed == ["held"]
    assert handlers == [number]


def test_it_acts_at_the_end_of_the_block_at_the_latest(handlers: list[int]) -> None:
    passed: list[str] = []
    with pytest.raises(InterruptedByTestError):
        steps(passed)
    assert passed == ["held", "end"]
    assert handlers == [signal.SIGINT]


def test_a_second_one_acts_at_once() -> None:
    passed: list[str] = []
    with pytest.raises(InterruptedByTestError):
        steps(passed, again=True)
    assert passed == ["held"]


def wait_within(seconds: float, *, patience_s: float) -> None:
    with held_signals(patience_s):
        send()
        time.sleep(seconds)


def test_it_does_not_wait_for_ever() -> None:
    with pytest.raises(InterruptedByTestError):
        wait_within(30, patience_s=0.05)


def test_the_handlers_are_the_usual_ones_afterwards(handlers: list[int]) -> None:
    before = signal.getsignal(signal.SIGINT)
    with held_signals():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before
    with pytest.raises(InterruptedByTestError):
        wait_within(0, patience_s=0.05)
    time.sleep(0.1)  # the reminder was called off
    assert handlers == [signal.SIGINT]


def test_an_ignored_signal_stays_ignored() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with held_signals() as look:
        send()
        look()


def test_other_threads_have_no_handlers_to_hold() -> None:
    done = []

    def within() -> None:
        with held_signals() as look:
            look()
            done.append(True)

    thread = threading.Thread(target=within)
    thread.start()
    thread.join()
    assert done
