"""The local tenant's token service: applications, the OpenID configuration, and client credentials for access tokens.

Whoever listens for Resource Manager hands it the requests that `answers` names; it is the same host.
Source: reference/azure-compute, section 6; the service's public error texts (see `entra_errors`).
"""

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

from localcloud.aws.web_identity import WebIdentities
from localcloud.azure import entra_assertions, entra_errors
from localcloud.azure.entra_applications import Application
from localcloud.azure.entra_errors import Aadsts
from localcloud.azure.tokens import LIFETIME, Tokens
from localcloud.wire import Headers, Request, Response
from localcloud.world import World

# What tokens are issued for: Resource Manager of each cloud, by its own and its older name.
RESOURCES = frozenset(
    {
        "https://management.azure.com",
        "https://management.core.windows.net",
        "https://management.usgovcloudapi.net",
        "https://management.core.usgovcloudapi.net",
        "https://management.chinacloudapi.cn",
        "https://management.core.chinacloudapi.cn",
    }
)
_DISCOVERY, _TOKEN, _KEYS = "v2.0/.well-known/openid-configuration", "oauth2/v2.0/token", "discovery/v2.0/keys"
_PATHS = frozenset({_DISCOVERY, _TOKEN, _KEYS, "discovery/keys"})
_DEFAULT = "/.default"
_JSON = "application/json; charset=utf-8"


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRequest:
    """A request for a token, and how it ended: `error` 0 is a token, else the number behind AADSTS."""

    at: datetime
    client_id: str
    proof: str  # secret, certificate, federated; empty if it never came so far
    error: int = 0


class Entra:
    """The token service of the local tenant: `world.part(Entra)`. Threads may share it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._tokens = world.part(Tokens)
        self._lock = threading.Lock()
        self._applications: dict[str, Application] = {}
        self._failures: list[Response] = []
        self.requests: list[TokenRequest] = []

    @property
    def tenant_id(self) -> str:
        """The tenant's GUID."""
        return self._tokens.tenant_id

    def application(self, name: str) -> Application:
        """A new application registration (with its service principal); it has no credentials yet."""
        made = Application(name, clock=self._world.clock)
        with self._lock:
            self._applications[made.client_id] = made
        return made

    def applications(self) -> list[Application]:
        """Every application, the oldest first."""
        with self._lock:
            return list(self._applications.values())

    def remove(self, application: Application) -> None:
        """Delete a registration; tokens that it has stay good until their end."""
        with self._lock:
            self._applications.pop(application.client_id, None)

    def fail(self, times: int = 1, *, status: int = 503, retry_after: int | None = None) -> None:
        """Let the next requests for tokens fail like an outage of the service."""
        headers = {"Content-Type": _JSON} | ({"Retry-After": str(retry_after)} if retry_after is not None else {})
        body = json.dumps({"error": "temporarily_unavailable", "error_description": "AADSTS90033: A transient error."})
        answer = Response(status=status, headers=Headers.of(headers), body=body.encode())
        with self._lock:
            self._failures += [answer] * times

    def answers(self, path: str) -> bool:
        """Whether a request for this path is the token service's to answer."""
        return path.strip("/").partition("/")[2] in _PATHS

    def answer(self, request: Request) -> Response:
        """One request to the token service; refusals are answers too."""
        tenant, _, page = request.path.strip("/").partition("/")
        base = f"https://{request.headers.get('Host', 'localhost')}"
        try:
            if tenant.lower() != self.tenant_id:
                raise entra_errors.no_tenant(tenant)
            if page == _TOKEN:
                return self._token(request, base)
        except Aadsts as refused:
            return refused.response(self._world.clock.now())
        return _answer(self._discovery(base) if page == _DISCOVERY else self._tokens.keys())

    def _discovery(self, base: str) -> dict[str, Any]:
        home = f"{base}/{self.tenant_id}"
        return {
            "token_endpoint": f"{home}/{_TOKEN}",
            "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
            "jwks_uri": f"{home}/{_KEYS}",
            "response_modes_supported": ["query", "fragment", "form_post"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
            "scopes_supported": ["openid", "profile", "email", "offline_access"],
            "issuer": f"{home}/v2.0",
            "authorization_endpoint": f"{home}/oauth2/v2.0/authorize",
            "tenant_region_scope": "NA",
            "cloud_instance_name": "microsoftonline.com",
        }

    def _token(self, request: Request, base: str) -> Response:
        with self._lock:
            if self._failures:
                return self._failures.pop(0)
        form = dict(parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True))
        now, client, proof = self._world.clock.now(), form.get("client_id", ""), ""
        try:
            application = self._application(request, form)
            proof = self._prove(application, form, base)
            audience = self._audience(form)
        except Aadsts as refused:
            self.requests.append(TokenRequest(at=now, client_id=client, proof=proof, error=refused.number))
            raise
        self.requests.append(TokenRequest(at=now, client_id=client, proof=proof))
        seconds = int(LIFETIME.total_seconds())
        return _answer(
            {
                "token_type": "Bearer",
                "expires_in": seconds,
                "ext_expires_in": seconds,
                "access_token": self._tokens.issue(application.object_id, application.client_id, audience),
            }
        )

    def _application(self, request: Request, form: Mapping[str, str]) -> Application:
        if request.method != "POST":
            raise Aadsts(
                900561,
                f"The endpoint only accepts POST requests. Received a {request.method} request.",
                error=entra_errors.INVALID_REQUEST,
                status=400,
            )
        for name in ("grant_type", "client_id"):
            if not form.get(name):
                raise entra_errors.missing(name)
        if form["grant_type"] != "client_credentials":
            raise entra_errors.grant_type(form["grant_type"])
        with self._lock:
            found = self._applications.get(form["client_id"].lower())
        if found is None:
            raise entra_errors.no_application(form["client_id"], self.tenant_id)
        return found

    def _prove(self, application: Application, form: Mapping[str, str], base: str) -> str:
        now = self._world.clock.now()
        if secret := form.get("client_secret"):
            found = application.secret(secret)
            if found is None:
                raise entra_errors.wrong_secret(application.client_id)
            if found.expires_at <= now:
                raise entra_errors.secret_expired(application.client_id)
            return "secret"
        if form.get("client_assertion") and form.get("client_assertion_type") == entra_assertions.TYPE:
            home = f"{base}/{self.tenant_id}"
            return entra_assertions.check(
                form["client_assertion"],
                application,
                audiences=(f"{home}/{_TOKEN}", f"{home}/v2.0", f"{home}/oauth2/token"),
                now=now,
                published=self._world.part(WebIdentities).published,
            )
        raise entra_errors.no_credential()

    def _audience(self, form: Mapping[str, str]) -> str:
        scope = form.get("scope", "")
        if not scope:
            raise entra_errors.missing("scope")
        if not scope.endswith(_DEFAULT) or " " in scope:
            raise entra_errors.scope(scope)
        audience = scope.removesuffix(_DEFAULT)
        if audience.rstrip("/") not in RESOURCES:
            raise entra_errors.resource(audience, self.tenant_id)
        return audience


def _answer(content: Mapping[str, Any]) -> Response:
    headers = {"Content-Type": _JSON, "Cache-Control": "no-store, no-cache"}
    return Response(status=200, headers=Headers.of(headers), body=json.dumps(content).encode())
