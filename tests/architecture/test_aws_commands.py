"""Commands of the AWS CLI in the manual are calls of AWS: service, operation and options, by botocore's models."""

import re
from functools import cache
from pathlib import Path

import botocore.session
import pytest
from botocore import xform_name
from botocore.model import ServiceModel
from tests.architecture.repository import code_spans, pages, shown

_COMMAND = re.compile(r"(?<![\w./-])aws ([a-z0-9-]+) ([a-z0-9-]+)((?: (?:\"[^\"]*\"|'[^']*'|[^|;&>#\"'])*)?)")
_OPTION = re.compile(r"(?<=\s)(--[a-z][a-z0-9-]+)")
# What the CLI has of its own: options of every command, and commands that are no operation.
_COMMON = {"--query", "--output", "--region", "--profile", "--endpoint-url", "--no-cli-pager", "--cli-binary-format"}
_OWN = {("sso", "login"), ("configure", "sso"), ("logs", "tail")}
_SERVICES = {"s3api": "s3"}
_RENAMED = {("sns", "subscribe"): {"--notification-endpoint"}}  # the service calls it Endpoint


def _commands(path: Path) -> list[tuple[str, str, frozenset[str]]]:
    """Each command of a page: service, operation, options. What stands in quotes is no option."""
    found = []
    for span in code_spans(re.sub(r" *\\\n\s*", " ", path.read_text(encoding="utf-8"))):
        for service, operation, rest in _COMMAND.findall(span):
            bare = re.sub(r"\"[^\"]*\"|'[^']*'", "", rest).partition("$(")[0]
            found.append((service, operation, frozenset(_OPTION.findall(bare))))
    return found


COMMANDS = sorted({(shown(page), *command) for page in pages() for command in _commands(page)}, key=str)


@cache
def _model(service: str) -> ServiceModel:
    return botocore.session.get_session().get_service_model(_SERVICES.get(service, service))


@pytest.mark.parametrize(("page", "service", "operation", "options"), COMMANDS)
def test_a_documented_command_of_the_aws_cli_exists_with_its_options(
    page: str, service: str, operation: str, options: frozenset[str]
) -> None:
    if (service, operation) in _OWN or operation == "wait":
        return
    operations = {xform_name(name, "-"): name for name in _model(service).operation_names}
    assert operation in operations, page

    shape = _model(service).operation_model(operations[operation]).input_shape
    known = {f"--{xform_name(name, '-')}" for name in (shape.members if shape else {})}
    known |= _RENAMED.get((service, operation), set())
    assert options - {f"--no-{name.removeprefix('--')}" for name in known} <= known | _COMMON, page


def test_the_manual_has_commands_of_the_aws_cli() -> None:
    assert len(COMMANDS) > 50
