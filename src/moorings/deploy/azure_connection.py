"""Credentials for Azure on their way into Parameter Store: read, proved against the token service, stored by name.

Values pass through and are kept nowhere else; no message names them.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from moorings.clouds.aws import Aws, calling
from moorings.clouds.azure import Azure, AzureCloud, Certificate, Place, Proof, Secret, cloud_named
from moorings.clouds.azure_errors import translated
from moorings.deploy.stacks import Stack
from moorings.errors import Conflict, Invalid

STANDARD_TIER = 4096  # characters of a value. Source: Parameter Store quotas
ADVANCED_TIER = 8192
TOKEN_TIME = timedelta(seconds=60)
_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_CALL = "the token service of Entra"
_DESCRIPTION = "Credentials of patching for Azure, by `moorings azure connect`"


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """Where a stack keeps its credentials for Azure, and which cloud they are for."""

    stack: str
    tenant: str  # names of parameters
    client: str
    secret: str
    prefix: str
    kms_key: str  # empty: SSM's own
    cloud: AzureCloud
    authority_url: str  # empty: that of the cloud
    federated: bool  # whether runs use the stack's federation unless they name parameters

    @property
    def names(self) -> tuple[str, str, str]:
        """The names, in the order in which they are stored."""
        return self.tenant, self.client, self.secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What is to be stored. `secret` is a client secret, or a certificate with its key as PEM."""

    tenant_id: str
    client_id: str
    secret: str = field(repr=False)
    expires_at: datetime | None = None  # of a certificate

    @property
    def proof(self) -> Proof:
        """The same as the token service is shown it."""
        if self.expires_at is None:
            return Secret(tenant_id=self.tenant_id, client_id=self.client_id, secret=self.secret)
        return Certificate(tenant_id=self.tenant_id, client_id=self.client_id, pem=self.secret.encode())


def connection_of(stack: Stack) -> Connection:
    """The connection of a patching stack. Conflict if its names do not lie below its prefix, where alone its functions
    may read."""
    names = stack.outputs.get("AzureCredentialParameters", "").split(",")
    prefix = stack.outputs.get("CredentialPrefix", "")
    if len(names) != 3 or not prefix or not all(name.startswith(f"{prefix}/") for name in names):
        raise Conflict(
            f"stack {stack.name} does not say where its credentials for Azure lie",
            remedy="deploy it again: moorings patch deploy",
        )
    return Connection(
        stack=stack.name,
        tenant=names[0],
        client=names[1],
        secret=names[2],
        prefix=prefix,
        kms_key=stack.parameters.get("CredentialKmsKeyId", ""),
        cloud=cloud_named(stack.parameters.get("AzureEnvironment", "AzurePublicCloud")),
        authority_url=stack.parameters.get("AzureAuthorityUrl", ""),
        federated=bool(stack.parameters.get("FederationClientId")),
    )


def with_secret(*, tenant_id: str, client_id: str, secret: str) -> Credentials:
    """Credentials with a client secret; Invalid if an id is none, or the secret is."""
    secret = secret.strip()
    if not secret:
        raise Invalid("the client secret is empty", remedy="give its value, as Entra shows it once")
    if _GUID.fullmatch(secret):
        raise Invalid(
            "this is the id of a client secret, not its value", remedy="give the value, which Entra shows only once"
        )
    return Credentials(tenant_id=_guid(tenant_id, "tenant"), client_id=_guid(client_id, "client"), secret=secret)


def with_certificate(*, tenant_id: str, client_id: str, file: Path, now: datetime) -> Credentials:
    """Credentials with a certificate and its key, both in one PEM file, the key without a password."""
    try:
        content = file.read_bytes()
        key = serialization.load_pem_private_key(content, password=None)
        certificate = x509.load_pem_x509_certificate(content)
        text = content.decode("ascii").strip()
    except (OSError, ValueError, TypeError) as error:  # TypeError: the key has a password
        raise Invalid(
            f"{file} cannot be read as a certificate with its key: {error}",
            remedy="name a PEM file that holds both, the key without a password",
        ) from error
    if key.public_key() != certificate.public_key():
        raise Invalid(
            f"key and certificate in {file} do not belong together", remedy="put the certificate's own key in"
        )
    expires_at = certificate.not_valid_after_utc
    if expires_at <= now:
        raise Invalid(f"the certificate in {file} expired at {expires_at:%Y-%m-%d}", remedy="make a new one")
    if len(text) > ADVANCED_TIER:
        raise Invalid(
            f"{file} is longer than a parameter may be ({ADVANCED_TIER} characters)", remedy="leave the chain out"
        )
    return Credentials(
        tenant_id=_guid(tenant_id, "tenant"), client_id=_guid(client_id, "client"), secret=text, expires_at=expires_at
    )


def prove(credentials: Credentials, connection: Connection, *, tls_bundle: Path | None = None) -> None:
    """Get a token with the credentials, and forget it. Misconfigured says what Entra has against them."""
    place = Place(cloud=connection.cloud, authority_url=connection.authority_url, tls_bundle=tls_bundle)
    azure = Azure(proof=credentials.proof, place=place, remaining=lambda: TOKEN_TIME)
    try:
        with translated(_CALL):
            azure.credential.get_token(connection.cloud.scope)
    finally:
        azure.close()


def stored_already(connection: Connection, aws: Aws) -> tuple[str, ...]:
    """Those of the names that exist; no value is read."""
    filters = [{"Key": "Name", "Option": "Equals", "Values": list(connection.names)}]
    with calling("ssm:DescribeParameters"):
        pages = aws.client("ssm").get_paginator("describe_parameters").paginate(ParameterFilters=filters)
        found = {each["Name"] for page in pages for each in page["Parameters"]}
    return tuple(name for name in connection.names if name in found)


def store(credentials: Credentials, connection: Connection, aws: Aws) -> Mapping[str, int]:
    """Write the three SecureStrings, over what is there; name → version. Interrupted, it can be run again."""
    values = zip(connection.names, (credentials.tenant_id, credentials.client_id, credentials.secret), strict=True)
    key = {"KeyId": connection.kms_key} if connection.kms_key else {}
    versions = {}
    for name, value in values:
        tier = "Standard" if len(value) <= STANDARD_TIER else "Advanced"
        with calling("ssm:PutParameter"):
            answer = aws.client("ssm").put_parameter(
                Name=name, Value=value, Type="SecureString", Overwrite=True, Tier=tier, Description=_DESCRIPTION, **key
            )
        versions[name] = int(answer["Version"])
    return versions


def _guid(text: str, what: str) -> str:
    if not _GUID.fullmatch(text.strip()):
        raise Invalid(
            f"{text[:60]!r} is no {what} id", remedy=f"give the {what} id (GUID) that Entra shows of the application"
        )
    return text.strip().lower()
