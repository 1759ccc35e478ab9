"""Findings about what expires: anchors, Azure's credentials, the account's issuer; and the artifact bucket. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from moorings.doctor.checks_stacks import logged_since
from moorings.doctor.model import Bucket, Finding, Parameter, StackFacts, State, Unseen

NEAR_END = timedelta(days=30)
_UPDATE = "moorings anchors update"
# What botocore says of a call that it does not know.
_UNKNOWN_CALL = "get_web_identity_token"


def anchors(found: Sequence[str] | Unseen | None) -> list[Finding]:
    """The lives of the trust anchors on this computer, which the next deployment brings along."""
    if found is None:
        means = "patching that is deployed from here would have none: no VM could prove which one it is"
        return [_anchor(State.ADVICE, "there are none on this computer", means)]
    if isinstance(found, Unseen):
        return [_anchor(State.ACT, found.why, "patching cannot be deployed with them")]
    means = "proofs of VMs below it are refused from then on: update, then deploy patching again"
    return [_anchor(State.ACT, each, means) for each in found] or [
        _anchor(State.OK, "all are valid for at least 60 days")
    ]


def parameters(
    stack: StackFacts, found: Mapping[str, Parameter | Unseen | None], *, federated: bool, now: datetime
) -> list[Finding]:
    """Patching's stored credentials. A federated stack needs none."""
    if federated:
        what = "none is needed: the stack has a federation"
        return [Finding(check="azure-parameters", state=State.OK, subject=stack.name, what=what)]
    connect = f"moorings azure connect --stack-name {stack.name} --tenant-id TENANT --client-id CLIENT"
    findings = []
    if missing := [name for name, parameter in found.items() if parameter is None]:
        what = f"{'is' if len(missing) == 1 else 'are'} not stored"
        means = "runs cannot sign in to Azure, and end UNCHANGED"
        findings.append(_parameter(State.ACT, ", ".join(missing), what, means, connect))
    for name, parameter in found.items():
        if parameter is None:
            continue
        if isinstance(parameter, Unseen):
            command = f"aws ssm describe-parameters --parameter-filters Key=Name,Values={name}"
            means = "whether it is there, and when it expires, is not known"
            findings.append(_parameter(State.UNKNOWN, name, f"cannot be read: {parameter.why}", means, command))
        elif parameter.expires_at is not None:
            findings.append(_certificate(parameter.name, parameter.expires_at, now, connect))
        elif name == list(found)[-1]:
            command = 'az ad app credential list --id CLIENT --query "[].endDateTime"'
            means = "a client secret does not tell when it expires; Entra does"
            findings.append(_parameter(State.UNKNOWN, name, "is stored, a client secret", means, command))
        else:
            findings.append(_parameter(State.OK, name, "is stored"))
    return findings


def _certificate(name: str, expires_at: datetime, now: datetime, command: str) -> Finding:
    what = f"a certificate, valid until {expires_at:%Y-%m-%d}"
    if expires_at - now < NEAR_END:
        means = "from then on runs cannot sign in to Azure: give the application a new one, and store it"
        return _parameter(State.ACT, name, what, means, f"{command} --certificate FILE")
    return _parameter(State.OK, name, what)


def federation(stack: StackFacts, issues: bool | Unseen, *, federated: bool) -> list[Finding]:
    """Whether the account can vouch for its functions."""
    check = "azure-federation"
    if not federated:
        means = "it stores a secret that must be renewed; a federation has none"
        command = f"moorings azure connect --stack-name {stack.name} --federated"
        return [
            Finding(
                check=check,
                state=State.ADVICE,
                subject=stack.name,
                what="has no federation",
                means=means,
                command=command,
            )
        ]
    if isinstance(issues, Unseen):
        command = "aws iam get-outbound-web-identity-federation-info"
        return [
            Finding(
                check=check,
                state=State.UNKNOWN,
                subject="federation",
                what=f"cannot be seen: {issues.why}",
                means="the stack signs in to Azure by it",
                command=command,
            )
        ]
    if not issues:
        command = "aws iam enable-outbound-web-identity-federation"
        return [
            Finding(
                check=check,
                state=State.ACT,
                subject="federation",
                what="this account issues no web identities",
                means="the stack signs in to Azure by them: every run ends UNCHANGED",
                command=command,
            )
        ]
    return [Finding(check=check, state=State.OK, subject="federation", what="this account issues web identities")]


