"""HTTP as values: what the endpoints take and answer, whether it came over a socket or from a test at the HTTP seam."""

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import parse_qsl


@dataclass(frozen=True, slots=True)
class Headers:
    """Header fields in the order sent; look-up ignores case and takes the first."""

    items: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, source: Mapping[str, str] | Iterable[tuple[str, str]]) -> "Headers":
        pairs = source.items() if isinstance(source, Mapping) else source
        return cls(tuple((str(name), str(value)) for name, value in pairs))

    def get(self, name: str, default: str = "") -> str:
        wanted = name.lower()
        return next((value for key, value in self.items if key.lower() == wanted), default)

    def all(self, name: str) -> list[str]:
        wanted = name.lower()
        return [value for key, value in self.items if key.lower() == wanted]

    def __contains__(self, name: str) -> bool:
        return any(key.lower() == name.lower() for key, _ in self.items)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request. `path` is as sent (still percent-encoded), `query` the raw query string, `body` de-chunked."""

    method: str
    path: str
    query: str = ""
    headers: Headers = field(default_factory=Headers)
    body: bytes = b""
    source_ip: str = "127.0.0.1"

    def query_items(self) -> list[tuple[str, str]]:
        return parse_qsl(self.query, keep_blank_values=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """One answer."""

    status: int
    headers: Headers = field(default_factory=Headers)
    body: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """An answer that is not ready yet, such as a long poll's: who serves it waits without holding a thread.

    `wait(wake)` calls `wake`, perhaps at once and on any thread, when it is time for `finish`; the function that it
    returns ends the waiting. `finish` gives the answer (an operation's output members, or a Response).
    """

    wait: Callable[[Callable[[], None]], Callable[[], None]]
    finish: Callable[[], Any]


class Endpoint(Protocol):
    """Answers requests; a refusal is an answer too. Threads may share it."""

    def dispatch(self, request: Request) -> Response:
        """Answer one request, and wait for an answer that is held back."""
        ...

    def begin(self, request: Request) -> Response | Held:
        """The same without waiting."""
        ...


def settled(answer: "Response | Held") -> Response:
    """The answer itself, once it is ready: for callers that may block."""
    while isinstance(answer, Held):
        ready = threading.Event()
        end = answer.wait(ready.set)
        try:
            ready.wait()
        finally:
            end()
        answer = answer.finish()
    return answer
