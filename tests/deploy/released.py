"""What a release's stacks have, as far as its functions and runbook live by it: the contract for the next update.

`python -m tests.deploy.released`, from the project's folder, writes it anew when a version is released, and never in
between.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from tests.deploy.cfn import of_type, template
from tests.deploy.rules import statements_of

from localcloud.aws.cloudformation.registry import registry
from moorings.deploy import templates
from moorings.deploy.runbooks import PATCH_AZURE

RECORD = Path(__file__).parents[1] / "cases" / "released-stacks.json"
# Whatever these are replaced by has another name, another address, or none of the data.
KEPT = frozenset(
    f"AWS::{each}"
    for each in (
        "ApiGateway::RestApi", "DynamoDB::Table", "EC2::SecurityGroup", "EC2::VPCEndpoint", "IAM::Role", "KMS::Key",
        "Lambda::Function", "SNS::Topic", "SSM::Document",
    )
)  # fmt: skip


def described() -> dict[str, Any]:
    """The contract of the templates and the runbook as they are now."""
    return {
        **{name: _stack(name) for name in (templates.STACK, templates.ENDPOINT, templates.PATCHING)},
        "runbook": {call: sorted(read) for call, read in sorted(_reads().items())},
    }


def _stack(name: str) -> dict[str, Any]:
    rights: dict[str, set[str]] = defaultdict(set)
    for resource, kind, statement in statements_of(template(name)):
        if kind == "identity" and statement["Effect"] == "Allow":
            rights[resource] |= set(
                statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
            )
    return {
        "variables": {
            function: sorted(properties["Environment"]["Variables"])
            for function, properties in sorted(of_type(name, "AWS::Lambda::Function").items())
        },
        "rights": {resource: sorted(actions) for resource, actions in sorted(rights.items())},
        "kept": dict(sorted(_kept(name))),
        "outputs": sorted(template(name)["Outputs"]),
        "parameters": {
            parameter: "Default" in each for parameter, each in sorted(template(name)["Parameters"].items())
        },
    }


def _kept(name: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Resource and what would replace it: its type, and the properties that cannot be changed in place."""
    for logical_id, resource in template(name)["Resources"].items():
        if resource["Type"] in KEPT:
            fixed = registry()[resource["Type"]].replaced_by
            properties = {key: each for key, each in resource.get("Properties", {}).items() if key in fixed}
            yield logical_id, {"Type": resource["Type"], **properties}


def _reads() -> dict[str, set[str]]:
    """Call of the function → what the runbook reads of its answers."""
    found: dict[str, set[str]] = defaultdict(set)
    document = yaml.safe_load((Path(templates.__file__).parents[1] / PATCH_AZURE).read_text(encoding="utf-8"))
    for step in document["mainSteps"]:
        for each in (step, *step.get("inputs", {}).get("Steps", ())):
            if each["action"] == "aws:invokeLambdaFunction":
                call = each["inputs"]["InputPayload"]["call"]
                found[call] |= {output["Selector"] for output in each.get("outputs", ())}
    return found


if __name__ == "__main__":
    RECORD.write_text(json.dumps(described(), indent=1) + "\n", encoding="utf-8")
