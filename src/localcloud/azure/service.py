"""One local Azure: `world.part(Azure)`. A tenant, a subscription, Resource Manager and the token service on one port.

`azure.dispatch(request)` is the seam that the TLS listener (`arm_url`) and in-process clients (`seam`) share.
"""

import threading
import uuid
from datetime import timedelta
from pathlib import Path

from localcloud.azure.arm import Arm
from localcloud.azure.attested import Anchors, AttestedDocuments
from localcloud.azure.calls import ArmCalls
from localcloud.azure.choices import Choices
from localcloud.azure.entra import RESOURCES, Entra
from localcloud.azure.errors import ArmError
from localcloud.azure.faults import AzureFaults
from localcloud.azure.hardware import Hardware
from localcloud.azure.hardware_machines import MachineHardware
from localcloud.azure.locks import Locks
from localcloud.azure.model import Caller, Group
from localcloud.azure.rbac import Rbac
from localcloud.azure.runner import Runner
from localcloud.azure.site import Site
from localcloud.azure.state import State
from localcloud.azure.tokens import InvalidToken, Tokens
from localcloud.azure.vms import Vms
from localcloud.server import Listener, Server, loopback_socket, started_server
from localcloud.wire import Request, Response
from localcloud.world import World

NAMES = ("localhost", "127.0.0.1")
_ARM = "https://management.azure.com"
_WRONG_AUDIENCE = "InvalidAuthenticationTokenAudience"
_LONG = timedelta(days=3650)


class Azure:
    """A tenant of Azure on loopback. Threads may share it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._lock = threading.Lock()
        self._tokens = world.part(Tokens)
        self._listener: Listener | None = None
        self._operator = str(uuid.uuid5(uuid.NAMESPACE_OID, f"localcloud operator {world.account}"))
        self.entra = world.part(Entra)
        self.tenant_id = self._tokens.tenant_id
        self.subscription_id = str(uuid.uuid5(uuid.NAMESPACE_OID, f"localcloud subscription {world.account}"))
        self.faults = AzureFaults()
        self.calls = ArmCalls()
        self.rbac = Rbac()
        self.locks = Locks()
        self.choices = Choices()
        self.state = State(subscription=self.subscription_id)
        self._runner = Runner(self.state, world.clock)
        self._site = Site(
            state=self.state,
            clock=world.clock,
            hardware=MachineHardware(world.state_dir / "azure-disks"),
            choices=self.choices,
            faults=self.faults,
            rbac=self.rbac,
            locks=self.locks,
            tenant_id=self.tenant_id,
        )
        self._arm = Arm(self._site, runner=self._runner, calls=self.calls, authenticate=self._authenticate)
        self.vms = Vms(self._site, subscription=self.subscription_id)

    @property
    def hardware(self) -> Hardware:
        """What disks and virtual machines stand on; exchange it before the first of them is made."""
        return self._site.hardware

    @hardware.setter
    def hardware(self, hardware: Hardware) -> None:
        self._site.hardware = hardware

    @property
    def arm_url(self) -> str:
        """Where Resource Manager answers (TLS, the world's authority); the listener opens with the first look."""
        with self._lock:
            if self._listener is None:
                server: Server = self._world.part(started_server)
                tls = self._world.authority.context_for(NAMES)
                self._listener = server.serve_calls(self.dispatch, loopback_socket(), tls)
            return f"https://localhost:{self._listener.port}"

    @property
    def authority_url(self) -> str:
        """Where the token service answers: the same listener."""
        return self.arm_url

    @property
    def anchors(self) -> Anchors:
        """What a verifier of this Azure's attested documents must trust, as PEM."""
        return self._world.part(AttestedDocuments).anchors

    def dispatch(self, request: Request) -> Response:
        """Answer one request, to Resource Manager or to the token service."""
        if self.entra.answers(request.path):
            return self.entra.answer(request)
        return self._arm.answer(request)

    def operator(self) -> str:
        """A bearer token that may do everything, for tests and set-ups."""
        return self._tokens.issue(self._operator, self._operator, _ARM, lifetime=_LONG)

    def resource_group(self, name: str, *, location: str = "eastus", tags: dict[str, str] | None = None) -> str:
        """The id of a resource group, which is made if it is not there."""
        with self.state.lock:
            made = self.state.add_group(
                self.subscription_id, Group(name=name, location=location, tags=dict(tags or {}))
            )
        return f"/subscriptions/{self.subscription_id}/resourceGroups/{made.name}"

    def files_of(self, resource_id: str) -> Path:
        """The directory with the files of a disk or snapshot. KeyError if there is none with this id."""
        with self.state.lock:
            found = self.state.resource(resource_id)
        if found is None:
            raise KeyError(resource_id)
        return self._site.hardware.path(found.unique_id)

    def settle(self) -> None:
        """Let operations whose time has come take effect now, not at the next request."""
        self._runner.settle()

    def close(self) -> None:
        """End what works in the background. Safe to repeat."""
        self._runner.close()

    def _authenticate(self, request: Request) -> Caller:
        scheme, _, bearer = request.headers.get("Authorization").partition(" ")
        if scheme.lower() != "bearer" or not bearer:
            raise ArmError(401, "AuthenticationFailed", "Authentication failed. The 'Authorization' header is missing.")
        refusal: InvalidToken | None = None
        for audience in sorted(RESOURCES):
            try:
                claims = self._tokens.verify(bearer.strip(), audience)
            except InvalidToken as error:
                refusal = error
                if error.code != _WRONG_AUDIENCE:
                    break
            else:
                return Caller(
                    object_id=claims.principal,
                    application_id=claims.app_id,
                    operator=claims.principal == self._operator,
                )
        assert refusal is not None
        code = "InvalidAuthenticationToken" if refusal.code == _WRONG_AUDIENCE else refusal.code
        raise ArmError(401, code, refusal.message)
