"""Who sent a request: Signature Version 4 in headers or in a presigned query, checked over the request as received.

The date of a signature may be five minutes off. SDKs stamp the host's time, which a `SteppedClock` does not move, so a
date is good if it lies within five minutes of the world's clock *or* of the host's; the expiry of temporary credentials
is judged by the world's clock alone.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, unquote_plus

from botocore.utils import normalize_url_path

from localcloud.clock import Clock
from localcloud.errors import ServiceError
from localcloud.principals import Credentials, CredentialStore, Principal
from localcloud.wire import Request

TOLERANCE = timedelta(minutes=5)
ALGORITHM = "AWS4-HMAC-SHA256"
_AUTHORIZATION = re.compile(
    rf"{ALGORITHM}\s+Credential=(?P<credential>[^,\s]+),\s*SignedHeaders=(?P<signed>[^,\s]+),\s*Signature=(?P<value>\S+)"
)
# Bodies whose hash is not part of the signature: sent in chunks that are signed one by one, or not signed at all.
_UNHASHED = ("UNSIGNED-PAYLOAD", "STREAMING-")

MISSING = "Missing Authentication Token"
INVALID = "The security token included in the request is invalid."
EXPIRED = "The security token included in the request is expired"
MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key"
    " and signing method. Consult the service documentation for details."
)
# How services word refusals: JSON services answer 400 (REST ones 403), S3 and EC2 have codes of their own.
_CODES: Mapping[str, Mapping[str, tuple[str, int]]] = {
    "missing": {
        "json": ("MissingAuthenticationTokenException", 400),
        "query": ("MissingAuthenticationToken", 403),
        "s3": ("AccessDenied", 403),
        "ec2": ("AuthFailure", 401),
    },
    "unknown": {
        "json": ("UnrecognizedClientException", 400),
        "query": ("InvalidClientTokenId", 403),
        "s3": ("InvalidAccessKeyId", 403),
        "ec2": ("AuthFailure", 401),
    },
    "expired": {
        "json": ("ExpiredTokenException", 400),
        "query": ("ExpiredToken", 403),
        "s3": ("ExpiredToken", 400),
        "ec2": ("RequestExpired", 400),
    },
    "skewed": {
        "json": ("InvalidSignatureException", 400),
        "query": ("SignatureDoesNotMatch", 403),
        "s3": ("RequestTimeTooSkewed", 403),
        "ec2": ("RequestExpired", 400),
    },
    "mismatch": {
        "json": ("InvalidSignatureException", 400),
        "query": ("SignatureDoesNotMatch", 403),
        "s3": ("SignatureDoesNotMatch", 403),
        "ec2": ("AuthFailure", 401),
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """A SigV4 signature as a request carries it."""

    access_key: str
    scope: str  # date/region/service/aws4_request
    signed_headers: tuple[str, ...]
    value: str
    stamp: str  # as sent: 20261121T120000Z
    token: str
    presigned_for: timedelta | None = None


def authenticate(
    request: Request, *, service: str, protocol: str, credentials: CredentialStore, clock: Clock
) -> Principal:
    """Whose signature the request carries; raises ServiceError in the service's words if it is none of ours, or bad."""
    signature = signature_of(request)
    if signature is None:
        raise refusal("missing", MISSING, service=service, protocol=protocol)
    known = credentials.find(signature.access_key)
    if known is None or not hmac.compare_digest(known.session_token.encode(), signature.token.encode()):
        raise refusal("unknown", INVALID, service=service, protocol=protocol)
    _check_date(signature, clock, service=service, protocol=protocol)
    if known.expires_at is not None and known.expires_at <= clock.now():
        raise refusal("expired", EXPIRED, service=service, protocol=protocol)
    if not hmac.compare_digest(expected(request, signature, known, service=service), signature.value):
        raise refusal("mismatch", MISMATCH, service=service, protocol=protocol)
    return known.principal


def refusal(kind: str, message: str, *, service: str, protocol: str) -> ServiceError:
    """The service's own error for `missing`, `unknown`, `expired`, `skewed` or `mismatch` credentials."""
    family = service if service in {"s3", "ec2"} else "json" if protocol in {"json", "rest-json"} else "query"
    code, status = _CODES[kind][family]
    return ServiceError(code, message, status=403 if protocol == "rest-json" else status)


