"""Client assertions: a JWT in place of a secret, signed by the application's certificate or by a trusted issuer."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from localcloud.azure import entra_errors as errors
from localcloud.azure.entra_applications import Application, Federated

TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
SKEW = timedelta(minutes=5)
_CERTIFICATE_ALGORITHMS = ("RS256", "PS256")
_FEDERATED_ALGORITHMS = ("RS256", "RS384", "RS512")
# Times and audiences are compared here, by the cloud's clock.
_SIGNATURE_ONLY: Any = {"verify_exp": False, "verify_nbf": False, "verify_iat": False, "verify_aud": False}

# The key set that an issuer publishes; None: nobody answers there.
Published = Callable[[str], Mapping[str, Any] | None]


def check(
    assertion: str, application: Application, *, audiences: Sequence[str], now: datetime, published: Published
) -> str:
    """Which kind of credential the assertion is (`certificate`, `federated`); raises Aadsts if it is none.

    An assertion that the application issues for itself is a certificate's; every other is federated. `audiences` are
    the names of the token endpoint, for the former.
    """
    try:
        header = jwt.get_unverified_header(assertion)
        claims = jwt.decode(assertion, options={"verify_signature": False})
    except jwt.PyJWTError as error:
        raise errors.malformed_assertion() from error
    if any(name not in claims for name in ("iss", "sub", "aud", "exp")):
        raise errors.malformed_assertion()
    if claims["iss"] == application.client_id or claims["sub"] == application.client_id:
        _check_certificate(assertion, header, claims, application, audiences=audiences)
        kind = "certificate"
    else:
        _check_federated(assertion, header, claims, application, published=published)
        kind = "federated"
    _check_times(claims, now)
    return kind


def _check_certificate(
    assertion: str,
    header: Mapping[str, Any],
    claims: Mapping[str, Any],
    application: Application,
    *,
    audiences: Sequence[str],
) -> None:
    if header.get("alg") not in _CERTIFICATE_ALGORITHMS:
        raise errors.unsupported_algorithm(str(header.get("alg")))
    # Some libraries pad the thumbprint, against the standard; the service takes both.
    sha1, sha256 = (str(header.get(name, "")).rstrip("=") for name in ("x5t", "x5t#S256"))
    found = application.certificate(sha1=sha1, sha256=sha256)
    if found is None:
        raise errors.bad_signature("The key was not found.")
    key = found.public_key()
    if not isinstance(key, RSAPublicKey):
        raise errors.bad_signature("The key is not an RSA key.")
    try:
        jwt.decode(assertion, key, algorithms=[header["alg"]], options=_SIGNATURE_ONLY)
    except jwt.PyJWTError as error:
        raise errors.bad_signature("The signature is not the key's.") from error
    if claims["iss"] != application.client_id or claims["sub"] != application.client_id:
        raise errors.wrong_assertion_client()
    if claims["aud"] not in audiences:
        raise errors.wrong_assertion_audience(str(claims["aud"]))


def _check_federated(
    assertion: str,
    header: Mapping[str, Any],
    claims: Mapping[str, Any],
    application: Application,
    *,
    published: Published,
) -> None:
    issuer = str(claims["iss"])
    # Only an issuer that a credential names is ever asked for its keys.
    _match(application.federated(), claims)
    if header.get("alg") not in _FEDERATED_ALGORITHMS:
        raise errors.unsupported_algorithm(str(header.get("alg")))
    keys = published(issuer)
    if keys is None:
        raise errors.issuer_unreachable(issuer)
    found = next((key for key in keys["keys"] if key["kid"] == header.get("kid") and key["kty"] == "RSA"), None)
    if found is None:
        raise errors.bad_federated_signature()
    try:
        jwt.decode(
            assertion, jwt.PyJWK(found, algorithm=header["alg"]), algorithms=[header["alg"]], options=_SIGNATURE_ONLY
        )
    except jwt.PyJWTError as error:
        raise errors.bad_federated_signature() from error


def _match(credentials: Sequence[Federated], claims: Mapping[str, Any]) -> None:
    issuer, subject = str(claims["iss"]), str(claims["sub"])
    # One value, as the custom exchange audience; of a list, each counts.
    given = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
    left = [one for one in credentials if one.issuer == issuer]
    if not left:
        raise errors.no_federated(700211, "issuer", issuer)
    left = [one for one in left if one.audience in given]
    if not left:
        raise errors.no_federated(700212, "audience", " ".join(str(one) for one in given))
    if not any(one.subject == subject for one in left):
        raise errors.no_federated(700213, "subject", subject)


def _check_times(claims: Mapping[str, Any], now: datetime) -> None:
    try:
        ends = float(claims["exp"])
        begins = float(claims.get("nbf", claims.get("iat", 0)))
    except (TypeError, ValueError) as error:
        raise errors.malformed_assertion() from error
    if not begins - SKEW.total_seconds() <= now.timestamp() < ends + SKEW.total_seconds():
        raise errors.out_of_time(now)
