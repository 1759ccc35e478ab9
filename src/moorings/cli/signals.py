"""Signals, for commands that stay: what ends them, and how they wait for it."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


def stop_politely() -> None:
    """From now on a polite kill (a timeout, a closed terminal) ends this process like Ctrl-C, with all that it made."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is threading.main_thread():
        for each in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(each, interrupt)


def wait_for_the_end() -> None:
    """Block until Ctrl-C or a polite kill."""
    ended = threading.Event()
    with _handled_by(lambda *_: ended.set(), signal.SIGINT, signal.SIGTERM):
        ended.wait()


@contextmanager
def undisturbed() -> Iterator[None]:
    """While the block runs, neither Ctrl-C nor a polite kill ends it, however often: it takes down what was made."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # A handler that does nothing: what is ignored would be ignored by whatever is started meanwhile, too.
    with _handled_by(lambda *_: None, signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        yield


@contextmanager
def _handled_by(handler: Callable[..., object], *signals: signal.Signals) -> Iterator[None]:
    before = {each: signal.signal(each, handler) for each in signals}
    try:
        yield
    finally:
        for each, former in before.items():
            signal.signal(each, former)
