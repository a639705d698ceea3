"""Signals that end a command: they end it once, and what is being restored is restored."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from enaxp.ending import ENDING, first_one_sets, held_back

HANGUPS = [signal.SIGTERM, signal.SIGHUP]


@pytest.fixture(autouse=True)
def interruptible() -> Iterator[None]:
    """SIGINT as in a foreground program, and the others as Python has them: a test run may be in the background."""
    before = {number: signal.getsignal(number) for number in ENDING}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in HANGUPS:
        signal.signal(number, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def send(*numbers: signal.Signals) -> None:
    for number in numbers:
        os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", ENDING)
def test_the_first_signal_sets_the_event_and_is_not_raised(number: signal.Signals) -> None:
    stop = threading.Event()

    with first_one_sets(stop):
        send(number, signal.SIGTERM, signal.SIGHUP)

    assert stop.is_set()


def test_a_second_ctrl_c_is_raised() -> None:
    stop = threading.Event()

    with pytest.raises(KeyboardInterrupt), first_one_sets(stop):
        send(signal.SIGTERM, signal.SIGINT)


def test_nothing_cuts_a_clean_up_short_but_somebody_who_insists() -> None:
    done = []

    with held_back():
        send(signal.SIGHUP, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
        done.append("restored")
    with pytest.raises(KeyboardInterrupt), held_back():
        send(signal.SIGINT, signal.SIGINT)

    assert done == ["restored"]


def test_the_handlers_are_those_that_were_there_before() -> None:
    with held_back(), first_one_sets(threading.Event()):
        pass

    assert [signal.getsignal(number) for number in ENDING] == [signal.default_int_handler, *[signal.SIG_DFL] * 2]


def test_what_is_ignored_stays_ignored() -> None:
    """A job in the background of a shell, or under nohup."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    stop = threading.Event()

    with first_one_sets(stop):
        send(signal.SIGINT)

    assert not stop.is_set()


def test_on_another_thread_there_is_nothing_to_hold_back() -> None:
    held: list[bool] = []

    def work() -> None:
        with held_back():
            held.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()

    assert held == [True]


def test_a_closed_terminal_signals_twice_and_the_clean_up_is_finished() -> None:
    code = (
        "import os, signal; from enaxp.ending import as_by_ctrl_c\n"
        "as_by_ctrl_c()\n"
        "try:\n"
        "    try: os.kill(os.getpid(), signal.SIGHUP)\n"
        "    finally: [os.kill(os.getpid(), n) for n in (signal.SIGHUP, signal.SIGTERM)]; print('cleaned up')\n"
        "except KeyboardInterrupt: print('ended once')\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=lambda: [signal.signal(number, signal.SIG_DFL) for number in HANGUPS] and None,
    )

    assert ran.stdout.split("\n")[:2] == ["cleaned up", "ended once"]
