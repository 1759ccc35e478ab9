"""What an execution in the local cloud works with: the assumed role's credentials, else those of whoever started it.

Source: Systems Manager User Guide, "Setting up Automation" (the role trusts ssm.amazonaws.com, the session is named
after the execution) and "Cross-service confused deputy prevention" (aws:SourceArn of an automation execution).
"""

import threading
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from localcloud.automation.errors import CannotAssumeRole
from localcloud.automation.ports import Setting
from localcloud.aws.iam.rights.model import partition
from localcloud.aws.iam.roles import find_role
from localcloud.aws.iam.trust import SSM, may_assume
from localcloud.aws.ssm.automation.clients import ActingClient, SharedClients
from localcloud.clock import Clock
from localcloud.principals import Credentials, Kind, Principal
from localcloud.world import World

_LIFE = timedelta(hours=1)
_MARGIN = timedelta(minutes=5)  # credentials are renewed before they run out


class CloudSurrounder:
    """Makes surroundings in one Region of a world."""

    def __init__(self, world: World, region: str) -> None:
        self._world = world
        self._region = region
        self._clients = SharedClients(world, region)

    def surroundings(self, setting: Setting) -> "CloudSurroundings":
        """Raises CannotAssumeRole for a role that does not exist or does not trust Systems Manager."""
        principal = self._role(setting) if setting.assume_role else self._starter(setting)
        return CloudSurroundings(
            self._world, region=self._region, setting=setting, principal=principal, clients=self._clients
        )

    def _role(self, setting: Setting) -> Principal:
        world, name = self._world, setting.assume_role.rsplit("/", 1)[-1]
        source = f"arn:{partition(self._region)}:ssm:{self._region}:{world.account}"
        source = f"{source}:automation-execution/{setting.execution_id}"
        found = find_role(world, name)
        if found is None or found.arn != setting.assume_role or not may_assume(world, name, SSM, source_arn=source):
            raise CannotAssumeRole("The defined assume role is unable to be assumed.")
        session = f"Automation-{setting.execution_id}"
        arn = f"arn:{partition(self._region)}:sts::{world.account}:assumed-role/{found.name}/{session}"
        return Principal(kind=Kind.ROLE, arn=arn, role_name=found.name, session=session)

    def _starter(self, setting: Setting) -> Principal:
        identity = setting.starter.identity
        return identity if isinstance(identity, Principal) else self._world.root.principal


class CloudSurroundings:
    """The surroundings of one execution. Threads may share it."""

    def __init__(
        self, world: World, *, region: str, setting: Setting, principal: Principal, clients: SharedClients
    ) -> None:
        self._world = world
        self._region = region
        self._setting = setting
        self._principal = principal
        self._clients = clients
        self._credentials: Credentials | None = None
        self._lock = threading.Lock()

    @property
    def execution_id(self) -> str:
        return self._setting.execution_id

    @property
    def account(self) -> str:
        return self._world.account

    @property
    def region(self) -> str:
        return self._region

    @property
    def partition(self) -> str:
        return partition(self._region)

    @property
    def clock(self) -> Clock:
        return self._world.clock

    @property
    def attachments(self) -> Mapping[str, bytes]:
        return self._setting.attachments

    @property
    def script_environment(self) -> Mapping[str, str]:
        """Where the cloud is; credentials only if the runbook has a role."""
        variables = {
            "AWS_REGION": self._region,
            "AWS_DEFAULT_REGION": self._region,
            **({"AWS_ENDPOINT_URL": self._world.endpoint_url} if self._world.endpoint_url else {}),
        }
        if not self._setting.assume_role:
            return variables
        who = self._current()
        keys = {"AWS_ACCESS_KEY_ID": who.access_key, "AWS_SECRET_ACCESS_KEY": who.secret_key}
        return {**variables, **keys, **({"AWS_SESSION_TOKEN": who.session_token} if who.session_token else {})}

    def client(self, service: str) -> Any:
        """A client whose calls reach the endpoint without a socket."""
        return ActingClient(self._clients.client(service), self._current())

    def _current(self) -> Credentials:
        if self._principal.kind is Kind.ROOT:
            return self._world.root
        now = self._world.clock.now()
        with self._lock:
            held = self._credentials
            if held is None or held.expires_at is None or held.expires_at - _MARGIN <= now:
                held = self._world.credentials.issue(self._principal, expires_at=now + _LIFE)
                self._credentials = held
            return held
