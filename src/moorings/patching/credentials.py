"""Azure for a run: by the stack's federation, or with what the run's parameters hold. Values are kept nowhere else.

A warm function keeps one `Azure` for each set of names, and with it the token; a secret that was changed is read again
once Azure has refused the old one.
"""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from moorings.clouds.aws_errors import translated
from moorings.clouds.azure import Azure, Certificate, Federation, Place, Proof, Secret
from moorings.errors import CloudFault, Invalid, Misconfigured
from moorings.patching.azure import ArmCompute
from moorings.patching.model import CredentialNames
from moorings.patching.ports import Compute, Countdown

CALL = "ssm:GetParameter"
_CLIENT = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_TENANT = re.compile(rf"{_CLIENT.pattern}|[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")
_ANY = re.compile(r".*", re.DOTALL)
_CONNECT = "store them with `moorings azure connect`, or give other names"


class AzureClouds:
    """The `Clouds` port. `countdown` is that of the invocation that is being answered: set it before each."""

    def __init__(
        self,
        *,
        ssm: Any,
        place: Place,
        prefix: str,
        tenant: str = "",
        client: str = "",
        assertion: Callable[[], str] | None = None,
    ) -> None:
        """`tenant`, `client` and `assertion` are the stack's federation, if it has one."""
        self._ssm = ssm
        self._place = place
        self._prefix = prefix.rstrip("/") + "/"
        self._federation = (
            Federation(tenant_id=tenant, client_id=client, assertion=assertion) if tenant and assertion else None
        )
        self._known: dict[CredentialNames, Azure] = {}
        self.countdown: Countdown | None = None

    def compute(self, names: CredentialNames, *, subscription: str) -> Compute:
        """See `ports.Clouds.compute`."""
        azure = self._known.get(names)
        if azure is None:
            proof = self._proof(names)
            try:
                azure = Azure(proof=proof, place=self._place, remaining=self._remaining)
            except ValueError:  # how the SDK finds a certificate unreadable; its words may repeat what it read
                raise Misconfigured(
                    f"parameter {names.secret!r} holds no certificate with its key as PEM", remedy=_CONNECT
                ) from None
            self._known[names] = azure
        return ArmCompute(azure.client(subscription), arm=azure.arm, unauthenticated=lambda: self._forget(names))

    def _forget(self, names: CredentialNames) -> None:
        """The next call reads the parameters again: what they hold may have been renewed."""
        self._known.pop(names, None)

    def _remaining(self) -> timedelta:
        return self.countdown.remaining() if self.countdown is not None else timedelta(minutes=1)

    def _proof(self, names: CredentialNames) -> Proof:
        if not any((names.client, names.tenant, names.secret)):
            if self._federation is None:
                raise Misconfigured(
                    "no credentials for Azure: the stack has no federation and the run names no parameters",
                    remedy="moorings azure connect sets up either",
                )
            return self._federation
        client = self._read(names.client, _CLIENT, "a client id")
        tenant = self._read(names.tenant, _TENANT, "a tenant id")
        secret = self._read(names.secret)
        if "-----BEGIN" in secret:
            return Certificate(tenant_id=tenant, client_id=client, pem=secret.encode())
        return Secret(tenant_id=tenant, client_id=client, secret=secret)

    def _read(self, name: str, form: re.Pattern[str] = _ANY, what: str = "") -> str:
        if not name.startswith(self._prefix) or "/../" in name:
            raise Invalid(
                f"parameter {name!r} lies outside of {self._prefix}, where this stack may read", remedy=_CONNECT
            )
        try:
            with translated(CALL):
                answer = self._ssm.get_parameter(Name=name, WithDecryption=True)
        except CloudFault as fault:
            if fault.code in {"ParameterNotFound", "ParameterVersionNotFound"}:
                raise Misconfigured(f"there is no parameter {name!r}", remedy=_CONNECT) from fault
            raise
        value = str(answer["Parameter"]["Value"]).strip()
        if not form.fullmatch(value):
            # Not sent to Azure, which would repeat it: whoever mixed the names up has a secret here.
            raise Misconfigured(f"parameter {name!r} does not hold {what}", remedy=_CONNECT)
        return value
