"""A local Azure for tests: stepped or fast, with requests by hand and the real SDK's clients on top."""

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from azure.mgmt.compute import ComputeManagementClient

from localcloud.azure.seam import URL, Bearer, transport
from localcloud.azure.service import Azure
from localcloud.clock import SteppedClock
from localcloud.wire import Headers, Request

VERSIONS = {"disks": "2026-03-02", "snapshots": "2026-03-02", "virtualMachines": "2026-04-01"}


@dataclass(frozen=True)
class Answer:
    """What came back; `body` is None if there was none."""

    status: int
    headers: Headers
    body: Any

    @property
    def code(self) -> str:
        """The error code, empty for a good answer."""
        if self.status < 400:
            return ""
        return str((self.body.get("error") or self.body)["code"])


class Arm:
    """Requests to a local Azure by hand, as its operator or with another token."""

    def __init__(self, azure: Azure, clock: SteppedClock, *, token: str = "") -> None:
        self.azure = azure
        self.clock = clock
        self.token = token or azure.operator()

    def send(
        self, method: str, target: str, body: Any = None, *, version: str = "", headers: dict[str, str] | None = None
    ) -> Answer:
        """One request; `target` is an id or a URL of an answer, a version is added where it is missing."""
        path, _, query = target.removeprefix(URL).partition("?")
        if "api-version=" not in query and version != "none":
            kind = next((known for known in VERSIONS if f"/{known.lower()}" in path.lower()), "virtualMachines")
            query = f"api-version={version or VERSIONS[kind]}" + (f"&{query}" if query else "")
        sent = {"Host": "localhost", "Authorization": f"Bearer {self.token}"}
        if body is not None:
            sent["Content-Type"] = "application/json"
        response = self.azure.dispatch(
            Request(
                method=method,
                path=quote(path),
                query=query,
                headers=Headers.of({**sent, **(headers or {})}),
                body=b"" if body is None else json.dumps(body).encode(),
            )
        )
        return Answer(response.status, response.headers, json.loads(response.body) if response.body else None)

    def get(self, target: str) -> Any:
        """The body of a resource that is there."""
        answer = self.send("GET", target)
        assert answer.status == 200, answer
        return answer.body

    def wait(self, answer: Answer, *, limit: timedelta = timedelta(minutes=10)) -> dict[str, Any]:
        """Step the clock until the operation behind `answer` has ended; its last status."""
        assert answer.status in {200, 201, 202}, answer
        monitor = answer.headers.get("Azure-AsyncOperation")
        for _ in range(int(limit / timedelta(seconds=10))):
            status: dict[str, Any] = self.get(monitor)
            if status["status"] != "InProgress":
                return status
            self.clock.step(timedelta(seconds=10))
        raise AssertionError(f"the operation behind {monitor} did not end")

    def do(self, method: str, target: str, body: Any = None) -> Any:
        """An operation that goes well, from its request to its end; the resource afterwards, if there is one."""
        status = self.wait(self.send(method, target, body))
        assert status["status"] == "Succeeded", status
        found = self.send("GET", target)
        return found.body if found.status == 200 else None

    def id(self, kind: str, name: str, group: str = "servers") -> str:
        """The id of a resource."""
        parent = f"/subscriptions/{self.azure.subscription_id}/resourceGroups/{group}"
        return f"{parent}/providers/Microsoft.Compute/{kind}/{name}"

    def client(self, **options: Any) -> ComputeManagementClient:
        """The real SDK's client, in this process."""
        return ComputeManagementClient(
            Bearer(self.token),
            self.azure.subscription_id,
            base_url=URL,
            transport=transport(self.azure.dispatch),
            **{"polling_interval": 0, **options},
        )


def copy_of(source: str, *, location: str = "eastus", **properties: Any) -> dict[str, Any]:
    """The body of a disk or snapshot that is copied from `source`."""
    creation = {"createOption": "Copy", "sourceResourceId": source}
    return {"location": location, "properties": {"creationData": creation, **properties}}
