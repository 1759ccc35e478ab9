"""What can go wrong, by who has to act. HTTP status and exit code hang on the family, in one table.

    MooringsError
    ├── Invalid         the request is malformed                 400  exit 2   the caller mends it
    ├── Refused         the caller may not                       403  exit 3   the operator may allow it
    ├── Conflict        it clashes with what is there            409  exit 3   look, then decide
    ├── Busy            not now; says when to try again          503  exit 4   the caller tries again
    │   └── RateLimited too many, by a limit of ours             429  exit 4   the caller tries again later
    ├── CloudFault      a cloud's API failed                     503  exit 5   names call and request id
    └── Misconfigured   a setting is wrong                       500  exit 2   the operator fixes it

Anything else that reaches an outermost door is our bug: 500, exit 70. A message names the thing and the fact, `remedy`
what to do; neither ever holds a secret.
"""

from dataclasses import dataclass
from datetime import timedelta


class MooringsError(Exception):
    """Root of the product's own errors: a message, and the remedy."""

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy


class Invalid(MooringsError):
    """The request cannot be understood; sending it again changes nothing."""


class Refused(MooringsError):
    """The caller may not. What is said outward never tells why (invariant 10)."""


class Conflict(MooringsError):
    """What was asked for clashes with what is there."""


class Busy(MooringsError):
    """Nothing is wrong, but not now; `retry_after` is when to ask again."""

    def __init__(self, message: str, *, retry_after: timedelta, remedy: str = "try again") -> None:
        super().__init__(message, remedy=remedy)
        self.retry_after = retry_after


class RateLimited(Busy):
    """A limit that the operator set is reached for now."""


class CloudFault(MooringsError):
    """A cloud's API failed in a way that is not the caller's doing; names the call and the request id."""

    def __init__(
        self, message: str, *, call: str, request_id: str = "", code: str = "", remedy: str = "try again"
    ) -> None:
        super().__init__(message, remedy=remedy)
        self.call = call
        self.request_id = request_id
        self.code = code


class Misconfigured(MooringsError):
    """A setting is missing or wrong; names it."""


@dataclass(frozen=True, slots=True)
class Family:
    """How a family of errors shows outside: HTTP status, exit code, and the word in the body's `error`."""

    http_status: int
    exit_code: int
    word: str


OK_EXIT = 0
NOT_WELL_EXIT = 1  # done, but not well: some nodes refused, a rollback happened
OUR_BUG = Family(500, 70, "internal")

# Most specific first: the first match counts.
FAMILIES: tuple[tuple[type[MooringsError], Family], ...] = (
    (RateLimited, Family(429, 4, "rate_limited")),
    (Busy, Family(503, 4, "busy")),
    (Invalid, Family(400, 2, "invalid")),
    (Refused, Family(403, 3, "refused")),
    (Conflict, Family(409, 3, "conflict")),
    (CloudFault, Family(503, 5, "cloud_fault")),
    (Misconfigured, Family(500, 2, "misconfigured")),
)


def family_of(error: BaseException) -> Family:
    """The family of any error; what is not ours is our bug."""
    return next((family for kind, family in FAMILIES if isinstance(error, kind)), OUR_BUG)
