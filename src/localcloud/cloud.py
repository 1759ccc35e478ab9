"""Start and stop a local cloud: one process, free loopback ports, nothing left behind."""

import os
import platform
import secrets
import shutil
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from localcloud.clock import Clock, SystemClock
from localcloud.faults import Faults
from localcloud.principals import Credentials, Kind, Principal
from localcloud.server import Listener, Server, loopback_socket, started_server
from localcloud.watchdog import Watchdog
from localcloud.world import World

if TYPE_CHECKING:
    import boto3

    from localcloud.aws.apigateway.front import PrivateApis
    from localcloud.aws.functions.service import Functions
    from localcloud.aws.schedules import Schedules
    from localcloud.azure.service import Azure
    from localcloud.machines.fleet import Machines

LOOPBACK = "127.0.0.1,localhost"
PROXIES = ("http_proxy", "https_proxy", "all_proxy")  # in small letters or capitals
_accounts_in_use: set[str] = set()
_accounts_lock = threading.Lock()


class LocalCloud:
    """One emulated AWS account on loopback; use it as a context manager, or `start()` and `stop()` it.

    Several may run side by side in one process: each has its own account number, which keeps moto's global
    backends apart.
    """

    def __init__(
        self,
        *,
        region: str = "us-east-1",
        clock: Clock | None = None,
        scale: float = 1.0,
        account: str | None = None,
        seed: int = 0,
        in_process: bool = False,
        port: int = 0,
    ) -> None:
        """`in_process`: no socket is opened; sessions and clients of this object reach the endpoint directly.

        `clock` wins over `scale`. `account` is chosen if not given. `seed` makes injected faults repeat. `port` is the
        AWS endpoint's, 0 a free one.
        """
        self._account = account
        self._region = region
        self._clock = clock or SystemClock(scale=scale)
        self._seed = seed
        self._in_process = in_process
        self._port = port
        self._world: World | None = None
        self._listener: Listener | None = None
        self._sessions: dict[Credentials, boto3.Session] = {}
        self._sessions_lock = threading.Lock()

    def start(self) -> Self:
        """Open the endpoint; returns once it answers."""
        if self._world is not None:
            raise RuntimeError("this local cloud runs already")
        # With them comes all of the emulated AWS. At once: threads that load moto at the same time meet it half loaded.
        from localcloud.aws import front  # noqa: PLC0415
        from localcloud.aws.endpoint import AwsEndpoint  # noqa: PLC0415

        self._world = World(
            account=_claim_account(self._account),
            region=self._region,
            clock=self._clock,
            state_dir=Path(tempfile.mkdtemp(prefix="localcloud-")),
            serving=AwsEndpoint,
            seed=self._seed,
        )
        try:
            if not self._in_process:
                self._world.part(Watchdog)
                self._listener = front.listen(self._world, loopback_socket(self._port))
                self._world.endpoint_url = self.endpoint_url
                self.schedules.start()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stop every thread, close every socket, forget the account, remove the files. Safe to repeat."""
        world = self._world
        if world is None:
            return
        from localcloud.aws.backends import forget_account  # noqa: PLC0415 - moto is loaded when first needed

        try:
            if self._listener is not None:
                # First nobody new comes in and nobody is answered any more, then the parts end what runs (functions,
                # long polls), then the threads go.
                self.server.close_listeners()
            world.close()
        finally:
            forget_account(world.account)
            shutil.rmtree(world.state_dir, ignore_errors=True)
            _release_account(world.account)
            self._world = None
            self._listener = None
            self._sessions.clear()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def world(self) -> World:
        if self._world is None:
            raise RuntimeError("this local cloud does not run; start() it first")
        return self._world

    @property
    def faults(self) -> Faults:
        return self.world.faults

    @property
    def endpoint_url(self) -> str:
        """Where all AWS services answer, as in AWS_ENDPOINT_URL."""
        if self._listener is None:
            raise RuntimeError("this local cloud listens nowhere; start() it, and not with in_process")
        return f"http://127.0.0.1:{self._listener.port}"

    @property
    def server(self) -> Server:
        """Serves further sockets (machines, private APIs)."""
        return self.world.part(started_server)

    @property
    def functions(self) -> "Functions":
        """The account's Lambda functions: invoke them, read their logs, kill their environments."""
        from localcloud.aws.functions.service import Functions  # noqa: PLC0415 - loaded when first needed

        return self.world.part(Functions)

    @property
    def private_apis(self) -> "PrivateApis":
        """API Gateway's front for private APIs, one listener for each VPC endpoint."""
        from localcloud.aws.apigateway.front import PrivateApis  # noqa: PLC0415 - loaded when first needed

        return self.world.part(PrivateApis)

    @property
    def schedules(self) -> "Schedules":
        """EventBridge's scheduled rules; in-process, or under a `SteppedClock`, `schedules.run_due()` fires them."""
        from localcloud.aws.schedules import Schedules  # noqa: PLC0415 - loaded when first needed

        return self.world.part(Schedules)

    @property
    def machines(self) -> "Machines":
        """The account's servers in any cloud or none: make, boot, and look into them."""
        from localcloud.azure.surroundings import AzureSurroundings  # noqa: PLC0415 - loaded when first needed
        from localcloud.machines.fleet import Machines  # noqa: PLC0415
        from localcloud.machines.surroundings import EmulatedClouds  # noqa: PLC0415

        self.world.part(EmulatedClouds).add("azure", AzureSurroundings)
        return self.world.part(Machines)

    @property
    def azure(self) -> "Azure":
        """The local Azure: its tenant, its subscription, its virtual machines; `arm_url` opens its listener."""
        from localcloud.azure.service import Azure  # noqa: PLC0415 - loaded when first needed

        return self.world.part(Azure)

    @property
    def function_platform(self) -> str:
        """What functions' zips must be built for, such as `python3.11/x86_64`: this host runs them itself."""
        return f"python{sys.version_info.major}.{sys.version_info.minor}/{platform.machine()}"

    @property
    def ca_file(self) -> Path:
        """The certificate that clients of the TLS listeners must trust."""
        return self.world.authority.pem_file

    def environment(self, credentials: Credentials | None = None) -> dict[str, str]:
        """What a child process (the AWS CLI, an SDK) needs in its environment to reach this cloud.

        Where this process is told of a proxy, that too which keeps loopback away from it.
        """
        who = credentials or self.world.root
        variables = {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": who.access_key,
            "AWS_SECRET_ACCESS_KEY": who.secret_key,
            "AWS_REGION": self.world.region,
            "AWS_DEFAULT_REGION": self.world.region,
            **_past_proxies(os.environ),
        }
        if who.session_token:
            variables["AWS_SESSION_TOKEN"] = who.session_token
        return variables

    def assumed(self, role: str) -> Credentials:
        """Credentials of somebody who has taken on a role of this account, to find out what it may do.

        Nobody asks the role's trust policy. LookupError if there is no such role.
        """
        from localcloud.aws.iam.roles import find_role  # noqa: PLC0415 - moto is loaded when first needed

        if (found := find_role(self.world, role)) is None:
            raise LookupError(f"no role {role} in account {self.world.account}")
        session = f"arn:aws:sts::{self.world.account}:assumed-role/{found.name}/somebody"
        return self.world.credentials.issue(Principal(kind=Kind.ROLE, arn=session, role_name=found.name))

    def session(self, credentials: Credentials | None = None) -> "boto3.Session":
        """A boto3 session with these credentials (the operator's if not given); its clients need `endpoint_url`,
        unless the cloud is in-process."""
        from localcloud.aws import sessions  # noqa: PLC0415 - boto3 takes as long to load as the rest to start

        made = sessions.session(credentials or self.world.root, region=self.world.region)
        if self._in_process:
            from localcloud.aws.seam import attach  # noqa: PLC0415 - only in-process clouds need it

            attach(made, self.world.endpoint.dispatch)
        return made

    def client(self, service: str, *, credentials: Credentials | None = None, **options: Any) -> Any:
        """A boto3 client of this cloud, over HTTP or in-process."""
        who = credentials or self.world.root
        if not self._in_process:
            options.setdefault("endpoint_url", self.endpoint_url)
        # A session remembers what it has loaded, but does not bear two threads that make clients.
        with self._sessions_lock:
            session = self._sessions.get(who) or self.session(who)
            self._sessions[who] = session
            return session.client(service, **options)


def _past_proxies(surroundings: Mapping[str, str]) -> dict[str, str]:
    if not any(value and name.lower() in PROXIES for name, value in surroundings.items()):
        return {}
    given = surroundings.get("no_proxy") or surroundings.get("NO_PROXY") or ""
    # "*" means all only where it stands alone.
    value = given if given == "*" else f"{given},{LOOPBACK}" if given else LOOPBACK
    return {"NO_PROXY": value, "no_proxy": value}


def _claim_account(wanted: str | None) -> str:
    with _accounts_lock:
        account = wanted or _free_account()
        if account in _accounts_in_use:
            raise RuntimeError(f"account {account} is in use by another local cloud of this process")
        _accounts_in_use.add(account)
    return account


def _free_account() -> str:
    while True:
        account = f"{secrets.randbelow(9 * 10**11) + 10**11}"
        if account not in _accounts_in_use:
            return account


def _release_account(account: str) -> None:
    with _accounts_lock:
        _accounts_in_use.discard(account)
