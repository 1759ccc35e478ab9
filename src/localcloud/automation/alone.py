"""The engine without a cloud of ours: runs a runbook's file against whatever endpoint boto3 is told to use.

Credentials, Region and endpoint are boto3's own business (AWS_PROFILE, AWS_ENDPOINT_URL, …). The runbook acts as
whoever runs it: its role is not assumed, as only Systems Manager may. Scripts get credentials only if it names one, as
there.
"""

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from localcloud.automation.actions.clients import client_config
from localcloud.automation.actions.protocol import Surroundings
from localcloud.automation.actions.registry import actions
from localcloud.automation.engine import Engine
from localcloud.automation.ports import FoundDocument, Setting, Starter, StartRequest
from localcloud.automation.shelf import Shelf, read_document
from localcloud.clock import Clock, SystemClock

# What a script needs of this process's environment to reach the same endpoint.
_ENDPOINT = "AWS_ENDPOINT_URL"
_TRUST = "AWS_CA_BUNDLE"


class Account:
    """Who we are, as boto3 finds it. Threads may share it."""

    def __init__(self, session: boto3.Session) -> None:
        self.session = session
        self._lock = threading.Lock()
        self._clients: dict[str, Any] = {}
        self._identity: tuple[str, str] | None = None

    def client(self, service: str) -> Any:
        """The client of a service, made once."""
        with self._lock:
            if service not in self._clients:
                self._clients[service] = self.session.client(service, config=client_config(service))
            return self._clients[service]

    @property
    def number(self) -> str:
        """The account's number; "" if nobody is signed in."""
        return self._who()[0]

    @property
    def arn(self) -> str:
        """Who we are; "" if nobody is signed in."""
        return self._who()[1]

    def _who(self) -> tuple[str, str]:
        if self._identity is None:
            try:
                said = self.client("sts").get_caller_identity()
                self._identity = (str(said["Account"]), str(said["Arn"]))
            except (BotoCoreError, ClientError):
                self._identity = ("", "")
        return self._identity

    def script_variables(self, environment: Mapping[str, str], *, credentials: bool) -> dict[str, str]:
        """AWS variables of a script's process."""
        variables = {name: each for name, each in environment.items() if name.startswith(_ENDPOINT) or name == _TRUST}
        region = self.session.region_name or ""
        if region:
            variables |= {"AWS_REGION": region, "AWS_DEFAULT_REGION": region}
        found = self.session.get_credentials() if credentials else None
        if found is not None:
            frozen = found.get_frozen_credentials()
            variables |= {"AWS_ACCESS_KEY_ID": frozen.access_key, "AWS_SECRET_ACCESS_KEY": frozen.secret_key}
            if frozen.token:
                variables["AWS_SESSION_TOKEN"] = frozen.token
        return variables


@dataclass(frozen=True, slots=True, kw_only=True)
class _Around:
    """The surroundings of one execution."""

    execution_id: str
    clock: Clock
    attachments: Mapping[str, bytes]
    script_environment: Mapping[str, str] = field(repr=False)
    own: Account

    @property
    def account(self) -> str:
        return self.own.number

    @property
    def region(self) -> str:
        return self.own.session.region_name or ""

    @property
    def partition(self) -> str:
        return str(self.own.session.get_partition_for_region(self.region)) if self.region else "aws"

    def client(self, service: str) -> Any:
        return self.own.client(service)


class Alone:
    """One runbook's file and an engine for it; use it as a context manager, or `close()` it."""

    def __init__(
        self,
        file: Path,
        *,
        session: boto3.Session | None = None,
        clock: Clock | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Reads the file and its attachments; raises refusals.InvalidDocument.

        `environment`: where scripts' endpoint variables come from; this process's if not given.
        """
        self.document: FoundDocument = read_document(file)
        self.account = Account(session or boto3.Session())
        self._clock = clock or SystemClock()
        self._environment = os.environ if environment is None else environment
        self.engine = Engine(
            clock=self._clock,
            actions=actions(),
            documents=Shelf(file.parent, first=self.document, service=lambda: self.account.client("ssm")),
            surrounder=self,
        )

    def start(self, given: Mapping[str, Any]) -> str:
        """The id of a new execution; parameters in wire form or plain. Raises refusals.InvalidParameters."""
        starter = Starter(arn=self.account.arn)
        return self.engine.start(
            StartRequest(document_name=self.document.name, parameters=dict(given), starter=starter)
        )

    def surroundings(self, setting: Setting) -> Surroundings:
        """See `ports.Surrounder.surroundings`."""
        return _Around(
            execution_id=setting.execution_id,
            clock=self._clock,
            attachments=setting.attachments,
            script_environment=self.account.script_variables(self._environment, credentials=bool(setting.assume_role)),
            own=self.account,
        )

    def close(self) -> None:
        """Stop working; what runs outside goes on."""
        self.engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
