"""Outbound web identities: the account's own issuer of JWTs, by which its roles prove themselves to others.

IAM switches it on, STS signs, and the issuer's documents tell everybody the keys. The issuer's name has the real form,
which no resolver leads here: who trusts it inside the local cloud asks `WebIdentities.published`, and a listener of its
own serves the same documents over TLS.

Sources: STS API Reference, GetWebIdentityToken; IAM User Guide, "Understanding token claims"; a recorded discovery
document and key set (`RSA_0`, `EC384_0`).
"""

import json
import threading
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from localcloud.aws.call import Call, Operation
from localcloud.aws.iam.rights.services import DEFAULT_TOKEN_SECONDS
from localcloud.aws.iam.roles import Role, find_role
from localcloud.aws.sigv4 import signature_of
from localcloud.errors import ServiceError
from localcloud.principals import Kind
from localcloud.server import Listener, loopback_socket, started_server
from localcloud.signing_keys import p384_key, rsa_key
from localcloud.wire import Headers, Request, Response
from localcloud.world import World

CLAIMS = "https://sts.amazonaws.com/"
DISCOVERY_PATH = "/.well-known/openid-configuration"
KEYS_PATH = "/.well-known/jwks.json"
# Unknown; a bound that fifty tags of the greatest length break, and no honest use comes near.
MAX_CLAIMS_BYTES = 8_192
_RSA_KEY_ID, _EC_KEY_ID = "RSA_0", "EC384_0"
_ALGORITHMS = ("RS256", "ES384")