def signature_of(request: Request) -> Signature | None:
    """The signature in the Authorization header or in the query of a presigned URL; None if there is none."""
    found = _AUTHORIZATION.match(request.headers.get("Authorization"))
    if found:
        access_key, _, scope = found["credential"].partition("/")
        return Signature(
            access_key=access_key,
            scope=scope,
            signed_headers=tuple(found["signed"].split(";")),
            value=found["value"],
            stamp=request.headers.get("X-Amz-Date"),
            token=request.headers.get("X-Amz-Security-Token"),
        )
    query = dict(request.query_items())
    if query.get("X-Amz-Algorithm") != ALGORITHM:
        return None
    access_key, _, scope = query.get("X-Amz-Credential", "").partition("/")
    expires = query.get("X-Amz-Expires", "")
    return Signature(
        access_key=access_key,
        scope=scope,
        signed_headers=tuple(query.get("X-Amz-SignedHeaders", "").split(";")),
        value=query.get("X-Amz-Signature", ""),
        stamp=query.get("X-Amz-Date", ""),
        token=query.get("X-Amz-Security-Token", ""),
        presigned_for=timedelta(seconds=int(expires)) if expires.isdigit() else timedelta(0),
    )


def expected(request: Request, signature: Signature, credentials: Credentials, *, service: str) -> str:
    """The signature (hex) that the owner of `credentials` would have made over this request."""
    return _hmac(
        _signing_key(credentials.secret_key, signature.scope), string_to_sign(request, signature, service=service)
    ).hex()


def string_to_sign(request: Request, signature: Signature, *, service: str) -> str:
    """What is signed: the label, the date, the scope and the hash of the canonical request."""
    canonical = canonical_request(request, signature, service=service)
    return "\n".join((ALGORITHM, signature.stamp, signature.scope, hashlib.sha256(canonical.encode()).hexdigest()))


def canonical_request(request: Request, signature: Signature, *, service: str) -> str:
    """The request in the form that is hashed. S3 signs the path as sent, the others encode it once more."""
    path = request.path or "/"
    if service != "s3":
        path = quote(normalize_url_path(path), safe="/~")
    headers = "".join(f"{name}:{_header(request, name)}\n" for name in signature.signed_headers)
    return "\n".join(
        (
            request.method,
            path,
            _canonical_query(request.query),
            headers,
            ";".join(signature.signed_headers),
            _payload_hash(request, presigned=signature.presigned_for is not None, service=service),
        )
    )


def _check_date(signature: Signature, clock: Clock, *, service: str, protocol: str) -> None:
    try:
        stamped = datetime.strptime(signature.stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise refusal(
            "mismatch", "Date in the request is missing or malformed", service=service, protocol=protocol
        ) from None
    good_for = TOLERANCE if signature.presigned_for is None else signature.presigned_for
    moments = (clock.now(), datetime.now(UTC))
    if any(stamped - TOLERANCE <= now <= stamped + good_for for now in moments):
        return
    now = f"{moments[0]:%Y%m%dT%H%M%SZ}"
    early = stamped > moments[0]
    text = f"Signature {'not yet current' if early else 'expired'}: {signature.stamp} is now " + (
        f"later than {now} + 5 min." if early else f"earlier than {now} - 5 min."
    )
    raise refusal("skewed", text, service=service, protocol=protocol)


def _payload_hash(request: Request, *, presigned: bool, service: str) -> str:
    declared = request.headers.get("X-Amz-Content-Sha256")
    if declared.startswith(_UNHASHED):
        return declared
    if presigned and service == "s3":
        return "UNSIGNED-PAYLOAD"
    # The body's own hash, not the declared one: a body that was changed on the way must not pass.
    return hashlib.sha256(request.body).hexdigest()


def _canonical_query(query: str) -> str:
    pairs = [part.partition("=")[::2] for part in query.split("&") if part]
    signed: Sequence[tuple[str, str]] = sorted(
        (_encoded(name), _encoded(value)) for name, value in pairs if name != "X-Amz-Signature"
    )
    return "&".join(f"{name}={value}" for name, value in signed)


def _encoded(text: str) -> str:
    # Decoded first, so that "a b", "a+b" and "a%20b" sign alike.
    return quote(unquote_plus(text), safe="-_.~")


def _header(request: Request, name: str) -> str:
    return ",".join(" ".join(value.split()) for value in request.headers.all(name))


def _signing_key(secret: str, scope: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = _hmac(key, part)
    return key


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()
