"""The only reader of the environment: each kind of process reads its settings once, into one frozen value."""

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from moorings.errors import Misconfigured

# What stands for an option of the command line where none is given; the options' help names them.
QUIET, VERBOSE = "MOORINGS_QUIET", "MOORINGS_VERBOSE"
STACK_NAME, PATCH_STACK_NAME = "MOORINGS_STACK_NAME", "MOORINGS_PATCH_STACK_NAME"
COMPLETE = "_MOORINGS_COMPLETE"  # set by the completion scripts: the shell that asks
_ANCHORS = "moorings_anchors"  # the package in the patching layer that holds trust anchors as files


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
class Federation:
    """The Entra application that trusts the functions' own AWS identity."""

    tenant: str
    client: str
    audience: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchingSettings:
    """What the patching functions are told by their stack."""

    region: str
    table: str
    stack: str  # short and unique for this stack; marks its disks and snapshots in Azure
    scopes: tuple[str, ...]  # ARM ids; a VM outside of them is left alone
    credential_prefix: str  # Parameter Store path, no slash at the end
    federation: Federation | None
    azure_environment: str  # AzurePublicCloud and the like
    arm_url: str  # empty: that of the environment
    authority_url: str  # empty: that of the environment
    event_bus: str
    anchors: Path | None  # directory with roots.pem, issuers.pem, tls.pem, each if given; None: none were deployed


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploySettings:
    """What a deployment is told by its surroundings."""

    region: str  # empty: that of the AWS profile in use
    function_platform: str  # e.g. "python3.13/x86_64"; empty: what the templates run on
    anchors: Path | None  # directory with the trust anchors that patching's layer brings along; None: none yet
    anchors_home: Path  # where the command line keeps them, whether or not it is there


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
    _require(env, names.values(), room="enrolment")
    # None named, or no such variable at all (the keeper judges nobody): none is accepted.
    proofs = frozenset(env.get("MOORINGS_PROOFS", "").split())
    return EnrolmentSettings(**{field: env[variable] for field, variable in names.items()}, proofs=proofs)


def patching_settings(environment: Mapping[str, str] | None = None) -> PatchingSettings:
    """The settings of a patching function; Misconfigured names every variable that is missing."""
    env = os.environ if environment is None else environment
    names = {
        "region": "AWS_REGION",
        "table": "MOORINGS_TABLE",
        "stack": "MOORINGS_STACK",
        "credential_prefix": "MOORINGS_CREDENTIAL_PREFIX",
        "azure_environment": "MOORINGS_AZURE_ENVIRONMENT",
        "event_bus": "MOORINGS_EVENT_BUS",
    }
    _require(env, (*names.values(), "MOORINGS_SCOPES"), room="patching")
    return PatchingSettings(
        **{field: env[variable] for field, variable in names.items()},
        scopes=tuple(env["MOORINGS_SCOPES"].split()),
        federation=_federation(env.get("MOORINGS_FEDERATION", "")),
        arm_url=env.get("MOORINGS_ARM_URL", ""),
        authority_url=env.get("MOORINGS_AUTHORITY_URL", ""),
        anchors=_deployed_anchors(),
    )


def _require(env: Mapping[str, str], variables: Iterable[str], *, room: str) -> None:
    missing = [variable for variable in variables if not env.get(variable)]
    if missing:
        raise Misconfigured(
            f"the function's environment lacks {', '.join(missing)}",
            remedy=f"deploy the {room} stack again; do not change the function's environment by hand",
        )


def _federation(text: str) -> Federation | None:
    if not text:
        return None
    try:
        found = json.loads(text)
        return Federation(tenant=found["tenant"], client=found["client"], audience=found["audience"])
    except (ValueError, KeyError, TypeError) as error:
        raise Misconfigured(
            "MOORINGS_FEDERATION is no object with tenant, client and audience",
            remedy="deploy the patching stack again; do not change the function's environment by hand",
        ) from error


def _deployed_anchors() -> Path | None:
    """The layer's package of anchors, found without running it."""
    found = find_spec(_ANCHORS)
    return Path(found.origin).parent if found and found.origin else None


def in_function(environment: Mapping[str, str] | None = None) -> bool:
    """Whether Lambda started this process to serve a function; False for whoever only imports its modules."""
    return bool((os.environ if environment is None else environment).get("AWS_LAMBDA_FUNCTION_NAME"))


def deploy_settings(environment: Mapping[str, str] | None = None) -> DeploySettings:
    """The settings of the command line: the Region, never a silent default, and what zips are built for."""
    env = os.environ if environment is None else environment
    region = env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION") or ""
    named = env.get("MOORINGS_ANCHORS", "")
    home = Path(named) if named else _configuration(env) / "moorings" / "anchors"
    return DeploySettings(
        region=region,
        function_platform=env.get("MOORINGS_FUNCTION_PLATFORM", ""),
        anchors=home if named or home.is_dir() else None,
        anchors_home=home,
    )


def completing_for(environment: Mapping[str, str] | None = None) -> str:
    """The shell whose completion script calls; empty if nobody completes a line."""
    return (os.environ if environment is None else environment).get(COMPLETE, "")


def wants_colour(*, terminal: bool, environment: Mapping[str, str] | None = None) -> bool:
    """Whether what is written to a stream is coloured. NO_COLOR goes before FORCE_COLOR, and both before the stream.

    Sources: no-color.org, force-color.org; an empty value counts as none.
    """
    env = os.environ if environment is None else environment
    if env.get("NO_COLOR"):
        return False
    return bool(env.get("FORCE_COLOR")) or (terminal and env.get("TERM") != "dumb")


def aws_files(environment: Mapping[str, str] | None = None) -> tuple[Path, Path]:
    """Where AWS profiles are configured, and where their credentials lie. Source: the AWS SDKs' reference guide."""
    env = os.environ if environment is None else environment
    home = Path(env.get("HOME") or Path.home()) / ".aws"
    return (
        Path(env.get("AWS_CONFIG_FILE") or home / "config"),
        Path(env.get("AWS_SHARED_CREDENTIALS_FILE") or home / "credentials"),
    )


def _configuration(env: Mapping[str, str]) -> Path:
    """Where a user's configuration lies. Source: the XDG base directory specification, which ignores relative paths."""
    given = Path(env.get("XDG_CONFIG_HOME", ""))
    return given if given.is_absolute() else Path(env.get("HOME") or Path.home()) / ".config"
