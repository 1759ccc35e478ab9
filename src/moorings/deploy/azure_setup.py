"""What has to be set up in Azure and AWS so that a stack's functions work there without a secret: values and commands.

Nothing here changes anything: whoever may do so in Entra runs the commands.
"""

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

import moorings
from moorings.clouds.aws import Aws, calling
from moorings.clouds.aws_errors import code_of
from moorings.clouds.azure import CLOUDS, PUBLIC, cloud_named
from moorings.deploy.stacks import Stack

ROLE = "patching/azure-role.json"
# By the cloud's name as the stack has it: as `az cloud set` takes it.
AZ_CLOUDS: Mapping[str, str] = {"AzureUSGovernmentCloud": "AzureUSGovernment", "AzureChinaCloud": "AzureChinaCloud"}
_DISABLED = "FeatureDisabled"
_ISSUER = "$ISSUER"
_VM_SEGMENTS = 8  # of /subscriptions/ID/resourceGroups/NAME/providers/Microsoft.Compute/virtualMachines/NAME


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command of the set-up, and what it is for."""

    purpose: str
    line: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FederatedSetup:
    """The whole set-up of a stack's federation."""

    stack: str
    enabled: bool  # whether the AWS account issues web identities
    issuer: str  # empty while it does not
    subjects: Mapping[str, str]  # function and keeper: ARNs of their roles
    audience: str
    role: Mapping[str, Any]  # the custom role's definition
    scopes: tuple[str, ...]  # at which it is assigned
    commands: tuple[Command, ...]


def federated_setup(stack: Stack, aws: Aws, *, profile: str = "") -> FederatedSetup:
    """The set-up of a patching stack. Reads, in AWS alone."""
    issuer = _issuer(aws)
    audience = stack.parameters.get("FederationAudience", "")
    cloud = cloud_named(stack.parameters.get("AzureEnvironment", PUBLIC))
    # The template's default is the public cloud's; nobody has chosen it for another.
    if not audience or (cloud.name != PUBLIC and audience == CLOUDS[PUBLIC].exchange_audience):
        audience = cloud.exchange_audience
    scopes = assignment_scopes(stack.parameters.get("AllowedScopes", "").split(","))
    subjects = {"function": stack.outputs["FunctionRoleArn"], "keeper": stack.outputs["KeeperRoleArn"]}
    role = role_definition(stack.name, scopes)
    made = _Script(
        stack=stack, issuer=issuer, audience=audience, cloud=cloud.name, where=_where(stack, aws.region, profile)
    )
    return FederatedSetup(
        stack=stack.name,
        enabled=bool(issuer),
        issuer=issuer,
        subjects=subjects,
        audience=audience,
        role=role,
        scopes=scopes,
        commands=tuple(made.commands(subjects, role, scopes)),
    )


def assignment_scopes(allowed: list[str]) -> tuple[str, ...]:
    """Where the role has to be assigned so that VMs in these scopes can be put back: snapshots and disks are made in
    their resource group, and a custom role cannot be made assignable at less than a group."""
    wide = [_group_of(scope.strip()) for scope in allowed if scope.strip()]
    return tuple(dict.fromkeys(wide))


def role_definition(stack: str, scopes: tuple[str, ...]) -> dict[str, Any]:
    """The packaged custom role, named after the stack (names are unique in a tenant), assignable at these scopes."""
    packaged = json.loads((Path(moorings.__file__).parent / ROLE).read_text(encoding="utf-8"))
    return {**packaged, "Name": f"{packaged['Name']} ({stack})", "AssignableScopes": list(scopes)}


def _issuer(aws: Aws) -> str:
    with calling("iam:GetOutboundWebIdentityFederationInfo"):
        try:
            found = aws.client("iam").get_outbound_web_identity_federation_info()
        except ClientError as error:
            if code_of(error).startswith(_DISABLED):
                return ""
            raise
    return str(found["IssuerIdentifier"]) if found.get("JwtVendingEnabled", True) else ""


def _group_of(scope: str) -> str:
    parts = scope.strip("/").split("/")
    return "/" + "/".join(parts[:4] if len(parts) >= _VM_SEGMENTS else parts)


def _where(stack: Stack, region: str, profile: str) -> str:
    profiled = f" --profile {shlex.quote(profile)}" if profile else ""
    return f"--stack-name {stack.name} --region {region}{profiled}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Script:
    stack: Stack
    issuer: str
    audience: str
    cloud: str
    where: str

    def commands(self, subjects: Mapping[str, str], role: Mapping[str, Any], scopes: tuple[str, ...]) -> list[Command]:
        """A shell script, command by command: one sets what the next use."""
        created = "az role definition create --role-definition " + shlex.quote(json.dumps(role))
        listed = [*self._issuer_and_cloud(), *self._application(), *self._credentials(subjects)]
        listed.append(Command(purpose="the custom role: exactly what runs do", line=created))
        for scope in scopes:
            assigned = (
                f'az role assignment create --assignee-object-id "$PRINCIPAL" --assignee-principal-type '
                f"ServicePrincipal --role {shlex.quote(str(role['Name']))} --scope {shlex.quote(scope)}"
            )
            listed.append(Command(purpose=f"the role for the application at {scope}", line=assigned))
        chosen = self.stack.parameters.get("FederationAudience", "")
        audience = f" --parameter FederationAudience={self.audience}" if chosen != self.audience else ""
        deployed = (
            f'moorings patch deploy {self.where} --federation-tenant "$TENANT" --federation-client "$APP"{audience}'
        )
        return [*listed, Command(purpose="the stack uses it from now on", line=deployed)]

    def _issuer_and_cloud(self) -> list[Command]:
        enable = "$(aws iam enable-outbound-web-identity-federation --query IssuerIdentifier --output text)"
        if self.issuer:
            listed = [Command(purpose="this AWS account, as Entra knows it", line=f"ISSUER={shlex.quote(self.issuer)}")]
        else:
            listed = [Command(purpose="once an AWS account: let roles have web identities", line=f"ISSUER={enable}")]
        if self.cloud in AZ_CLOUDS:
            listed.append(Command(purpose="the Azure cloud", line=f"az cloud set --name {AZ_CLOUDS[self.cloud]}"))
        return listed

    def _application(self) -> list[Command]:
        named = shlex.quote(f"moorings {self.stack.name}")
        return [
            Command(purpose="the tenant", line="TENANT=$(az account show --query tenantId --output tsv)"),
            Command(
                purpose="the application",
                line=f"APP=$(az ad app create --display-name {named} --query appId --output tsv)",
            ),
            Command(
                purpose="what roles are assigned to",
                line='PRINCIPAL=$(az ad sp create --id "$APP" --query id --output tsv)',
            ),
        ]

    def _credentials(self, subjects: Mapping[str, str]) -> list[Command]:
        listed = []
        for who, arn in subjects.items():
            wanted = {
                "name": f"{self.stack.name}-{who}",
                "issuer": _ISSUER,
                "subject": arn,
                "audiences": [self.audience],
            }
            # The shell fills the issuer in, outside of the quotes.
            text = shlex.quote(json.dumps(wanted)).replace(_ISSUER, f"'\"{_ISSUER}\"'")
            line = f'az ad app federated-credential create --id "$APP" --parameters {text}'
            listed.append(Command(purpose=f"the application trusts the {who}'s role", line=line))
        return listed
