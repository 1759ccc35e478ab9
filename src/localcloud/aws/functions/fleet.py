"""All execution environments: taken warm if one fits (the last used first), else started, refused over the concurrency.

Concurrency is counted per function if it has reserved some, else against what the account has left in the Region. An
environment whose function has changed since, or that has been idle for too long, ends; one that is busy finishes first.
"""

import platform
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from uuid import uuid4

from localcloud.aws.functions.catalogue import Catalogue
from localcloud.aws.functions.code import Files
from localcloud.aws.functions.delivery import Delivery, Kept
from localcloud.aws.functions.environment import Environment, Gone, Launch
from localcloud.aws.functions.journal import Journal
from localcloud.aws.functions.model import UNTRUSTED, Deployed, Limits, Outcome, Work
from localcloud.aws.functions.variables import Places, variables
from localcloud.aws.iam.trust import LAMBDA, may_assume
from localcloud.errors import ServiceError, Unsupported
from localcloud.principals import Credentials, Kind, Principal
from localcloud.world import World

_CREDENTIAL_LIFE = timedelta(hours=12)
_CREDENTIAL_MARGIN = timedelta(minutes=15)  # Lambda renews an environment's credentials before they run out
_LOOK_AROUND = 1.0  # seconds between two looks for idle environments
_STOP_LIMIT = 10.0  # seconds for running invocations to notice that they were killed


def throttled(reason: str) -> ServiceError:
    """Lambda's refusal over the concurrency limit."""
    return ServiceError(
        "TooManyRequestsException", "Rate Exceeded.", status=429, fields={"Reason": reason, "Type": "User"}
    )


