"""Answers that are held back: they hold no thread, come when they are ready, and are dropped with their client."""

import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import pytest

from localcloud.clock import monotonic
from localcloud.server import Server, loopback_socket
from localcloud.wire import Held, Request, Response, settled


class Holding:
    """Holds every answer to /held back until `let_go`."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], None]] = []

    def answer(self, request: Request) -> Response | Held:
        if request.path != "/held":
            return Response(status=200, body=b"at once")
        return Held(wait=self._wait, finish=lambda: Response(status=200, body=b"at last"))

    def let_go(self) -> None:
        for wake in list(self.waiting):
            wake()

    def _wait(self, wake: Callable[[], None]) -> Callable[[], None]:
        self.waiting.append(wake)
        return lambda: self.waiting.remove(wake)


@pytest.fixture
def holding() -> Holding:
    return Holding()


@pytest.fixture
def port(holding: Holding) -> Iterator[int]:
    server = Server(threads=1)
    server.start()
    yield server.serve_calls(holding.answer, loopback_socket()).port
    server.close()


def ask(port: int, path: str) -> http.client.HTTPConnection:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", path)
    return connection


def until(condition: Callable[[], bool]) -> None:
    end = monotonic() + 60
    while not condition():
        assert monotonic() < end
        time.sleep(0.005)


def test_many_held_answers_leave_the_only_thread_free(holding: Holding, port: int) -> None:
    with ExitStack() as opened:
        held = [opened.enter_context(closing(ask(port, "/held"))) for _ in range(20)]
        until(lambda: len(holding.waiting) == 20)

        assert opened.enter_context(closing(ask(port, "/"))).getresponse().read() == b"at once"

        holding.let_go()
        assert {one.getresponse().read() for one in held} == {b"at last"}
        assert not holding.waiting


def test_a_held_answer_is_dropped_with_its_client(holding: Holding, port: int) -> None:
    connection = ask(port, "/held")
    until(lambda: len(holding.waiting) == 1)

    assert connection.sock is not None
    connection.sock.shutdown(socket.SHUT_RDWR)
    connection.close()

    until(lambda: not holding.waiting)


def test_who_may_block_waits_for_a_held_answer(holding: Holding) -> None:
    answers: list[bytes] = []
    held = holding.answer(Request(method="GET", path="/held"))
    thread = threading.Thread(target=lambda: answers.append(settled(held).body))
    thread.start()
    until(lambda: len(holding.waiting) == 1)

    holding.let_go()
    thread.join(60)

    assert answers == [b"at last"]
