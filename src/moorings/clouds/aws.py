"""AWS, as one place to get clients from: who we are, which Region, how patient, and errors in our own words.

The command line, deploy and nodes get their clients here, and so may a function. Credentials, profiles and endpoints
(AWS_PROFILE, AWS_ENDPOINT_URL, …) are boto3's own business; this module adds none of its own.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    InvalidRegionError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    ProxyConnectionError,
    SSLError,
    SSOError,
    TokenRetrievalError,
    UnauthorizedSSOTokenError,
    UnknownRegionError,
)

from moorings.clouds.aws_calls import Told, watch
from moorings.clouds.aws_errors import DENIED, code_of, translated
from moorings.errors import CloudFault, Misconfigured

_NO_CREDENTIALS = (
    NoCredentialsError,
    PartialCredentialsError,
    CredentialRetrievalError,
    TokenRetrievalError,
    UnauthorizedSSOTokenError,
    SSOError,
)
_BAD_CREDENTIALS = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "RequestExpired",
        "InvalidClientTokenId",
        "UnrecognizedClientException",
        "AuthFailure",
        "SignatureDoesNotMatch",
        "InvalidAccessKeyId",
    }
)
_ACTION = re.compile(r"not authorized to perform: ([\w-]+:\w+)")
# How AWS begins to say that a signature's date is too far from its own. Source: IAM, troubleshooting signatures
_DATED = ("Signature expired", "Signature not yet current")
_AUTHORITY = "if a proxy of your network opens what is encrypted, let AWS_CA_BUNDLE name its authority's certificates"
_CLOCK = "set this computer's clock: `moorings doctor --only clock` says how far it is off"
_SIGN_IN = "sign in to AWS (`aws sso login`, `aws configure`, or the variables AWS_PROFILE or AWS_ACCESS_KEY_ID)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long one call may take: seconds to connect, seconds to wait for bytes, and tries in all."""

    connect: float
    read: float
    attempts: int


PATIENT = Patience(connect=10, read=60, attempts=6)  # a person waits, and would rather wait than start again


class Aws:
    """One account in one Region, as the surrounding credentials show it. Clients are made once and may be shared."""

    def __init__(
        self,
        *,
        region: str,
        profile: str = "",
        patience: Patience = PATIENT,
        session: boto3.Session | None = None,
        on_call: Told | None = None,
    ) -> None:
        """Misconfigured if `profile` does not exist or the configuration cannot be read; nothing is called yet.

        A given `session` brings who we are; `on_call` is told of every call, from whichever thread makes it.
        """
        self._session = session or session_of(region=region, profile=profile)
        if on_call:
            watch(self._session, on_call)
        self.region = region
        self._config = Config(
            connect_timeout=patience.connect,
            read_timeout=patience.read,
            retries={"mode": "standard", "total_max_attempts": patience.attempts},
            user_agent_extra="moorings",
        )
        self._clients: dict[str, Any] = {}
        self._account = ""

    def client(self, service: str) -> Any:
        """The boto3 client of a service, such as `ssm`. Misconfigured if Region or endpoint cannot be one."""
        if service not in self._clients:
            try:
                self._clients[service] = self._session.client(service, region_name=self.region, config=self._config)
            except InvalidRegionError as error:
                raise _no_region(self.region) from error
            except ValueError as error:  # botocore's word for a URL that is none
                raise Misconfigured(str(error), remedy="look at AWS_ENDPOINT_URL and the like") from error
        return self._clients[service]

    @property
    def account(self) -> str:
        """The 12-digit account number. Misconfigured if nobody is signed in; asked once."""
        if not self._account:
            with calling("sts:GetCallerIdentity"):
                self._account = str(self.client("sts").get_caller_identity()["Account"])
        return self._account

    @property
    def partition(self) -> str:
        """aws, aws-cn, aws-us-gov, …: the second part of every ARN in this Region. Misconfigured if it is none."""
        try:
            return str(self._session.get_partition_for_region(self.region))
        except UnknownRegionError as error:
            raise _no_region(self.region) from error


def _no_region(name: str) -> Misconfigured:
    return Misconfigured(f"{name!r} is no AWS Region", remedy="write it as eu-central-1")


def session_of(*, region: str = "", profile: str = "") -> boto3.Session:
    """Who we are by `profile`, or else by the surroundings. Misconfigured if that cannot be read; calls nothing."""
    try:
        return boto3.Session(region_name=region or None, profile_name=profile or None)
    except ProfileNotFound as error:
        raise Misconfigured(str(error), remedy="name a profile that `aws configure list-profiles` shows") from error
    except BotoCoreError as error:
        raise Misconfigured(str(error), remedy="look at ~/.aws/config and the variables AWS_…") from error


@contextmanager
def calling(call: str) -> Iterator[None]:
    """Turn errors of the AWS call inside into ours; `call` names it, such as `cloudformation:CreateChangeSet`.

    As `aws_errors.translated`, and what a person at a terminal meets besides: Misconfigured if nobody is signed in, or
    the right is missing, which is named; CloudFault with the address if the endpoint cannot be reached.
    """
    with translated(call):
        try:
            yield
        except _NO_CREDENTIALS as error:
            raise Misconfigured(f"{call} needs AWS credentials: {error}", remedy=_SIGN_IN) from error
        except (EndpointConnectionError, ConnectTimeoutError, ProxyConnectionError) as error:
            raise CloudFault(
                str(error), call=call, remedy="check the Region, the network, and the proxy settings"
            ) from error
        except SSLError as error:
            raise CloudFault(str(error), call=call, remedy=_AUTHORITY) from error
        except ClientError as error:
            if code_of(error) in _BAD_CREDENTIALS:
                remedy = _CLOCK if any(word in str(error) for word in _DATED) else _SIGN_IN
                raise Misconfigured(f"{call} refused the AWS credentials: {error}", remedy=remedy) from error
            if code_of(error) in DENIED:
                raise denied(call, error) from error
            raise


def denied(call: str, error: ClientError, *, action: str = "") -> Misconfigured:
    """What to tell a person who may not; `action` names the right where neither the call nor the error does."""
    message = str(error.response.get("Error", {}).get("Message", "")) or code_of(error)
    named = _ACTION.search(message)
    right = action or (named[1] if named else call)
    return Misconfigured(
        f"{call} is not allowed: {message}",
        remedy=f"allow {right} for whoever runs this; `moorings doctor --only rights` names all that are missing",
    )