class WebIdentities:
    """The account's issuer: `world.part(WebIdentities)`. Threads may share it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._lock = threading.Lock()
        self._listener: Listener | None = None
        self._enabled = False
        # Lasts as long as the account, however often the feature is switched off and on.
        self.host = f"{uuid.uuid5(uuid.NAMESPACE_OID, f'issuer of {world.account}')}.tokens.sts.global.api.aws"

    @property
    def issuer(self) -> str:
        """What `iss` says, and what a federated credential elsewhere must name."""
        return f"https://{self.host}"

    @property
    def url(self) -> str:
        """Where the issuer's documents are served over TLS on loopback, in the issuer's name (`curl --connect-to`)."""
        with self._lock:
            if self._listener is None:
                names = (self.host, "localhost", "127.0.0.1")
                tls = self._world.authority.context_for(names)
                self._listener = self._world.part(started_server).serve_calls(self.answer, loopback_socket(), tls)
            return f"https://localhost:{self._listener.port}"

    def published(self, issuer: str) -> Mapping[str, Any] | None:
        """The key set that `issuer` publishes, as whoever follows its discovery document finds it; None: no such."""
        return self.key_set() if issuer == self.issuer else None

    def key_set(self) -> dict[str, Any]:
        """The public keys as a JWK set."""
        rsa_key, ec_key = self._made()
        plain: dict[str, Any] = RSAAlgorithm.to_jwk(rsa_key.public_key(), as_dict=True)
        curve: dict[str, Any] = ECAlgorithm.to_jwk(ec_key.public_key(), as_dict=True)
        return {
            "keys": [
                {"kty": "RSA", "kid": _RSA_KEY_ID, "use": "sig", "n": plain["n"], "e": plain["e"]},
                {"kty": "EC", "kid": _EC_KEY_ID, "use": "sig", "alg": "ES384", "crv": "P-384"}
                | {name: curve[name] for name in ("x", "y")},
            ]
        }

    def discovery(self) -> dict[str, Any]:
        """The issuer's OpenID configuration."""
        return {
            "issuer": self.issuer,
            "jwks_uri": self.issuer + KEYS_PATH,
            "id_token_signing_alg_values_supported": list(_ALGORITHMS),
            "subject_types_supported": ["public"],
            "claims_supported": ["sub", "iss", "aud", "exp", "iat", "jti", CLAIMS],
        }

    def answer(self, request: Request) -> Response:
        """One request to the issuer; it stays published while the feature is off, for tokens issued before."""
        documents = {DISCOVERY_PATH: self.discovery, KEYS_PATH: self.key_set}
        headers = Headers.of({"Content-Type": "application/json"})
        if request.method not in {"GET", "HEAD"} or request.path not in documents:
            return Response(status=404, headers=headers, body=b'{"message":"Not Found"}')
        return Response(status=200, headers=headers, body=json.dumps(documents[request.path]()).encode())

    # -- IAM

    def enable(self, _call: Call) -> Mapping[str, Any]:
        """EnableOutboundWebIdentityFederation."""
        with self._lock:
            if self._enabled:
                raise ServiceError("FeatureEnabled", "Outbound web identity federation is already enabled.", status=409)
            self._enabled = True
        return {"IssuerIdentifier": self.issuer}

    def disable(self, _call: Call) -> Mapping[str, Any]:
        """DisableOutboundWebIdentityFederation."""
        with self._lock:
            self._require_feature()
            self._enabled = False
        return {}

    def info(self, _call: Call) -> Mapping[str, Any]:
        """GetOutboundWebIdentityFederationInfo."""
        with self._lock:
            self._require_feature()
        return {"IssuerIdentifier": self.issuer, "JwtVendingEnabled": True}

    def _require_feature(self) -> None:
        if not self._enabled:
            raise ServiceError("FeatureDisabled", "Outbound web identity federation is disabled.", status=404)

    # -- STS

    def get_web_identity_token(self, call: Call) -> Mapping[str, Any]:
        """GetWebIdentityToken: a JWT whose subject is the caller's role (not its session)."""
        algorithm = _algorithm(call)
        with self._lock:
            enabled = self._enabled
        if not enabled:
            raise ServiceError(
                "OutboundWebIdentityFederationDisabledException",
                "Outbound web identity federation is not enabled for this account.",
                status=403,
            )
        seconds = int(call.params.get("DurationSeconds", DEFAULT_TOKEN_SECONDS))
        issued = datetime.fromtimestamp(int(call.now.timestamp()), UTC)
        expires = issued + timedelta(seconds=seconds)
        session_end = self._session_end(call)
        if session_end is not None and expires > session_end:
            raise ServiceError(
                "SessionDurationEscalationException",
                "The requested token duration would extend the session beyond its original expiration time.",
                status=403,
            )
        claims = self._claims(call, issued=issued, expires=expires, session_end=session_end)
        rsa_key, ec_key = self._made()
        key, key_id = (rsa_key, _RSA_KEY_ID) if algorithm == "RS256" else (ec_key, _EC_KEY_ID)
        token = jwt.encode(claims, key, algorithm=algorithm, headers={"kid": key_id})
        return {"WebIdentityToken": token, "Expiration": expires}

    def _claims(
        self, call: Call, *, issued: datetime, expires: datetime, session_end: datetime | None
    ) -> dict[str, Any]:
        role = find_role(self._world, call.principal.role_name) if call.principal.kind is not Kind.ROOT else None
        audience = [str(one) for one in call.params["Audience"]]
        claims = {
            "iss": self.issuer,
            "aud": audience[0] if len(audience) == 1 else audience,
            "sub": role.arn if role else call.principal.arn,
            "iat": int(issued.timestamp()),
            "exp": int(expires.timestamp()),
            "jti": str(uuid.uuid4()),
            CLAIMS: _identity(call, role, session_end),
        }
        if len(json.dumps(claims)) > MAX_CLAIMS_BYTES:
            raise ServiceError(
                "JWTPayloadSizeExceededException", "The requested token payload size exceeds the maximum allowed size."
            )
        return claims

    def _session_end(self, call: Call) -> datetime | None:
        signature = signature_of(call.request)
        known = self._world.credentials.find(signature.access_key) if signature else None
        return known.expires_at if known else None

    def _made(self) -> tuple[rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey]:
        return rsa_key("outbound web identities"), p384_key("outbound web identities")


def operations(world: World) -> Mapping[tuple[str, str], Operation]:
    """IAM's and STS's operations of this module."""
    identities = world.part(WebIdentities)
    return {
        ("iam", "EnableOutboundWebIdentityFederation"): identities.enable,
        ("iam", "DisableOutboundWebIdentityFederation"): identities.disable,
        ("iam", "GetOutboundWebIdentityFederationInfo"): identities.info,
        ("sts", "GetWebIdentityToken"): identities.get_web_identity_token,
    }


def _algorithm(call: Call) -> Literal["RS256", "ES384"]:
    wanted = call.params["SigningAlgorithm"]
    if wanted == "RS256":
        return "RS256"
    if wanted == "ES384":
        return "ES384"
    raise ServiceError("ValidationError", f"SigningAlgorithm must be one of {', '.join(_ALGORITHMS)}.")


def _identity(call: Call, role: Role | None, session_end: datetime | None) -> dict[str, Any]:
    found: dict[str, Any] = {"aws_account": call.account, "source_region": call.region}
    if role is not None and role.tags:
        found["principal_tags"] = dict(role.tags)
    if session_end is not None:
        found["original_session_exp"] = f"{session_end:%Y-%m-%dT%H:%M:%SZ}"
    if call.params.get("Tags"):
        found["request_tags"] = {str(tag["Key"]): str(tag["Value"]) for tag in call.params["Tags"]}
    return found
