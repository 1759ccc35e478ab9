"""The part of the plain AWS CLI that the exported scripts use, on boto3: the real one would weigh 150 MB.

Run as a program: `standin.py SERVICE OPERATION --option value… [--query JMESPATH] [--output text]`.
"""

import json
import re
import sys
import time
from pathlib import Path
from typing import Any

import boto3
from botocore import xform_name
from botocore.exceptions import ClientError


def main(arguments: list[str]) -> int:
    """As `aws` ends: 0, 1 for what is missing in the surroundings, 254 for what the service refuses."""
    service, operation, *rest = arguments
    if service == "configure":
        return 1
    options = _options(rest)
    query, _ = options.pop("query", [""])[0], options.pop("output", None)
    client = boto3.client("s3" if service == "s3api" else service)
    try:
        if (service, operation) == ("cloudformation", "deploy"):
            _deploy(client, options)
        elif operation == "wait":
            waiter = client.get_waiter(xform_name(rest[0].replace("-", "_")))
            waiter.wait(StackName=options["stack-name"][0], WaiterConfig={"Delay": 1, "MaxAttempts": 120})
        else:
            _call(client, operation.replace("-", "_"), options, query)
    except ClientError as error:
        sys.stderr.write(f"{error}\n")
        return 254
    return 0


def _options(words: list[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    values: list[str] = []
    for word in words:
        if word.startswith("--"):
            values = found.setdefault(word[2:], [])
        else:
            values.append(word)
    return found


def _call(client: Any, method: str, options: dict[str, list[str]], query: str) -> None:
    operation = client.meta.method_to_api_mapping[method]
    shape = client.meta.service_model.operation_model(operation).input_shape
    limited = "max-items" in options
    most = int(options.pop("max-items", ["1000"])[0])
    members = {xform_name(name, "-"): (name, member) for name, member in (shape.members if shape else {}).items()}
    wanted = {members[key][0]: _value(members[key][1], values) for key, values in options.items()}
    pages = (
        client.get_paginator(method).paginate(**wanted, PaginationConfig={"MaxItems": most})
        if client.can_paginate(method)
        else [getattr(client, method)(**wanted)]
    )
    for page in pages:
        page.pop("ResponseMetadata", None)
        _print(_search(query, page) if query else page, as_text=bool(query))
    if limited:  # where to go on from, though the query leaves that out
        sys.stdout.write("None\n")


def _search(query: str, page: Any) -> Any:
    import jmespath  # type: ignore[import-untyped]  # of boto3

    return jmespath.search(query, page)


def _value(shape: Any, values: list[str]) -> Any:
    if shape.type_name == "blob":
        return Path(values[0]).read_bytes()
    if shape.type_name != "string" and values[0].startswith(("{", "[")):
        return json.loads(values[0])
    if shape.type_name == "list":
        return [_structure(shape.member, each) for each in values]
    if shape.type_name in {"structure", "map"}:
        return _structure(shape, values[0])
    return values[0]


def _structure(shape: Any, text: str) -> Any:
    """The shorthand: A=b,C=d,e (where C is a list)."""
    found: dict[str, Any] = {}
    for name, found_value in re.findall(r"(\w+)=((?:[^,=]+(?:,(?!\w+=)|$)?)*)", text):
        member, value = shape.members[name], found_value.rstrip(",")
        if member.type_name == "list":
            found[name] = value.split(",")
        else:
            found[name] = value == "true" if member.type_name == "boolean" else value
    return found


def _print(value: Any, *, as_text: bool) -> None:
    if not as_text:
        sys.stdout.write(json.dumps(value, default=str) + "\n")
        return
    rows = value if isinstance(value, list) and value and isinstance(value[0], list) else [value]
    for row in rows:
        if row != []:
            cells = row if isinstance(row, list) else [row]
            sys.stdout.write("\t".join(str(each) for each in cells) + "\n")


def _deploy(client: Any, options: dict[str, list[str]]) -> None:
    name = options["stack-name"][0]
    given = dict(each.split("=", 1) for each in options["parameter-overrides"])
    template = Path(options["template-file"][0]).read_text(encoding="utf-8")
    known = set(re.findall(r"^  (\w+):$", template, re.MULTILINE))
    given = {key: value for key, value in given.items() if key in known}  # whatever else is given is passed over
    try:
        kept = {each["ParameterKey"] for each in client.describe_stacks(StackName=name)["Stacks"][0]["Parameters"]}
        kind = "UPDATE"
    except ClientError:
        kept, kind = set(), "CREATE"
    made = client.create_change_set(
        StackName=name,
        ChangeSetName=f"by-hand-{time.time_ns()}",
        ChangeSetType=kind,
        TemplateBody=template,
        Capabilities=options["capabilities"],
        Parameters=[
            *({"ParameterKey": key, "ParameterValue": value} for key, value in given.items()),
            *({"ParameterKey": key, "UsePreviousValue": True} for key in sorted(kept - given.keys())),
        ],
        Tags=[dict(zip(("Key", "Value"), each.split("=", 1), strict=True)) for each in options["tags"]],
    )
    quickly = {"Delay": 1, "MaxAttempts": 120}
    planned = {"StackName": name, "ChangeSetName": made["Id"]}  # both, as the AWS CLI names it
    described = client.describe_change_set(**planned)
    while described["Status"] in {"CREATE_PENDING", "CREATE_IN_PROGRESS"}:
        described = client.describe_change_set(**planned)
    if described["Status"] == "FAILED":  # nothing to change; else the outputs would be missing
        return
    client.execute_change_set(**planned)
    client.get_waiter(f"stack_{kind.lower()}_complete").wait(StackName=name, WaiterConfig=quickly)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
