"""AWS's word for who we are, for another cloud: an assertion that takes the place of a stored secret."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from moorings.clouds.aws_errors import translated
from moorings.errors import CloudFault, Misconfigured

CALL = "sts:GetWebIdentityToken"
DISABLED = "OutboundWebIdentityFederationDisabledException"
SECONDS = 300
_ALGORITHM = "RS256"  # the only one of the two that Entra takes

# STS as far as it is asked here, as botocore reads it. Functions bring it along, because what a runtime's SDK knows
# differs by Region and day: AWS publishes no list of it. The call itself is of November 2025.
DESCRIPTIONS = Path(__file__).parent / "descriptions"


def knowing(session: Any) -> Any:
    """The botocore session, whose STS clients know the call whatever version the SDK has, and no other one."""
    paths = session.get_component("data_loader").search_paths
    if str(DESCRIPTIONS) not in paths:
        paths.insert(0, str(DESCRIPTIONS))
    return session


def web_identity(sts: Any, *, audience: str) -> Callable[[], str]:
    """What fetches an assertion for `audience`, by a regional STS client; each call makes a new one.

    It raises Misconfigured with the remedy if the SDK does not know the call (see `knowing`), if the account has not
    switched the feature on, or if the role may not.
    """

    def assertion() -> str:
        if not hasattr(sts, "get_web_identity_token"):
            raise Misconfigured(
                f"the AWS SDK here does not know {CALL}",
                remedy="deploy the functions again with this version, which brings it along, or update boto3",
            )
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
