"""AWS's word for who we are, for another cloud: an assertion that takes the place of a stored secret."""

from collections.abc import Callable
from typing import Any

from moorings.clouds.aws_errors import translated
from moorings.errors import CloudFault, Misconfigured

CALL = "sts:GetWebIdentityToken"
DISABLED = "OutboundWebIdentityFederationDisabledException"
SECONDS = 300
_ALGORITHM = "RS256"  # the only one of the two that Entra takes


def web_identity(sts: Any, *, audience: str) -> Callable[[], str]:
    """What fetches an assertion for `audience`, by a regional STS client; each call makes a new one.

    It raises Misconfigured with the remedy if the account has not switched the feature on, or the role may not.
    """

    def assertion() -> str:
        try:
            with translated(CALL):
                answer = sts.get_web_identity_token(
                    Audience=[audience], SigningAlgorithm=_ALGORITHM, DurationSeconds=SECONDS
                )
        except CloudFault as fault:
            if fault.code != DISABLED:
                raise
            raise Misconfigured(
                "this AWS account issues no web identities",
                remedy="switch it on once: `aws iam enable-outbound-web-identity-federation`",
            ) from fault
        return str(answer["WebIdentityToken"])

    return assertion
