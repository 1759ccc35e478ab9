"""Resource Manager: every request from its bytes to its answer, in the order in which the real one refuses.

Path and version, token, Resource Manager's throttling, rights, locks, compute's throttling, then the operation itself.
"""

import json
import re
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from email.utils import format_datetime
from typing import Any
from urllib.parse import quote

from localcloud.azure import directory, disks, monitors, snapshots, virtual_machines, vm_power
from localcloud.azure.calls import ArmCall, ArmCalls
from localcloud.azure.errors import JSON, ArmError, not_found
from localcloud.azure.ids import key
from localcloud.azure.model import Caller, Disk, Document, Resource, Snapshot, VirtualMachine
from localcloud.azure.routes import Route, find
from localcloud.azure.runner import Runner
from localcloud.azure.site import Call, Reply, Site
from localcloud.azure.throttling import Throttling, policy_of
from localcloud.azure.views import disk_view, machine_view, snapshot_view
from localcloud.wire import Headers, Request, Response

Handler = Callable[[Site, Call], Reply]

HANDLERS: dict[str, Handler] = {
    "disks.get": disks.get,
    "disks.put": disks.put,
    "disks.patch": disks.patch,
    "disks.delete": disks.delete,
    "disks.list": disks.list_all,
    "disks.list_all": disks.list_all,
    "snapshots.get": snapshots.get,
    "snapshots.put": snapshots.put,
    "snapshots.patch": snapshots.patch,
    "snapshots.delete": snapshots.delete,
    "snapshots.list": snapshots.list_all,
    "snapshots.list_all": snapshots.list_all,
    "virtualMachines.get": virtual_machines.get,
    "virtualMachines.instanceView": virtual_machines.get_instance_view,
    "virtualMachines.put": virtual_machines.put,
    "virtualMachines.patch": virtual_machines.patch,
    "virtualMachines.delete": virtual_machines.delete,
    "virtualMachines.list": virtual_machines.list_all,
    "virtualMachines.list_all": virtual_machines.list_all,
    "virtualMachines.list_by_location": virtual_machines.list_all,
    "virtualMachines.attachDetachDataDisks": virtual_machines.attach_detach,
    "virtualMachines.deallocate": vm_power.deallocate,
    "virtualMachines.powerOff": vm_power.power_off,
    "virtualMachines.start": vm_power.start,
    "virtualMachines.restart": vm_power.restart,
    "virtualMachines.redeploy": vm_power.redeploy,
    "virtualMachines.reapply": vm_power.reapply,
    "operations.get": monitors.get,
    "diskOperations.get": monitors.get,
    "subscriptions.get": directory.subscription,
    "groups.get": directory.group,
    "locks.list": directory.locks,
    "permissions.list": directory.permissions,
}

_GROUP = re.compile(r"(/resourceGroups/)([^/\"]+)")
_STALE = frozenset({"disks.get", "snapshots.get", "virtualMachines.get"})

Authenticate = Callable[[Request], Caller]


@dataclass(slots=True)
class _Seen:
    """What is known of a request so far; becomes its record."""

    route: Route | None = None
    principal: str = ""
    status: int = 0
    error_code: str = ""
    headers: dict[str, str] = field(default_factory=dict)


