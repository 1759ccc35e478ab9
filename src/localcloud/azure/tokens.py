"""Access tokens of the local tenant: issued by its token service, checked by whatever accepts a bearer.

Real JWTs; their times are those of the world's clock. Claims are
those of an application's own (app-only) token, as version 1 of the endpoint issues them for Resource Manager.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from localcloud.errors import LocalCloudError
from localcloud.signing_keys import rsa_key
from localcloud.world import World

LIFETIME = timedelta(seconds=3599)  # what the real service says of an application's token
ALGORITHM = "RS256"
_REQUIRED = ("aud", "iss", "exp", "nbf", "oid", "appid", "tid")


class InvalidToken(LocalCloudError):
    """A bearer that nothing accepts; `code` is Resource Manager's word for it. Never quotes the token."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """Who a verified bearer is."""

    principal: str  # object id of the application's service principal: what role assignments name
    app_id: str
    tenant_id: str
    audience: str
    token_id: str
    expires_at: datetime


class Tokens:
    """The tenant's key, and what it signs: `world.part(Tokens)`. Threads may share it."""

    def __init__(self, world: World) -> None:
        self._world = world
        # The account's number chooses the tenant, so that a cloud with a given account has a known one.
        self.tenant_id = str(uuid.uuid5(uuid.NAMESPACE_OID, f"localcloud tenant {world.account}"))

    @property
    def issuer(self) -> str:
        """What `iss` says."""
        return f"https://sts.windows.net/{self.tenant_id}/"

    def issue(self, principal: str, app_id: str, audience: str, lifetime: timedelta = LIFETIME) -> str:
        """A bearer for the service principal with object id `principal`, valid from now on for `lifetime`."""
        now = self._world.clock.now()
        claims = {
            "aud": audience,
            "iss": self.issuer,
            "iat": int(now.timestamp()),
            "nbf": int(now.timestamp()),
            "exp": int((now + lifetime).timestamp()),
            "appid": app_id,
            "idp": self.issuer,
            "idtyp": "app",
            "oid": principal,
            "sub": principal,
            "tid": self.tenant_id,
            "uti": uuid.uuid4().hex[:22],
            "ver": "1.0",
        }
        key = self._made()
        return jwt.encode(claims, key, algorithm=ALGORITHM, headers={"kid": _key_id(key)})

    def verify(self, bearer: str, audience: str) -> Claims:
        """Who `bearer` is. InvalidToken if it is not ours, not for `audience` (with or without `/`), or out of time."""
        claims = self._decoded(bearer)
        if str(claims["aud"]).rstrip("/") != audience.rstrip("/"):
            raise InvalidToken(
                "InvalidAuthenticationTokenAudience",
                "The access token has been obtained for wrong audience or resource "
                f"'{claims['aud']}'. It should exactly match with one of the allowed audiences '{audience}'.",
            )
        now, expires_at = self._world.clock.now(), datetime.fromtimestamp(int(claims["exp"]), UTC)
        if now >= expires_at:
            said = f"{expires_at:%m/%d/%Y %I:%M:%S %p}"
            raise InvalidToken(
                "ExpiredAuthenticationToken",
                f"The access token expiry UTC time '{said}' is earlier than current UTC time "
                f"'{now:%m/%d/%Y %I:%M:%S %p}'.",
            )
        if now.timestamp() + 1 < int(claims["nbf"]):
            raise InvalidToken("InvalidAuthenticationToken", "The access token is not valid yet.")
        return Claims(
            principal=str(claims["oid"]),
            app_id=str(claims["appid"]),
            tenant_id=str(claims["tid"]),
            audience=str(claims["aud"]),
            token_id=str(claims.get("uti", "")),
            expires_at=expires_at,
        )

    def keys(self) -> dict[str, Any]:
        """The tenant's public keys as a JWK set."""
        key = self._made()
        public: dict[str, Any] = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
        return {
            "keys": [{"kty": "RSA", "use": "sig", "kid": _key_id(key), "n": public["n"], "e": public["e"]}],
        }

    def _decoded(self, bearer: str) -> Mapping[str, Any]:
        try:
            return jwt.decode(
                bearer,
                self._made().public_key(),
                algorithms=[ALGORITHM],
                issuer=self.issuer,
                # Times are compared by the world's clock, the audience by `verify`.
                options={
                    "require": list(_REQUIRED),
                    "verify_aud": False,
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                },
            )
        except jwt.PyJWTError as error:
            raise InvalidToken("InvalidAuthenticationToken", "The access token is invalid.") from error

    def _made(self) -> rsa.RSAPrivateKey:
        return rsa_key("the local tenant's tokens")


def _key_id(key: rsa.RSAPrivateKey) -> str:
    return sha256(str(key.public_key().public_numbers().n).encode()).hexdigest()[:27]
