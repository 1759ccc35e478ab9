"""Refusals of the token service: OAuth's word, the AADSTS number, and the text that operators search for.

Texts follow what the service's users publish; none ever holds a secret or an assertion.
"""

import json
import uuid
from datetime import datetime

from localcloud.errors import LocalCloudError
from localcloud.wire import Headers, Response

INVALID_CLIENT, INVALID_REQUEST, INVALID_SCOPE = "invalid_client", "invalid_request", "invalid_scope"


class Aadsts(LocalCloudError):
    """A refusal: `error` is OAuth's word, `number` the one behind AADSTS."""

    def __init__(self, number: int, message: str, *, error: str = INVALID_CLIENT, status: int = 401) -> None:
        super().__init__(f"AADSTS{number}: {message}")
        self.number = number
        self.error = error
        self.status = status

    def response(self, now: datetime) -> Response:
        """The answer that says it."""
        trace, correlation = uuid.uuid4(), uuid.uuid4()
        stamp = f"{now:%Y-%m-%d %H:%M:%SZ}"
        body = {
            "error": self.error,
            "error_description": f"{self} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {stamp}",
            "error_codes": [self.number],
            "timestamp": stamp,
            "trace_id": str(trace),
            "correlation_id": str(correlation),
            "error_uri": f"https://login.microsoftonline.com/error?code={self.number}",
        }
        return Response(
            status=self.status,
            headers=Headers.of({"Content-Type": "application/json; charset=utf-8", "Cache-Control": "no-store"}),
            body=json.dumps(body).encode(),
        )


def no_tenant(tenant: str) -> Aadsts:
    """The tenant of the path is not here."""
    return Aadsts(
        90002,
        f"Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing into the "
        "correct cloud. Check with your subscription administrator, this may happen if there are no active "
        "subscriptions for the tenant.",
        error=INVALID_REQUEST,
        status=400,
    )


def missing(parameter: str) -> Aadsts:
    """A parameter of the form is not there."""
    return Aadsts(
        900144,
        f"The request body must contain the following parameter: '{parameter}'.",
        error=INVALID_REQUEST,
        status=400,
    )


def grant_type(given: str) -> Aadsts:
    """Only client credentials are granted here."""
    return Aadsts(
        70003, f"The app requested an unsupported grant type '{given}'.", error="unsupported_grant_type", status=400
    )


def no_application(client: str, tenant: str) -> Aadsts:
    """No such client id."""
    return Aadsts(
        700016,
        f"Application with identifier '{client}' was not found in the directory '{tenant}'. This can happen if the "
        "application has not been installed by the administrator of the tenant or consented to by any user in the "
        "tenant. You may have sent your authentication request to the wrong tenant.",
        error="unauthorized_client",
        status=400,
    )


def no_credential() -> Aadsts:
    """Neither secret nor assertion."""
    return Aadsts(
        7000218, "The request body must contain the following parameter: 'client_assertion' or 'client_secret'."
    )


def wrong_secret(client: str) -> Aadsts:
    """A secret that the application does not have."""
    return Aadsts(
        7000215,
        "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not "
        f"the client secret ID, for a secret added to app '{client}'.",
    )


def secret_expired(client: str) -> Aadsts:
    """A secret whose time is over."""
    return Aadsts(
        7000222,
        f"The provided client secret keys for app '{client}' are expired. Visit the Azure portal to create new keys "
        "for your app: https://aka.ms/NewClientSecret, or consider using certificate credentials for added security.",
    )


def malformed_assertion() -> Aadsts:
    """Not a JWT, or one without what every assertion has."""
    return Aadsts(50027, "JWT token is invalid or malformed.", error=INVALID_REQUEST, status=400)


def unsupported_algorithm(algorithm: str) -> Aadsts:
    """An assertion signed in a way that is not taken."""
    return Aadsts(
        5002738,
        f"Invalid JWT token. '{algorithm}' is not a supported signature algorithm. Supported signing algorithms are: "
        "'RS256, RS384, RS512'",
    )


def bad_signature(why: str) -> Aadsts:
    """A certificate assertion that does not verify."""
    return Aadsts(700027, f"Client assertion contains an invalid signature. [Reason - {why}]")


def bad_federated_signature() -> Aadsts:
    """A federated assertion that does not verify with its issuer's keys."""
    return Aadsts(
        50013, "Assertion failed signature validation. [Reason - The key was not found, or the signature is not its.]"
    )


def out_of_time(now: datetime) -> Aadsts:
    """An assertion that is over, not begun, or too long."""
    return Aadsts(
        700024,
        f"Client assertion is not within its valid time range. Current time: {now:%Y-%m-%dT%H:%M:%S.0000000Z}.",
    )


def wrong_assertion_audience(given: str) -> Aadsts:
    """A certificate assertion for another endpoint."""
    return Aadsts(
        700023, f"Client assertion audience claim does not match Realm issuer. Assertion audience claim is '{given}'."
    )


def wrong_assertion_client() -> Aadsts:
    """A certificate assertion of another application."""
    return Aadsts(700021, "Client assertion application identifier doesn't match 'client_id' parameter.")


def no_federated(number: int, what: str, given: str) -> Aadsts:
    """No federated credential fits: 700211 by issuer, 700212 by audience, 700213 by subject."""
    return Aadsts(
        number,
        f"No matching federated identity record found for presented assertion {what} '{given}'. Please check your "
        "federated identity credential Subject, Audience and Issuer against the presented assertion. "
        "https://learn.microsoft.com/entra/workload-id/workload-identity-federation",
    )


def issuer_unreachable(issuer: str) -> Aadsts:
    """The issuer's documents cannot be read."""
    return Aadsts(50166, f"Request to External OIDC endpoint '{issuer}' failed.")


def scope(given: str) -> Aadsts:
    """A scope that client credentials cannot have."""
    return Aadsts(
        1002012,
        f"The provided value for scope {given} is not valid. Client credential flows must have a scope value with "
        "/.default suffixed to the resource identifier (application ID URI).",
        error=INVALID_SCOPE,
        status=400,
    )


def resource(name: str, tenant: str) -> Aadsts:
    """A resource that the tenant does not know."""
    return Aadsts(
        500011,
        f"The resource principal named {name} was not found in the tenant named {tenant}. This can happen if the "
        "application has not been installed by the administrator of the tenant or consented to by any user in the "
        "tenant. You might have sent your authentication request to the wrong tenant.",
        error="invalid_resource",
        status=400,
    )
