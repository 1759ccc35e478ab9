"""CloudFormation's API: every operation is answered here; one that is not known is refused by its name."""

from collections.abc import Callable, Mapping
from typing import Any, NoReturn
from urllib.parse import unquote, urlsplit

from botocore.exceptions import ClientError
from botocore.loaders import Loader

from localcloud.aws.call import Call, Operation
from localcloud.aws.cloudformation import answers
from localcloud.aws.cloudformation.model import ChangeSet, Stack, Wanted
from localcloud.aws.cloudformation.parameters import given_values
from localcloud.aws.cloudformation.registry import registry
from localcloud.aws.cloudformation.stacks import Stacks
from localcloud.aws.cloudformation.template import INLINE_LIMIT, S3_LIMIT, Template, invalid, parse
from localcloud.aws.cloudformation.transforms import AUTO_EXPAND, expanded, transforms_of
from localcloud.errors import ServiceError
from localcloud.world import World

# Inputs that change nothing here would be a lie if they were taken: they are refused by name.
_REFUSED_INPUTS = (
    "RoleARN", "NotificationARNs", "RollbackConfiguration", "StackPolicyBody", "StackPolicyURL",
    "StackPolicyDuringUpdateBody", "StackPolicyDuringUpdateURL", "ResourceTypes", "IncludeNestedStacks",
    "ResourcesToImport", "ImportExistingResources", "RetainExceptOnCreate", "TimeoutInMinutes", "DeletionMode",
    "DeploymentMode", "StackDriftStatus",
)  # fmt: skip

Answer = Mapping[str, Any]


def operations(world: World) -> Mapping[tuple[str, str], Operation]:
    """All operations of CloudFormation for one world."""
    api = _Api(world)
    made: dict[tuple[str, str], Operation] = {("cloudformation", name): _refusal(name) for name in _every_operation()}
    made.update({("cloudformation", name): _checked(operation) for name, operation in api.table().items()})
    return made


def _every_operation() -> list[str]:
    return list(Loader().load_service_model("cloudformation", "service-2")["operations"])


def _refusal(name: str) -> Operation:
    def refuse(_: Call) -> NoReturn:
        raise ServiceError(
            "NotImplementedByLocalCloud", f"the local cloud does not implement cloudformation:{name}", status=501
        )

    return refuse


def _checked(operation: Callable[[Call], Answer]) -> Operation:
    def run(call: Call) -> Answer:
        for name in _REFUSED_INPUTS:
            if call.params.get(name):
                raise invalid(f"{name} is not supported by the local cloud")
        return operation(call)

    return run


