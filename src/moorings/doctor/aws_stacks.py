"""A stack with its resources and its template, as CloudFormation shows them."""

import json

from moorings.clock import Clock
from moorings.clouds.aws import Aws, calling
from moorings.deploy.stacks import Stacks
from moorings.doctor.model import Resource, StackFacts


def stack_facts(aws: Aws, name: str, *, clock: Clock) -> StackFacts | None:
    """The stack of that name; None if there is none. Raises as `Stacks.find` does."""
    stack = Stacks(aws, clock=clock).find(name)
    if stack is None:
        return None
    client = aws.client("cloudformation")
    with calling("cloudformation:ListStackResources"):
        pages = client.get_paginator("list_stack_resources").paginate(StackName=stack.id)
        listed = tuple(
            Resource(
                logical=str(each["LogicalResourceId"]),
                physical=str(each.get("PhysicalResourceId", "")),
                type=str(each["ResourceType"]),
                status=str(each["ResourceStatus"]),
            )
            for page in pages
            for each in page["StackResourceSummaries"]
        )
    with calling("cloudformation:GetTemplate"):
        template = client.get_template(StackName=stack.id, TemplateStage="Original")["TemplateBody"]
    return StackFacts(
        name=stack.name,
        status=stack.status,
        parameters=stack.parameters,
        outputs=stack.outputs,
        resources=listed,
        template=template if isinstance(template, str) else json.dumps(template),
    )
