"""The instance metadata service of each VM, as plain HTTP inside its machine meets it at 169.254.169.254.

Who asks is known by the socket that was asked (a machine's own), never by anything in the request.
Source: reference/azure-compute, section 9; the service's published API description; its users' error texts.
"""

import base64
import copy
import json
import threading
from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import unquote

from localcloud.azure import imds_document
from localcloud.azure.attested import AttestedDocuments
from localcloud.azure.ids import ComputeId, location_key
from localcloud.azure.imds_document import VERSIONS
from localcloud.azure.model import Document
from localcloud.azure.service import Azure
from localcloud.azure.vms import Vm
from localcloud.errors import ConnectionLost, ServiceError
from localcloud.machines.machine import Machine
from localcloud.wire import Headers, Request, Response
from localcloud.world import World

PER_SECOND = 5
ATTESTED_SINCE = "2018-10-01"
MAX_NONCE = 32
_NEWEST = ("2025-04-07", "2024-07-17", "2024-03-15")
_BAD_VERSION = "Bad request. api-version is invalid or was not specified in the request."
_NO_HEADER = "Bad request. Required metadata header not specified"


class _Refusal(Exception):
    """An answer that is not 200."""

    def __init__(self, status: int, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status = status
        self.content = {"error": message, **more}


@dataclass(slots=True)
class _Fault:
    status: int  # 0: the connection breaks
    count: int | None


class Metadata:
    """The metadata services of a world: `world.part(Metadata)`. Threads may share it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._lock = threading.Lock()
        self._asked: dict[str, deque[datetime]] = {}
        self._faults: dict[str, _Fault] = {}
        self._impostors: dict[str, Vm] = {}
        self.per_second = PER_SECOND  # of each VM, in real time

    def fail(self, machine: Machine, *, status: int = 410, count: int | None = 1) -> None:
        """Let the service of one machine answer like this: 410 (try later), 429, 500, or 0 (no answer at all).

        `count` None: until `mend`.
        """
        with self._lock:
            self._faults[machine.name] = _Fault(status, count)

    def mend(self, machine: Machine) -> None:
        """Let it answer as it should again, and for its own VM."""
        with self._lock:
            self._faults.pop(machine.name, None)
            self._impostors.pop(machine.name, None)

    def pretend(self, machine: Machine, vm: Vm) -> None:
        """Let a machine show another VM's documents, as one does that relays its questions to that VM."""
        with self._lock:
            self._impostors[machine.name] = vm

    def attested(self, vm: Vm, nonce: str) -> str:
        """What the service of `vm` answers to a question for its attested document, without anybody who asks."""
        return json.dumps(self._envelope(vm, _document(vm), nonce))

    def answer(self, machine: Machine, request: Request) -> Response:
        """One request from inside `machine`. ConnectionLost if a fault says so."""
        try:
            self._fault(machine)
            return self._answered(machine, request)
        except _Refusal as refused:
            return _response(refused.status, json.dumps(refused.content), "application/json; charset=utf-8")

    def _answered(self, machine: Machine, request: Request) -> Response:
        query = {name.lower(): value for name, value in request.query_items()}
        path = unquote(request.path).strip("/")
        room, _, rest = path.partition("/")
        if room.lower() != "metadata":
            raise _Refusal(404, "Not found")
        if request.method != "GET":
            raise _Refusal(405, "Method not allowed")
        if request.headers.get("Metadata").lower() != "true" or "X-Forwarded-For" in request.headers:
            raise _Refusal(400, _NO_HEADER)
        self._limit(machine)
        if rest.lower() == "versions":
            return _json({"apiVersions": list(VERSIONS)})
        version = query.get("api-version", "")
        if version not in VERSIONS:
            raise _Refusal(400, _BAD_VERSION, **{"newest-versions": list(_NEWEST)})
        kind, _, inner = rest.partition("/")
        if kind.lower() == "instance":
            return self._instance(machine, inner, version=version, form=query.get("format", "json"))
        if rest.lower() == "attested/document" and version >= ATTESTED_SINCE:
            return self._attested(machine, query.get("nonce", ""))
        if rest.lower() == "identity/oauth2/token":
            raise _Refusal(400, "invalid_request", error_description="Identity not found")
        raise _Refusal(404, "Not found")

    def _instance(self, machine: Machine, inner: str, *, version: str, form: str) -> Response:
        vm, document = self._resource(machine)
        value: Any = imds_document.instance(
            document, resource=_parsed(vm), vm_id=vm.vm_id, version=version, address=machine.spec.ip
        )
        for part in (part for part in inner.split("/") if part):
            value = _child(value, part)
        if form.lower() == "text":
            return _response(200, _as_text(value), "text/plain; charset=utf-8")
        if isinstance(value, str):
            raise _Refusal(400, "Bad request. Leaf nodes have the format text only.")
        return _json(value)

    def _attested(self, machine: Machine, nonce: str) -> Response:
        if len(nonce) > MAX_NONCE:
            raise _Refusal(400, f"Bad request. The nonce is longer than {MAX_NONCE} characters.")
        vm, document = self._resource(machine)
        return _json(self._envelope(vm, document, nonce))

    def _envelope(self, vm: Vm, document: Document, nonce: str) -> dict[str, str]:
        signed = self._world.part(AttestedDocuments).document(
            subscription_id=_parsed(vm).subscription,
            vm_id=vm.vm_id,
            nonce=nonce,
            location=location_key(str(document["location"])),
            image=imds_document.image(document),
        )
        return {"encoding": "pkcs7", "signature": base64.b64encode(signed).decode()}

    def _resource(self, machine: Machine) -> tuple[Vm, Document]:
        with self._lock:
            vm = self._impostors.get(machine.name)
        vm = vm or self._world.part(Azure).vms.of_machine(machine)
        if vm is None:
            raise _Refusal(500, "The service has no data of this machine: it is no virtual machine of the local Azure.")
        try:
            return vm, _document(vm)
        except ServiceError as error:  # deleted meanwhile
            raise _Refusal(404, "Not found") from error

    def _limit(self, machine: Machine) -> None:
        now = self._world.clock.now()
        with self._lock:
            asked = self._asked.setdefault(machine.name, deque())
            while asked and asked[0] <= now - timedelta(seconds=1):
                asked.popleft()
            if len(asked) >= self.per_second:
                raise _Refusal(429, "Too many requests")
            asked.append(now)

    def _fault(self, machine: Machine) -> None:
        with self._lock:
            fault = self._faults.get(machine.name)
            if fault is None:
                return
            if fault.count is not None:
                fault.count -= 1
                if fault.count <= 0:
                    del self._faults[machine.name]
        if fault.status == 0:
            raise ConnectionLost(f"the metadata service of {machine.name} does not answer, on purpose")
        raise _Refusal(fault.status, "An injected fault: try again later.")


def _document(vm: Vm) -> Document:
    with vm.site.state.lock:
        return copy.deepcopy(vm.document)


def _parsed(vm: Vm) -> ComputeId:
    found = ComputeId.parse(vm.id)
    assert found is not None
    return found


def _child(value: Any, part: str) -> Any:
    if isinstance(value, dict):
        for name, inner in value.items():
            if name.lower() == part.lower():
                return inner
    if isinstance(value, list) and part.isdecimal() and int(part) < len(value):
        return value[int(part)]
    raise _Refusal(404, "Not found")


def _as_text(value: Any) -> str:
    """A leaf as it is; of anything else the names of what is in it, with `/` where there is more below."""
    if isinstance(value, str):
        return value
    pairs = enumerate(value) if isinstance(value, list) else value.items()
    return "\n".join(str(name) if isinstance(inner, str) else f"{name}/" for name, inner in pairs)


def _json(content: Any) -> Response:
    return _response(200, json.dumps(content), "application/json; charset=utf-8")


def _response(status: int, text: str, kind: str) -> Response:
    headers = Headers.of({"Content-Type": kind, "Server": "IMDS/150.870.65.1854"})
    return Response(status=status, headers=headers, body=text.encode())
