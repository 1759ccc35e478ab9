"""The rooms' CloudFormation templates as text: read, asked for their parameters, and their API deployment named.

Text and not a parsed document: what is deployed is the reviewed file, and the command line needs no YAML parser for it.
"""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

import moorings

STACK = "enrolment/stack.yaml"
ENDPOINT = "enrolment/endpoint.yaml"
PATCHING = "patching/stack.yaml"

# What an API Gateway deployment holds a copy of. A stage's settings are not among it.
_COPIED = frozenset({"RestApi", "Resource", "Method", "GatewayResponse"})
_DEPLOYMENT = re.compile(r"\bApiDeployment[0-9a-f]{8}\b")
_KEY = re.compile(r"^  ([A-Za-z0-9]+):", re.MULTILINE)
_API_TYPE = re.compile(r"^    Type: AWS::ApiGateway::(\w+)\s*$", re.MULTILINE)
_DEFAULT = re.compile(r"^    Default: (.*?)\s*$", re.MULTILINE)
_DEFAULT_LINE = re.compile(r"^    Default: .*\n", re.MULTILINE)
_PATTERN = re.compile(r"^    AllowedPattern: (.*?)\s*$", re.MULTILINE)
_INCLUDE = re.compile(r"\n +Fn::Transform:\n +Name: AWS::Include\n +Parameters: .*$", re.MULTILINE)
_COMMENT = re.compile(r"^\s*#.*\n", re.MULTILINE)


def read(name: str) -> str:
    """The text of a template, such as `STACK`."""
    return (Path(moorings.__file__).parent / name).read_text(encoding="utf-8")


def parameter_names(text: str) -> frozenset[str]:
    """The names of a template's parameters."""
    return frozenset(_blocks(section(text, "Parameters")))


def defaults(text: str) -> dict[str, str]:
    """The defaults of a template's parameters, by name, as the text has them; of those that are written on one line."""
    found = {name: _DEFAULT.search(block) for name, block in _blocks(section(text, "Parameters")).items()}
    return {name: match[1].strip("'\"") for name, match in found.items() if match}


def pattern(text: str, parameter: str) -> str:
    """What a template's parameter must match."""
    found = _PATTERN.search(_blocks(section(text, "Parameters"))[parameter])
    assert found is not None, f"{parameter} has no pattern"
    return found[1]


def resources(text: str) -> dict[str, str]:
    """Logical id → its lines, of a template's resources."""
    return _blocks(section(text, "Resources"))


def with_defaults(text: str, values: Mapping[str, str]) -> str:
    """The template with these values as defaults of its parameters, whatever it had; KeyError for no parameter."""
    before = section(text, "Parameters")
    blocks = _blocks(before)
    for name, value in values.items():
        line = f"    Default: {value}\n"
        without = _DEFAULT_LINE.sub("", blocks[name])
        blocks[name] = without.rstrip("\n") + "\n" + line + "\n" * (len(without) - len(without.rstrip("\n")) - 1)
    return text.replace(before, "".join(blocks.values()), 1)


def without_includes(text: str) -> str:
    """The template with nothing in the place of what it includes: enough to see what a new stack would hold."""
    return _INCLUDE.sub(" {}", text)


def with_deployment(text: str, parameters: Mapping[str, str] | None = None) -> str:
    """The template with its API deployment named after the API's definition and the values in it.

    CloudFormation makes a new API deployment only for a new name, and without one a changed route, gateway answer or
    VPC endpoint would not take effect. The file itself bears the digest of the definition alone.
    """
    definition = _api_definition(text)
    named = {key: value for key, value in (parameters or {}).items() if re.search(rf"\b{key}\b", definition)}
    values = "".join(f"{key}={value}\n" for key, value in sorted(named.items()))
    digest = hashlib.sha256((definition + values).encode()).hexdigest()[:8]
    return _DEPLOYMENT.sub(f"ApiDeployment{digest}", text)


def _api_definition(text: str) -> str:
    blocks = _blocks(_COMMENT.sub("", section(text, "Resources")))
    types = {name: _API_TYPE.search(block) for name, block in blocks.items()}
    copied = {name for name, found in types.items() if found and found[1] in _COPIED}
    return "".join(blocks[name].rstrip() + "\n" for name in sorted(copied))


def section(text: str, name: str) -> str:
    """The lines of a section, such as `Parameters`; empty if the template has none."""
    found = re.search(rf"^{name}:\n((?:[ #].*\n|\n)*)", text, re.MULTILINE)
    return found[1] if found else ""


def _blocks(section: str) -> dict[str, str]:
    """Logical id → its lines, for one section of a template."""
    starts = [(match[1], match.start()) for match in _KEY.finditer(section)]
    ends = [start for _, start in starts[1:]] + [len(section)]
    return {name: section[start:end] for (name, start), end in zip(starts, ends, strict=True)}
