"""Simulated nodes: they ask, pause and ask again as the bootstrap script does, then register with what they got.

One thread each, no process, no disk: what is measured is the service. Their public keys are random numbers, since
making a thousand real key pairs takes minutes, and registration asks for no proof of the private half.
"""

import json
import random
import re
import secrets
import threading
import time
import uuid
from base64 import b64encode
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.resources import files

from bench.stand.deployment import Stand
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from localcloud.aws.ssm.nodes import ManagedNodes
from localcloud.errors import ConnectionLost, ServiceError

_SCRIPT = files("moorings.enrolment.bootstrap").joinpath("linux.sh").read_text()


def _setting(name: str) -> float:
    """A number of the bootstrap script, so that the nodes here never differ from those out there."""
    found = re.search(rf"^ *default {name} (\S+)", _SCRIPT, re.MULTILINE)
    if found is None:
        raise LookupError(f"linux.sh sets no {name}")
    return float(found[1])


RETRY_BASE = _setting("MOORINGS_RETRY_BASE")  # seconds
RETRY_CAP = _setting("MOORINGS_RETRY_CAP")  # seconds
DEADLINE = _setting("MOORINGS_DEADLINE")  # seconds


def pause(attempt: int, retry_after: float, *, rng: random.Random) -> float:
    """Seconds until the script asks again: what the answer says, plus full jitter under a growing ceiling."""
    return retry_after + rng.uniform(0, min(RETRY_CAP, RETRY_BASE * 2 ** min(attempt, 10)))


@dataclass(slots=True)
class Node:
    """One booting server and what became of it."""

    number: int
    keyed: bool
    rng: random.Random
    losing: float = 0.0  # how likely an answer of the API does not reach it
    key: str = ""
    asked_at: float = 0.0  # monotonic seconds
    answered_at: float = 0.0
    activation_id: str = ""
    registered: bool = False
    refusal: str = ""  # of its registration
    answers: Counter[int] = field(default_factory=Counter)  # by status; 0: none came

    @property
    def seconds(self) -> float:
        """From the first ask to the code."""
        return self.answered_at - self.asked_at

    def enrol(self, stand: Stand, public_key: str) -> None:
        """Ask until there is a code or the script would give up, then register with the first one."""
        self.asked_at, attempt = time.monotonic(), 0
        while True:
            status, retry_after, body = self._ask(stand)
            self.answers[status] += 1
            if status == 200 or (400 <= status < 500 and status != 429):
                break
            delay = pause(attempt, retry_after, rng=self.rng)
            if time.monotonic() + delay - self.asked_at >= DEADLINE:
                break
            time.sleep(delay)
            attempt += 1
        self.answered_at = time.monotonic()
        if status == 200:
            self._register(stand, json.loads(body), public_key)

    def _ask(self, stand: Stand) -> tuple[int, float, bytes]:
        body = {"key": self.key, "node": {"name": f"node-{self.number}"}} if self.keyed else None
        method, route = ("POST", "/activations") if self.keyed else ("GET", "/")
        address = f"10.1.{self.number // 250}.{self.number % 250 + 1}"
        try:
            response = stand.ask(method, route, body, source_ip=address)
        except ConnectionLost:
            return 0, 0, b""
        if self.rng.random() < self.losing:
            return 0, 0, b""
        return response.status, float(response.headers.get("Retry-After") or 0), response.body

    def _register(self, stand: Stand, answer: dict[str, str], public_key: str) -> None:
        self.activation_id = answer["ActivationId"]
        try:
            stand.cloud.world.part(ManagedNodes).register(
                activation_id=answer["ActivationId"],
                code=answer["ActivationCode"],
                fingerprint=str(uuid.UUID(int=self.number)),
                public_key=public_key,
                region=answer["Region"],
            )
        except ServiceError as refusal:
            self.refusal = refusal.code
        else:
            self.registered = True


def public_keys(count: int) -> list[str]:
    """So many different RSA public keys of 2,048 bits, in the form that the agent sends."""
    return [_public_key() for _ in range(count)]


def _public_key() -> str:
    modulus = (1 << 2047) | secrets.randbits(2046) << 1 | 1
    made = rsa.RSAPublicNumbers(e=65537, n=modulus).public_key()
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return b64encode(made.public_bytes(serialization.Encoding.DER, form)).decode()


def boot(stand: Stand, *, count: int, keyed: bool, losing: float, seed: int) -> Sequence[Node]:
    """So many nodes ask at the same moment; returns once each has its code or has given up."""
    nodes = []
    for number in range(count):
        rng = random.Random(f"{seed}/{number}")
        key = str(uuid.UUID(int=rng.getrandbits(128), version=4)) if keyed else ""
        nodes.append(Node(number=number, keyed=keyed, rng=rng, losing=losing, key=key))
    start = threading.Barrier(count)

    def run(node: Node, public_key: str) -> None:
        start.wait()
        node.enrol(stand, public_key)

    keys = public_keys(count)
    threads = [threading.Thread(target=run, args=each, daemon=True) for each in zip(nodes, keys, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return nodes
