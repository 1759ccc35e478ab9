"""The monitors of long-running operations: their URLs and answers. Source: reference/azure-compute, section 4."""

from datetime import timedelta
from urllib.parse import quote

from localcloud.azure.errors import ArmError
from localcloud.azure.ids import COMPUTE, location_key
from localcloud.azure.operations import Operation, Status
from localcloud.azure.site import Call, Reply, Site

_SECOND = timedelta(seconds=1)


def first_headers(site: Site, operation: Operation, call: Call) -> dict[str, str]:
    """What the first answer of an operation says about where to look on."""
    url = _url(operation, call)
    headers = {"Azure-AsyncOperation": url}
    if operation.retrievable:
        headers["Location"] = f"{url}&monitor=true"
    return headers | retry_after(site)


def retry_after(site: Site) -> dict[str, str]:
    """When to look again: whole seconds, never 0, which clients take for absent."""
    if site.choices.retry_after is None:
        return {}
    unscaled = site.choices.retry_after
    ratio = site.clock.scaled(_SECOND) / _SECOND
    return {"Retry-After": str(max(1, round(unscaled * ratio)))}


def get(site: Site, call: Call) -> Reply:
    """The status of an operation, or (`monitor=true`) its result."""
    operation = site.state.operations.find(call.route.name)
    known = (
        operation is not None
        and operation.subscription.lower() == call.route.subscription.lower()
        and location_key(operation.location) == location_key(call.route.location)
        and call.query.get("p") == operation.ticket
    )
    gone = site.faults.happens("gone", call.route.action, call.route.scope)
    if operation is None or not known or gone:
        raise ArmError(404, "NotFound", f"The operation '{call.route.name}' was not found.")
    waiting = retry_after(site) if operation.status is Status.IN_PROGRESS else {}
    if call.query.get("monitor", "").lower() != "true":
        return Reply(status=200, document=operation.monitor(), headers=waiting)
    if operation.status is Status.IN_PROGRESS:
        return Reply(status=202, headers={"Location": f"{_url(operation, call)}&monitor=true", **waiting})
    if operation.error is not None:
        raise operation.error
    result = operation.result()
    return Reply(status=204 if result is None else 200, document=result)


def _url(operation: Operation, call: Call) -> str:
    return (
        f"{call.host}/subscriptions/{operation.subscription}/providers/{COMPUTE}/locations/"
        f"{quote(location_key(operation.location))}/{operation.family}/{operation.id}"
        f"?p={operation.ticket}&api-version={call.version}"
    )
