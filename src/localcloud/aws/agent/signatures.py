"""The node key's signature: RSASSA-PSS in a header that is shaped like SigV4.

The agent signs two calls with the key that it registered, before it has a role token. The label says HMAC and the
canonical request is SigV4's, but the signature is RSASSA-PSS (SHA-256, MGF1-SHA-256, salt 32) in base64 over the string
to sign, and the credential is the node's id. Held to the 21 recorded signatures of the real agent.
"""

import base64
import binascii
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from localcloud.errors import ServiceError
from localcloud.wire import Request

ALGORITHM = "AWS4-HMAC-SHA256"
CLOCK_SKEW = timedelta(minutes=5)  # as SigV4; assumed for the node key too
SALT_BYTES = 32
SMALLEST_KEY_BITS = 2048
NODE_PREFIX = "mi-"

# Without these in the signature, a signed request could be replayed as another call or to another host.
_MUST_BE_SIGNED = frozenset({"host", "x-amz-date", "x-amz-target"})


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSignature:
    """The parts of an `Authorization` header whose credential is a node id."""

    node_id: str
    scope: str  # date/region/service/aws4_request
    signed_headers: tuple[str, ...]
    signature: bytes

    @property
    def region(self) -> str:
        """The Region in the scope: the one the agent speaks to."""
        return self.scope.split("/")[1]


def parse(request: Request) -> NodeSignature | None:
    """The node key's signature on `request`; None if it carries none (unsigned, or signed with an access key).

    Raises ServiceError (IncompleteSignature, UnrecognizedClientException) if the header is malformed.
    """
    label, _, rest = request.headers.get("Authorization").partition(" ")
    if label != ALGORITHM:
        return None
    # base64 holds "=" and "/": split each part at its first "=" only.
    parts = dict(part.strip().partition("=")[::2] for part in rest.split(","))
    node_id, _, scope = parts.get("Credential", "").partition("/")
    if not node_id.startswith(NODE_PREFIX):
        return None
    if len(scope.split("/")) != 4 or not parts.get("SignedHeaders") or not parts.get("Signature"):
        raise ServiceError("IncompleteSignature", "Authorization header lacks Credential, SignedHeaders or Signature")
    try:
        signature = base64.b64decode(parts["Signature"], validate=True)
    except binascii.Error as error:
        raise ServiceError("IncompleteSignature", "Signature is not base64") from error
    return NodeSignature(
        node_id=node_id,
        scope=scope,
        signed_headers=tuple(parts["SignedHeaders"].lower().split(";")),
        signature=signature,
    )


def string_to_sign(request: Request, signed: NodeSignature) -> str:
    """What the agent signed: SigV4's string to sign over the de-chunked body and the headers that `signed` names."""
    headers = "".join(f"{name}:{' '.join(request.headers.get(name).split())}\n" for name in signed.signed_headers)
    query = "&".join(sorted(request.query.split("&"))) if request.query else ""
    canonical = "\n".join(
        (
            request.method,
            request.path or "/",
            query,
            headers,
            ";".join(signed.signed_headers),
            hashlib.sha256(request.body).hexdigest(),
        )
    )
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    return "\n".join((ALGORITHM, request.headers.get("X-Amz-Date"), signed.scope, digest))


@lru_cache(maxsize=4096)
def public_key(text: str) -> rsa.RSAPublicKey:
    """The RSA key in `text` (base64 of a DER SubjectPublicKeyInfo). Raises ServiceError InvalidPublicKey."""
    try:
        key = serialization.load_der_public_key(base64.b64decode(text, validate=True))
    except (ValueError, binascii.Error) as error:
        raise ServiceError("InvalidPublicKey", "the public key is not a base64 DER SubjectPublicKeyInfo") from error
    if not isinstance(key, rsa.RSAPublicKey) or key.key_size < SMALLEST_KEY_BITS:
        raise ServiceError("InvalidPublicKey", f"the public key is not RSA of at least {SMALLEST_KEY_BITS} bits")
    return key


def verify(request: Request, signed: NodeSignature, *, key: str, clocks: Sequence[datetime]) -> None:
    """Return if `request` was signed with the private half of `key`, within `CLOCK_SKEW` of one of `clocks`.

    `key` is the registered public key in base64. Raises ServiceError InvalidSignatureException (status 400) otherwise.
    """
    if not set(signed.signed_headers) >= _MUST_BE_SIGNED:
        raise ServiceError("InvalidSignatureException", "Host, X-Amz-Date and X-Amz-Target must be signed")
    sent = request.headers.get("X-Amz-Date")
    try:
        stamped = datetime.strptime(sent, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError as error:
        raise ServiceError("IncompleteSignature", f"X-Amz-Date is {sent!r}") from error
    if all(abs(now - stamped) > CLOCK_SKEW for now in clocks):
        raise ServiceError(
            "InvalidSignatureException", f"Signature not within 5 minutes of {clocks[0]:%Y%m%dT%H%M%SZ}: {sent}"
        )
    if not signed.scope.startswith(f"{sent[:8]}/"):
        raise ServiceError("InvalidSignatureException", "Date in Credential scope does not match X-Amz-Date")
    text = string_to_sign(request, signed).encode()
    scheme = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=SALT_BYTES)
    try:
        public_key(key).verify(signed.signature, text, scheme, hashes.SHA256())
    except InvalidSignature as error:
        raise ServiceError(
            "InvalidSignatureException",
            "The request signature we calculated does not match the signature you provided.",
        ) from error