class _Api:
    """The operations, by their names in `table`."""

    def __init__(self, world: World) -> None:
        self._world = world

    @property
    def _stacks(self) -> Stacks:
        # Made on first use: clients of the services are only needed once somebody deploys.
        return self._world.part(Stacks)

    def table(self) -> Mapping[str, Callable[[Call], Answer]]:
        return {
            "CreateStack": self.create_stack,
            "UpdateStack": self.update_stack,
            "DeleteStack": self.delete_stack,
            "DescribeStacks": self.describe_stacks,
            "ListStacks": self.list_stacks,
            "DescribeStackEvents": self.describe_events,
            "DescribeStackResource": self.describe_resource,
            "DescribeStackResources": self.describe_resources,
            "ListStackResources": self.list_resources,
            "GetTemplate": self.get_template,
            "GetTemplateSummary": self.get_summary,
            "ValidateTemplate": self.validate,
            "CreateChangeSet": self.create_change_set,
            "DescribeChangeSet": self.describe_change_set,
            "ExecuteChangeSet": self.execute_change_set,
            "DeleteChangeSet": self.delete_change_set,
            "ListChangeSets": self.list_change_sets,
            "ListExports": self.list_exports,
            "ListImports": self.list_imports,
            "UpdateTerminationProtection": self.protect,
        }

    def create_stack(self, call: Call) -> Answer:
        params = call.params
        self._require_expansion(call, None)
        if "OnFailure" in params and "DisableRollback" in params:
            raise invalid("You can specify either OnFailure or DisableRollback, but not both.")
        stack = self._stacks.begin_create(
            call.region,
            params["StackName"],
            self._wanted(call, None),
            caller=call.principal,
            on_failure=params.get("OnFailure") or ("DO_NOTHING" if params.get("DisableRollback") else "ROLLBACK"),
            protected=bool(params.get("EnableTerminationProtection")),
            token=params.get("ClientRequestToken", ""),
        )
        return {"StackId": stack.id}

    def update_stack(self, call: Call) -> Answer:
        if call.params.get("DisableRollback"):
            raise invalid("DisableRollback of UpdateStack is not supported by the local cloud")
        stack = self._stacks.find(call.region, call.params["StackName"], verb="update")
        self._require_expansion(call, stack)
        self._stacks.begin_update(
            call.region,
            stack,
            self._wanted(call, stack),
            caller=call.principal,
            token=call.params.get("ClientRequestToken", ""),
        )
        return {"StackId": stack.id}

    def delete_stack(self, call: Call) -> Answer:
        name = call.params["StackName"]
        known = [s for s in self._stacks.all(call.region) if name == s.id or (name == s.name and s.deleted is None)]
        for stack in known[:1]:  # deleting a stack that does not exist succeeds
            self._stacks.begin_delete(
                call.region,
                stack,
                caller=call.principal,
                retain=frozenset(call.params.get("RetainResources", ())),
                token=call.params.get("ClientRequestToken", ""),
            )
        return {}

    def describe_stacks(self, call: Call) -> Answer:
        name = call.params.get("StackName")
        if name:
            return {"Stacks": [answers.stack(self._stacks.find(call.region, name))]}
        return {"Stacks": [answers.stack(one) for one in self._stacks.all(call.region) if one.deleted is None]}

    def list_stacks(self, call: Call) -> Answer:
        wanted = call.params.get("StackStatusFilter") or []
        found = [one for one in self._stacks.all(call.region) if not wanted or one.status in wanted]
        return {"StackSummaries": [answers.summary(one) for one in found]}

    def describe_events(self, call: Call) -> Answer:
        stack = self._stacks.find(call.region, call.params["StackName"], verb="events")
        start = int(call.params.get("NextToken") or 0)
        newest_first = list(reversed(stack.events))
        page = newest_first[start : start + answers.PAGE]
        answer: dict[str, Any] = {"StackEvents": [answers.event(stack, one) for one in page]}
        if start + answers.PAGE < len(newest_first):
            answer["NextToken"] = str(start + answers.PAGE)
        return answer

    def describe_resource(self, call: Call) -> Answer:
        stack = self._stacks.find(call.region, call.params["StackName"])
        name = call.params["LogicalResourceId"]
        if name not in stack.resources:
            raise invalid(f"Resource {name} does not exist for stack {stack.name}")
        return {"StackResourceDetail": answers.resource_detail(stack, stack.resources[name])}

    def describe_resources(self, call: Call) -> Answer:
        wanted, physical = call.params.get("LogicalResourceId"), call.params.get("PhysicalResourceId")
        if physical:
            raise invalid("PhysicalResourceId is not supported by the local cloud; give StackName")
        stack = self._stacks.find(call.region, call.params.get("StackName", ""))
        found = [one for one in stack.resources.values() if not wanted or one.logical_id == wanted]
        return {"StackResources": [answers.resource(stack, one) for one in found]}

    def list_resources(self, call: Call) -> Answer:
        stack = self._stacks.find(call.region, call.params["StackName"])
        return {"StackResourceSummaries": [answers.resource_summary(one) for one in stack.resources.values()]}

    def get_template(self, call: Call) -> Answer:
        if call.params.get("ChangeSetName"):
            _, change_set = self._change_set(call)
            return {"TemplateBody": change_set.wanted.template.text, "StagesAvailable": ["Original", "Processed"]}
        stack = self._stacks.find(call.region, call.params["StackName"])
        return {"TemplateBody": stack.wanted.template.text, "StagesAvailable": ["Original", "Processed"]}

    def get_summary(self, call: Call) -> Answer:
        if call.params.get("StackName"):
            template = self._stacks.find(call.region, call.params["StackName"]).wanted.template
        else:
            template = self._template(call)
        return {
            **answers.template_summary(template),
            "ResourceTypes": sorted({entry.type for entry in template.resources.values()}),
            **_capabilities(template),
        }

    def validate(self, call: Call) -> Answer:
        template = self._template(call)
        return {**answers.template_parameters(template), **_capabilities(template)}

    def create_change_set(self, call: Call) -> Answer:
        params = call.params
        kind = params.get("ChangeSetType", "UPDATE")
        if kind not in {"CREATE", "UPDATE"}:
            raise invalid(f"ChangeSetType {kind} is not supported by the local cloud")
        old = self._stacks.find(call.region, params["StackName"], verb="change") if kind == "UPDATE" else None
        stack, made = self._stacks.add_change_set(
            call.region,
            params["StackName"],
            self._wanted(call, old),
            name=params["ChangeSetName"],
            kind=kind,
            description=params.get("Description", ""),
        )
        return {"Id": made.id, "StackId": stack.id}

    def describe_change_set(self, call: Call) -> Answer:
        stack, change_set = self._change_set(call)
        return answers.change_set(stack, change_set)

    def execute_change_set(self, call: Call) -> Answer:
        stack, change_set = self._change_set(call)
        self._stacks.execute(
            call.region,
            stack,
            change_set,
            caller=call.principal,
            on_failure="DO_NOTHING" if call.params.get("DisableRollback") else "ROLLBACK",
            token=call.params.get("ClientRequestToken", ""),
        )
        return {}

    def delete_change_set(self, call: Call) -> Answer:
        """One that does not exist (any more) is deleted as well as one that does, as in the service."""
        wanted, name = call.params["ChangeSetName"], call.params.get("StackName")
        for stack in [self._stacks.find(call.region, name)] if name else self._stacks.all(call.region):
            for change_set in list(stack.change_sets.values()):
                if wanted in {change_set.name, change_set.id}:
                    stack.change_sets.pop(change_set.name, None)
        return {}

    def list_change_sets(self, call: Call) -> Answer:
        stack = self._stacks.find(call.region, call.params["StackName"])
        return {"Summaries": [answers.change_set_summary(stack, one) for one in stack.change_sets.values()]}

    def list_exports(self, call: Call) -> Answer:
        found = self._stacks.exports(call.region)
        return {"Exports": [{"ExportingStackId": s.id, "Name": name, "Value": value} for s, name, value in found]}

    def list_imports(self, call: Call) -> Answer:
        name = call.params["ExportName"]
        importers = self._stacks.importers(call.region, name)
        if not importers:
            raise invalid(f"Export '{name}' is not imported by any stack.")
        return {"Imports": importers}

    def protect(self, call: Call) -> Answer:
        stack = self._stacks.find(call.region, call.params["StackName"])
        stack.protected = bool(call.params["EnableTerminationProtection"])
        return {"StackId": stack.id}

    def _change_set(self, call: Call) -> tuple[Stack, ChangeSet]:
        wanted = call.params["ChangeSetName"]
        name = call.params.get("StackName")
        stacks = [self._stacks.find(call.region, name)] if name else self._stacks.all(call.region)
        for stack in stacks:
            for change_set in list(stack.change_sets.values()):
                if wanted in {change_set.name, change_set.id}:
                    return stack, change_set
        raise ServiceError("ChangeSetNotFound", f"ChangeSet [{wanted}] does not exist", status=404)

    def _wanted(self, call: Call, old: Stack | None) -> Wanted:
        params = call.params
        # The text as it was given: its transforms are carried out anew, as in the service.
        previous = old and params.get("UsePreviousTemplate")
        template = parse(old.wanted.template.text) if old and previous else self._template(call)
        given: dict[str, str | None] = {}
        for entry in params.get("Parameters", []):
            previous = entry.get("UsePreviousValue")
            given[entry["ParameterKey"]] = None if previous else entry.get("ParameterValue", "")
        values = given_values(
            template,
            given,
            old.wanted.values if old else {},
            exists=lambda kind, value: self._stacks.exists(call.region, kind, value, call.principal),
        )
        tags = {tag["Key"]: tag["Value"] for tag in params["Tags"]} if "Tags" in params else None
        stored = self._stored_values(call, template, values)
        return Wanted(
            template=expanded(template, stored, self._stacks.pseudo(call.region, "", ""), read=self._reader(call)),
            values=stored,
            tags=tags if tags is not None else dict(old.wanted.tags) if old else {},
            capabilities=tuple(params.get("Capabilities", ())),
        )

    def _stored_values(self, call: Call, template: Template, values: dict[str, str]) -> dict[str, str]:
        """Parameters that name an SSM parameter take its value; the rest stays."""
        made = dict(values)
        for name, text in values.items():
            if template.parameters[name].get("Type") == "AWS::SSM::Parameter::Value<String>":
                try:
                    made[name] = self._stacks.client("ssm", call.region, call.principal).get_parameter(Name=text)[
                        "Parameter"
                    ]["Value"]
                except ClientError as error:
                    raise invalid(
                        f"Unable to fetch parameters [{text}] from parameter store for this account."
                    ) from error
        return made

    def _template(self, call: Call) -> Template:
        body, url = call.params.get("TemplateBody"), call.params.get("TemplateURL")
        if bool(body) == bool(url):
            raise invalid("Either Template URL or Template Body must be specified.")
        if body:
            size = len(body.encode())
            if size > INLINE_LIMIT:
                raise invalid(
                    "1 validation error detected: Value at 'templateBody' failed to satisfy constraint: "
                    f"Member must have length less than or equal to {INLINE_LIMIT}"
                )
            return parse(body)
        return parse(self._from_s3(call, str(url)))

    def _require_expansion(self, call: Call, old: Stack | None) -> None:
        """Whoever makes a stack without a change set, and so sees nothing before, has to say that macros may expand."""
        previous = old and call.params.get("UsePreviousTemplate")
        template = parse(old.wanted.template.text) if old and previous else self._template(call)
        if transforms_of(template) and AUTO_EXPAND not in call.params.get("Capabilities", ()):
            raise ServiceError(
                "InsufficientCapabilitiesException", f"Requires capabilities : [{AUTO_EXPAND}]", status=400
            )

    def _from_s3(self, call: Call, url: str) -> str:
        parts = urlsplit(url)
        host, path = parts.hostname or "", unquote(parts.path).lstrip("/")
        virtual = ".s3." in host or ".s3-" in host
        bucket, _, key = (host.split(".s3")[0], "", path) if virtual else path.partition("/")
        return self._reader(call)(bucket, key)

    def _reader(self, call: Call) -> Callable[[str, str], str]:
        """Reads a text from bucket and key, with the rights of whoever deploys."""

        def read(bucket: str, key: str) -> str:
            try:
                found = self._stacks.client("s3", call.region, call.principal).get_object(Bucket=bucket, Key=key)
            except ClientError as error:
                raise invalid(f"S3 error: {error.response['Error'].get('Message', 'Access Denied')}") from error
            text = found["Body"].read()
            if len(text) > S3_LIMIT:
                raise invalid(f"Template may not exceed {S3_LIMIT} bytes in size.")
            return str(text.decode())

        return read


def _capabilities(template: Template) -> dict[str, Any]:
    declared = transforms_of(template)
    asked = _of_types(template)
    if declared:
        asked = {**asked, "Capabilities": [*asked.get("Capabilities", ()), AUTO_EXPAND], "DeclaredTransforms": declared}
    return asked


def _of_types(template: Template) -> dict[str, Any]:
    needed: set[str] = set()
    types: set[str] = set()
    for entry in template.resources.values():
        kind = registry().get(entry.type)
        if kind is not None and kind.needs_capability:
            named = bool(kind.named_by) and kind.named_by in entry.properties
            needed.add("CAPABILITY_NAMED_IAM" if named else "CAPABILITY_IAM")
            types.add(entry.type)
    if not needed:
        return {}
    wanted = "CAPABILITY_NAMED_IAM" if "CAPABILITY_NAMED_IAM" in needed else "CAPABILITY_IAM"
    return {
        "Capabilities": [wanted],
        "CapabilitiesReason": f"The following resource(s) require capabilities: [{', '.join(sorted(types))}]",
    }
