"""The only reader of the environment: each kind of process reads its settings once, into one frozen value."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from moorings.errors import Misconfigured


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolmentSettings:
    """What the enrolment functions are told by their stack."""

    region: str
    table: str
    stack: str  # short and unique for this stack; marks its activations
    code_prefix: str  # Parameter Store path, no slash at the end
    kms_key: str
    keeper_function: str
    api_url: str
    vpce: str  # the VPC endpoint of this stack's API
    proofs: frozenset[str]  # that the stack accepts at all, whatever the rules say
    default_configuration: str  # JSON; in force while the ledger holds no configuration


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploySettings:
    """What a deployment is told by its surroundings."""

    region: str  # empty: that of the AWS profile in use
    function_platform: str  # e.g. "python3.13/x86_64"; empty: what the templates run on


def enrolment_settings(environment: Mapping[str, str] | None = None) -> EnrolmentSettings:
    """The settings of an enrolment function; Misconfigured names every variable that is missing."""
    env = os.environ if environment is None else environment
    names = {
        "region": "AWS_REGION",
        "table": "MOORINGS_TABLE",
        "stack": "MOORINGS_STACK",
        "code_prefix": "MOORINGS_CODE_PREFIX",
        "kms_key": "MOORINGS_KMS_KEY",
        "keeper_function": "MOORINGS_KEEPER",
        "api_url": "MOORINGS_API_URL",
        "vpce": "MOORINGS_VPCE",
        "default_configuration": "MOORINGS_DEFAULT_CONFIGURATION",
    }
    # A stack cannot tell a function its own name; Lambda does, so the keeper needs no variable for it.
    env = {**env, "MOORINGS_KEEPER": env.get("MOORINGS_KEEPER") or env.get("AWS_LAMBDA_FUNCTION_NAME", "")}
    missing = [variable for variable in names.values() if not env.get(variable)]
    if missing:
        raise Misconfigured(
            f"the function's environment lacks {', '.join(missing)}",
            remedy="deploy the enrolment stack again; do not change the function's environment by hand",
        )
    # None named, or no such variable at all (the keeper judges nobody): none is accepted.
    proofs = frozenset(env.get("MOORINGS_PROOFS", "").split())
    return EnrolmentSettings(**{field: env[variable] for field, variable in names.items()}, proofs=proofs)


def in_function(environment: Mapping[str, str] | None = None) -> bool:
    """Whether Lambda started this process to serve a function; False for whoever only imports its modules."""
    return bool((os.environ if environment is None else environment).get("AWS_LAMBDA_FUNCTION_NAME"))


def deploy_settings(environment: Mapping[str, str] | None = None) -> DeploySettings:
    """The settings of the command line: the Region, never a silent default, and what zips are built for."""
    env = os.environ if environment is None else environment
    region = env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION") or ""
    return DeploySettings(region=region, function_platform=env.get("MOORINGS_FUNCTION_PLATFORM", ""))