def sign_in(
    stack: StackFacts, answer: Mapping[str, Any] | Unseen | None, function: str, *, now: datetime
) -> list[Finding]:
    """What the function says when it is asked to sign in; None: it has nothing to sign in with."""
    log = logged_since(stack.outputs.get("FunctionLogGroup", ""), now - timedelta(minutes=10))
    if answer is None:
        return []
    if isinstance(answer, Unseen):
        if _UNKNOWN_CALL in answer.why:
            means = (
                "the runtime's boto3 is too old for the federation: deploy again, so that the layer brings a newer one"
            )
            command = f"moorings patch deploy --stack-name {stack.name}"
            return [_sign_in(State.ACT, function, "does not know sts:GetWebIdentityToken", means, command)]
        return [_sign_in(State.UNKNOWN, function, answer.why, "whether runs can sign in to Azure is not known", log)]
    told = [each for each in answer.get("Findings", ()) if each.get("subject") in ("credentials", "clock", "anchors")]
    findings = []
    for each in told:
        state = {"ok": State.OK, "wrong": State.ACT}.get(str(each["state"]), State.UNKNOWN)
        if state is State.OK:
            findings.append(_sign_in(State.OK, function, str(each["what"])))
        else:
            means = str(each.get("remedy", "")) or "runs end UNCHANGED until it is mended"
            command = _UPDATE if each["subject"] == "anchors" else log
            findings.append(_sign_in(state, function, str(each["what"]), means, command))
    what = str(answer.get("refused") or "gave no answer that can be read")
    return findings or [_sign_in(State.UNKNOWN, function, what, "whether runs can sign in to Azure is not known", log)]


def bucket(name: str, found: Bucket | Unseen | None) -> list[Finding]:
    """The bucket with the zips."""
    look = f"aws s3api get-bucket-location --bucket {name}"
    if found is None:
        what = "is not there yet: deploying makes it, encrypted, versioned and private"
        return [_bucket(State.OK, name, what)]
    if isinstance(found, Unseen):
        return [
            _bucket(State.UNKNOWN, name, f"cannot be seen: {found.why}", "who may read the zips is not known", look)
        ]
    lacking = [
        (
            found.encrypted,
            "is not encrypted by default",
            "zips lie unencrypted",
            "put-bucket-encryption --server-side-encryption-configuration"
            ' \'{"Rules":[{"ApplyServerSideEncryptionByDefault":{"SSEAlgorithm":"AES256"}}]}\'',
        ),
        (
            found.versioned,
            "keeps no versions",
            "a zip that is overwritten is gone",
            "put-bucket-versioning --versioning-configuration Status=Enabled",
        ),
        (
            found.private,
            "does not block public access",
            "a policy could make the zips public",
            "put-public-access-block --public-access-block-configuration BlockPublicAcls=true,IgnorePublicAcls=true,"
            "BlockPublicPolicy=true,RestrictPublicBuckets=true",
        ),
    ]
    wrong = [
        _bucket(
            State.ACT, name, what, means, f"aws s3api {call.partition(' ')[0]} --bucket {name} {call.partition(' ')[2]}"
        )
        for well, what, means, call in lacking
        if not well
    ]
    return wrong or [_bucket(State.OK, name, "is encrypted, versioned and private")]


def _anchor(state: State, what: str, means: str = "") -> Finding:
    command = "" if state is State.OK else _UPDATE
    return Finding(check="anchors", state=state, subject="trust anchors", what=what, means=means, command=command)


def _parameter(state: State, subject: str, what: str, means: str = "", command: str = "") -> Finding:
    return Finding(check="azure-parameters", state=state, subject=subject, what=what, means=means, command=command)


def _sign_in(state: State, subject: str, what: str, means: str = "", command: str = "") -> Finding:
    return Finding(check="azure-sign-in", state=state, subject=subject, what=what, means=means, command=command)


def _bucket(state: State, subject: str, what: str, means: str = "", command: str = "") -> Finding:
    return Finding(check="artifact-bucket", state=state, subject=subject, what=what, means=means, command=command)
