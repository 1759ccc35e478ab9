"""Clients for the steps of many executions: one botocore client for each service, signed for whoever calls at the time.

Making a client takes tens of milliseconds and megabytes; a thousand executions, each with credentials of its own, share
them.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from botocore.credentials import Credentials as BotoCredentials
from botocore.credentials import ReadOnlyCredentials

from localcloud.automation.actions.clients import client_config
from localcloud.aws import sessions
from localcloud.aws.seam import attach
from localcloud.principals import Credentials
from localcloud.world import World

_acting: ContextVar[Credentials] = ContextVar("acting")


class _Current(BotoCredentials):  # type: ignore[misc]  # botocore has no types
    """The credentials of the execution whose step calls right now, in this thread."""

    def __init__(self) -> None:
        super().__init__("", "")

    def get_frozen_credentials(self) -> ReadOnlyCredentials:
        who = _acting.get()
        return ReadOnlyCredentials(who.access_key, who.secret_key, who.session_token or None, None)


class SharedClients:
    """The clients of one Region, made when they are first asked for. Threads may share it."""

    def __init__(self, world: World, region: str) -> None:
        self._region = region
        self._session = sessions.core()
        self._session._credentials = _Current()  # the only way to hand a provider over
        attach(self._session, world.endpoint.dispatch)
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()

    def client(self, service: str) -> Any:
        """The client of a service (botocore's name); calls need `acting`."""
        with self._lock:
            made = self._clients.get(service)
            if made is None:
                made = self._session.create_client(service, region_name=self._region, config=client_config(service))
                self._clients[service] = made
            return made


class ActingClient:
    """A shared client whose API calls are signed with given credentials."""

    def __init__(self, client: Any, credentials: Credentials) -> None:
        self._client = client
        self._credentials = credentials
        self._methods = client.meta.method_to_api_mapping

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._client, name)
        if name not in self._methods:
            return found

        def call(*arguments: Any, **members: Any) -> Any:
            with acting(self._credentials):
                return found(*arguments, **members)

        return call


@contextmanager
def acting(credentials: Credentials) -> Iterator[None]:
    """What shared clients send in this thread meanwhile is signed with `credentials`."""
    token = _acting.set(credentials)
    try:
        yield
    finally:
        _acting.reset(token)