class Fleet:
    """Environments of one local cloud. Threads may share it."""

    def __init__(self, world: World, *, catalogue: Catalogue, kept: Kept, limits: Callable[[], Limits]) -> None:
        self._world = world
        self._catalogue = catalogue
        self._kept = kept
        self._limits = limits
        self._root = world.state_dir / "functions"
        self._files = Files(self._root)
        self._changed = threading.Condition()
        # Functions are told apart by Region and name.
        self._idle: dict[tuple[str, str, str], list[Environment]] = {}
        self._busy: Counter[tuple[str, str]] = Counter()
        self._reserving: set[tuple[str, str]] = set()
        self._environments: dict[str, Environment] = {}
        self._until: dict[str, datetime] = {}  # when the credentials of a session run out
        self._starts = threading.BoundedSemaphore(limits().starts_at_once)
        self._closed = threading.Event()
        self._housekeeper: threading.Thread | None = None

    def run(self, function: Deployed, work: Work) -> Outcome:
        """Carry out one invocation; raises ServiceError TooManyRequestsException over the concurrency."""
        self._claim(function)
        try:
            while (environment := self._take_warm(function)) is not None:
                try:
                    outcome = environment.run(work)
                except Gone:
                    self._discard(environment)
                except BaseException:
                    self._discard(environment)
                    raise
                else:
                    self._give_back(environment)
                    return outcome
            return self._run_cold(function, work)
        finally:
            with self._changed:
                self._busy[function.place] -= 1
                self._changed.notify_all()

    def session(self, session: str) -> Environment | None:
        """The environment of a session, if it still exists."""
        with self._changed:
            return self._environments.get(session)

    def sessions(self, place: tuple[str, str]) -> list[str]:
        """The sessions of a function's environments, idle or busy, in the order of their starts."""
        with self._changed:
            return [key for key, one in self._environments.items() if one.function.place == place]

    def retire(self, place: tuple[str, str] | None = None) -> None:
        """End the idle environments (of one function), so that the next invocations start cold."""
        for environment in self._pick(lambda one: place in {None, one.function.place}):
            self._discard(environment)

    def close(self) -> None:
        """Kill every process, and return once none is left."""
        self._closed.set()
        with self._changed:
            everyone = list(self._environments.values())
        for environment in everyone:
            environment.kill()
        self.retire()
        with self._changed:
            self._changed.wait_for(lambda: not +self._busy, timeout=_STOP_LIMIT)
        self.retire()
        if self._housekeeper is not None:
            self._housekeeper.join()

    def _claim(self, function: Deployed) -> None:
        """Count one more invocation, or refuse it."""
        reserved_total = self._catalogue.reserved_total(function.region)
        with self._changed:
            if self._closed.is_set():
                raise ServiceError("ServiceException", "the local cloud is stopping", status=500)
            if function.reserved_concurrency is not None:
                self._reserving.add(function.place)
                if self._busy[function.place] >= function.reserved_concurrency:
                    raise throttled("ReservedFunctionConcurrentInvocationLimitExceeded")
            else:
                self._reserving.discard(function.place)
                running = sum(
                    count
                    for place, count in self._busy.items()
                    if place[0] == function.region and place not in self._reserving
                )
                if running >= self._limits().account_concurrency - reserved_total:
                    raise throttled("ConcurrentInvocationLimitExceeded")
            self._busy[function.place] += 1

    def _take_warm(self, function: Deployed) -> Environment | None:
        """The last used environment that fits; what no longer fits this function's version ends."""
        wanted = function.fingerprint
        now = self._world.clock.now()
        with self._changed:
            idle = self._idle.get((*function.place, function.version), [])
            stale = [one for one in idle if one.function.fingerprint != wanted or now >= self._until[one.session]]
            idle[:] = [one for one in idle if one not in stale]
            taken = idle.pop() if idle else None
        for environment in stale:
            self._discard(environment)
        return taken

    def _run_cold(self, function: Deployed, work: Work) -> Outcome:
        environment, launch = self._make(function)
        try:
            with self._starts:
                failed = environment.start(launch, work)
            outcome = environment.run(work, failed=failed)
        except BaseException:
            self._discard(environment)
            raise
        self._give_back(environment)
        return outcome

    def _make(self, function: Deployed) -> tuple[Environment, Launch]:
        """A new environment with its directories, credentials and log stream; its process is not started yet."""
        if not self._world.endpoint_url:
            raise Unsupported(
                "a function's process needs an endpoint that listens; this local cloud is in-process only"
            )
        unqualified = ":".join(function.arn.split(":")[:7])
        if not may_assume(self._world, function.role_arn, LAMBDA, source_arn=unqualified):
            raise ServiceError("AccessDeniedException", UNTRUSTED, status=403, fields={"Type": "User"})
        self._files.prepare()
        session = uuid4().hex
        home = self._root / "environments" / session
        places = self._places(function, temporary=home / "tmp")  # refuses a package that does not unpack
        (home / "tmp").mkdir(parents=True)
        credentials, renew_at = self._credentials(function, session)
        stream = f"{time.strftime('%Y/%m/%d', time.gmtime())}/[{function.version}]{session}"
        deliver = Delivery(
            self._world, function=function, principal=credentials.principal, stream=stream, kept=self._kept
        )
        environment = Environment(
            function=function, session=session, home=home, journal=Journal(function=function, deliver=deliver)
        )
        launch = Launch(
            command=(str(self._files.interpreter), "-m", "awslambdaric", function.handler),
            directory=places.task,
            variables=variables(
                function,
                places=places,
                credentials=credentials,
                region=function.region,
                endpoint_url=self._world.endpoint_url,
                api=environment.api,
                stream=stream,
            ),
            limit=(self._limits().init + function.timeout).total_seconds(),
            version=platform.python_version(),
        )
        with self._changed:
            self._environments[session] = environment
            self._until[session] = renew_at
        return environment, launch

    def _credentials(self, function: Deployed, session: str) -> tuple[Credentials, datetime]:
        """Keys of this environment alone for the function's role, and when it has to go because of them."""
        principal = Principal(
            kind=Kind.ROLE,
            arn=f"arn:aws:sts::{self._world.account}:assumed-role/{function.role_name}/{function.name}",
            role_name=function.role_name,
            session=session,
        )
        ends_at = self._world.clock.now() + _CREDENTIAL_LIFE
        return self._world.credentials.issue(principal, expires_at=ends_at), ends_at - _CREDENTIAL_MARGIN

    def _places(self, function: Deployed, *, temporary: Path) -> Places:
        return Places(
            task=self._files.task(function.package),
            layers=self._files.layers(function.layer_packages),
            runtime=self._files.runtime,
            temporary=temporary,
            python=f"python{sys.version_info.major}.{sys.version_info.minor}",
        )

    def _give_back(self, environment: Environment) -> None:
        if not environment.alive or self._closed.is_set():
            self._discard(environment)
            return
        function = environment.function
        with self._changed:
            self._idle.setdefault((*function.place, function.version), []).append(environment)
            if self._housekeeper is None:
                self._housekeeper = threading.Thread(target=self._keep_house, name="functions-housekeeper", daemon=True)
                self._housekeeper.start()

    def _discard(self, environment: Environment) -> None:
        with self._changed:
            self._environments.pop(environment.session, None)
            self._until.pop(environment.session, None)
        environment.end()

    def _pick(self, chosen: Callable[[Environment], bool]) -> list[Environment]:
        """Take the chosen ones out of the idle."""
        with self._changed:
            picked = [one for idle in self._idle.values() for one in idle if chosen(one)]
            for idle in self._idle.values():
                idle[:] = [one for one in idle if one not in picked]
        return picked

    def _keep_house(self) -> None:
        while not self._closed.wait(_LOOK_AROUND):
            oldest = time.monotonic() - self._limits().idle.total_seconds()
            for environment in self._pick(lambda one, oldest=oldest: one.used_at < oldest):  # type: ignore[misc]
                self._discard(environment)