class Arm:
    """Resource Manager over one site. Threads may share it."""

    def __init__(self, site: Site, *, runner: Runner, calls: ArmCalls, authenticate: Authenticate) -> None:
        self._site = site
        self._runner = runner
        self._calls = calls
        self._authenticate = authenticate
        self._throttling = Throttling()

    def answer(self, request: Request) -> Response:
        """The answer to one request; ConnectionLost if a fault wants it lost. Every request is in the log."""
        seen = _Seen(headers={"Date": format_datetime(self._site.clock.now(), usegmt=True)})
        lost = True
        try:
            try:
                response = self._carry_out(request, seen)
            except ArmError as error:
                response = error.response()
                seen.error_code = error.code
            seen.status = response.status
            if seen.route is not None:
                self._site.faults.after(seen.route.action, seen.route.scope)
            lost = False
        finally:
            self._note(request, seen, lost=lost)
        return _completed(request, response, seen)

    def _carry_out(self, request: Request, seen: _Seen) -> Response:
        route = seen.route = find(request.method, request.path)
        query = dict(request.query_items())
        version = _version(route, query)
        caller = self._authenticate(request)
        seen.principal = caller.object_id
        delay = self._site.faults.delay(route.action, route.scope)
        if delay:
            time.sleep(delay)
        self._site.faults.before(route.action, route.scope)
        self._runner.settle()
        call = Call(
            route=route,
            caller=caller,
            now=self._site.clock.now(),
            host=f"https://{request.headers.get('Host', 'localhost')}",
            version=version,
            query=query,
            body=_body(request),
            if_match=request.headers.get("If-Match"),
            if_none_match=request.headers.get("If-None-Match"),
        )
        with self._site.state.lock:
            reply = self._admit(request, call, seen)
        if reply.operation is not None:
            self._runner.begin(reply.operation)
        return self._render(request, call, reply)

    def _admit(self, request: Request, call: Call, seen: _Seen) -> Reply:
        """Refuse what Resource Manager refuses, then let the provider handle the call."""
        site, route = self._site, call.route
        unit = site.clock.scaled(site.choices.durations.throttle_unit)
        if site.choices.throttling:
            principal = call.caller.object_id
            seen.headers |= self._throttling.arm(route, request.method, principal, now=call.now, unit=unit)
        site.rbac.check(call.caller, route.action, route.scope, anywhere=route.anywhere)
        site.locks.check(request.method, route.scope)
        policy = policy_of(route.operation, new=key(route.scope) not in site.state.machines)
        if policy and site.choices.throttling:
            target = self._throttled_machine(route)
            seen.headers |= self._throttling.compute(route, policy, target, now=call.now, unit=unit)
        if self._reads_stale(route):
            return _stale(site.state.previous[key(route.scope)], route)
        before = None if request.method == "GET" else site.state.resource(route.scope)
        shown = _view(site, before, call) if before is not None else None
        reply = HANDLERS[route.operation](site, call)
        if reply.operation is not None:
            site.state.previous[key(route.scope)] = shown
            reply.operation.claimed = True  # until its first hardware work is done
            site.faults.shape(reply.operation, route.action, route.scope)
            site.state.forget(call.now)
            site.state.operations.add(reply.operation)
        return reply

    def _reads_stale(self, route: Route) -> bool:
        if route.operation not in _STALE or key(route.scope) not in self._site.state.previous:
            return False
        return self._site.faults.happens("stale", route.action, route.scope)

    def _throttled_machine(self, route: Route) -> str:
        """The virtual machine whose bucket a call empties; a monitor counts for the one that its operation writes."""
        if route.kind == "virtualMachines":
            return route.scope if route.name else ""
        operation = self._site.state.operations.find(route.name)
        held = operation.holds if operation is not None else ()
        return next((each for each in held if each in self._site.state.machines), "")

    def _render(self, request: Request, call: Call, reply: Reply) -> Response:
        headers = dict(reply.headers)
        if reply.operation is not None:
            headers |= monitors.first_headers(self._site, reply.operation, call)
        document = reply.document
        if isinstance(document, list):
            document = _page(request, call, document, self._site.choices.page_size)
        if document is None:
            return Response(status=reply.status, headers=Headers.of(headers))
        text = json.dumps(document)
        if self._site.choices.upper_case_groups:
            text = _GROUP.sub(lambda match: match[1] + match[2].upper(), text)
        return Response(status=reply.status, headers=Headers.of({"Content-Type": JSON, **headers}), body=text.encode())

    def _note(self, request: Request, seen: _Seen, *, lost: bool) -> None:
        self._calls.append(
            ArmCall(
                action=seen.route.action if seen.route else "",
                operation=seen.route.operation if seen.route else "",
                method=request.method,
                resource=seen.route.scope if seen.route else request.path,
                status=seen.status,
                error_code=seen.error_code,
                at=self._site.clock.now(),
                client_request_id=request.headers.get("x-ms-client-request-id"),
                principal=seen.principal,
                lost=lost,
            )
        )


def _version(route: Route, query: Mapping[str, str]) -> str:
    given = query.get("api-version", "")
    if not given:
        raise ArmError(
            400,
            "MissingApiVersionParameter",
            "The api-version query parameter (?api-version=) is required for all requests.",
        )
    if given not in route.versions:
        raise ArmError(
            400,
            "InvalidApiVersionParameter",
            f"The api-version '{given}' is invalid. The supported versions are '{','.join(route.versions)}'.",
        )
    return given


def _body(request: Request) -> Document | None:
    if not request.body:
        return None
    kind = request.headers.get("Content-Type").partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        raise ArmError(415, "UnsupportedMediaType", f"The content media type '{kind}' is not supported.")
    try:
        found = json.loads(request.body)
    except ValueError as error:
        raise ArmError(400, "InvalidRequestContent", f"The request content was invalid: {error}") from error
    if not isinstance(found, dict):
        raise ArmError(400, "InvalidRequestContent", "The request content was invalid: a JSON object is needed.")
    return found


def _page(request: Request, call: Call, items: list[Any], size: int) -> Document:
    """A list's page, with the absolute URL of the next one."""
    token = call.query.get("$skiptoken", "0")
    start = int(token) if token.isdecimal() else 0
    page: Document = {"value": items[start : start + size]}
    if start + size < len(items):
        rest = "&".join(
            f"{quote(name, safe='$')}={quote(value)}" for name, value in call.query.items() if name != "$skiptoken"
        )
        page["nextLink"] = f"{call.host}{request.path}?{rest}&$skiptoken={start + size}"
    return page


def _view(site: Site, resource: Resource, call: Call) -> Document:
    if isinstance(resource, Disk):
        return disk_view(resource, site.state)
    if isinstance(resource, Snapshot):
        return snapshot_view(resource, call.now)
    assert isinstance(resource, VirtualMachine)
    return machine_view(resource, site.hardware, expand="instanceView")


def _stale(before: Document | None, route: Route) -> Reply:
    if before is None:
        raise not_found(route.kind, route.name, route.group)
    return Reply(status=200, document=before)


def _completed(request: Request, response: Response, seen: _Seen) -> Response:
    """The answer with what every answer of Resource Manager carries."""
    own = str(uuid.uuid4())
    extra = [
        ("x-ms-request-id", own),
        ("x-ms-correlation-request-id", own),
        ("x-ms-routing-request-id", f"LOCALCLOUD:{own}"),
        ("Cache-Control", "no-cache"),
        *(item for item in seen.headers.items() if item[0] not in response.headers),
    ]
    asked = request.headers.get("x-ms-client-request-id")
    if asked and request.headers.get("x-ms-return-client-request-id").lower() == "true":
        extra.append(("x-ms-client-request-id", asked))
    return replace(response, headers=Headers((*response.headers.items, *extra)))
