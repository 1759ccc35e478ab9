"""Values of the function runner: what is deployed, what is asked, what comes back, and the limits of the service."""

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

Kind = Literal["RequestResponse", "Event", "DryRun"]

SYNCHRONOUS_PAYLOAD = 6 * 1024 * 1024  # bytes, both ways
EVENT_PAYLOAD = 1024 * 1024  # bytes; Lambda takes 1 MB for asynchronous calls
LOG_TAIL = 4096  # bytes
LATEST = "$LATEST"
UNTRUSTED = "The role defined for the function cannot be assumed by Lambda."
RUNTIME = re.compile(r"python3\.\d+")  # all of them run on the host's own Python


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the service would adjust for an account, and what this host can bear."""

    account_concurrency: int = 1000  # Lambda's default for an account in a Region
    idle: timedelta = timedelta(minutes=5)  # real time after which an unused environment ends
    init: timedelta = timedelta(seconds=10)  # Lambda's own limit of an environment's start
    # More starts than cores at once only make each of them slower; the wait for one's turn counts as nobody's time.
    starts_at_once: int = field(default_factory=lambda: 2 * (os.cpu_count() or 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """A function as one environment runs it: a version's code and configuration, frozen when it was looked up."""

    name: str
    version: str  # $LATEST or a number
    region: str
    arn: str  # as invoked: with the alias or version if one was asked for
    handler: str
    runtime: str
    role_arn: str
    timeout: timedelta
    memory_mb: int
    variables: Mapping[str, str] = field(repr=False)
    layers: tuple[str, ...]  # ARNs
    layer_packages: tuple[bytes, ...] = field(repr=False)
    package: bytes = field(repr=False)
    code_sha256: str
    log_group: str
    log_format: str = "Text"
    log_level: str = ""
    reserved_concurrency: int | None = None

    @property
    def place(self) -> tuple[str, str]:
        """Region and name: what tells one function of the account from all others."""
        return self.region, self.name

    @property
    def role_name(self) -> str:
        """The role without its path."""
        return self.role_arn.rsplit("/", 1)[-1]

    @property
    def fingerprint(self) -> str:
        """Equal for two look-ups exactly if an environment made for one may serve the other."""
        parts = [
            self.place,
            self.version,
            self.handler,
            self.runtime,
            self.role_arn,
            str(self.timeout),
            self.memory_mb,
            sorted(self.variables.items()),
            self.layers,
            self.code_sha256,
            self.log_group,
            self.log_format,
            self.log_level,
        ]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One invocation on its way to an environment."""

    request_id: str
    payload: bytes
    arn: str  # as the caller named the function
    client_context: str = ""  # JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What an environment made of one invocation. `error` means that the payload describes a failure."""

    payload: bytes
    error: bool
    log_tail: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """Lambda's answer to Invoke."""

    status: int  # 200; 202 for Event, 204 for DryRun
    payload: bytes = b""
    function_error: str = ""  # "Unhandled" if the function failed; status is 200 all the same
    log_tail: bytes = b""  # the last 4 KB of this invocation's log
    executed_version: str = ""
    request_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadEvent:
    """An asynchronous event that was given up."""

    function_name: str
    region: str
    payload: bytes
    request_id: str
    attempts: int
    reason: str  # RetriesExhausted, EventAgeExceeded, Unsupported, or the code with which Lambda refused the attempt


def error_document(kind: str, message: str) -> bytes:
    """What a caller gets instead of the function's answer."""
    return json.dumps({"errorType": kind, "errorMessage": message}).encode()


def failure(kind: str, message: str, *, request_id: str) -> bytes:
    """The error document that Lambda itself writes when the function cannot."""
    return error_document(kind, f"RequestId: {request_id} Error: {message}")
