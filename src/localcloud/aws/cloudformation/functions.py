"""Intrinsic functions and conditions: what a template's values come to for given parameters and resources.

Source: CloudFormation user guide, "Intrinsic function reference" and "Rule-specific intrinsic functions".
"""

import base64
import ipaddress
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from localcloud.aws.cloudformation.shapes import is_function
from localcloud.aws.cloudformation.template import Template, invalid

_SUB = re.compile(r"\$\{(!?)([^}]*)\}")
_DYNAMIC = "{{resolve:"


class _Nothing:
    """AWS::NoValue: the property that holds it is absent."""


NO_VALUE = _Nothing()

# (logical id, attribute) of a made resource; attribute "" is its Ref.
Lookup = Callable[[str, str], Any]
Imports = Callable[[str], str]


def _no_resources(logical_id: str, attribute: str) -> Any:
    raise invalid(f"Template error: resource {logical_id} cannot be referenced here")


def _no_imports(name: str) -> str:
    raise invalid(f"Template error: Fn::ImportValue of {name} cannot be used here")


class Resolver:
    """Resolves values of one template. Without `lookup`, whatever refers to a resource is refused."""

    def __init__(
        self,
        template: Template,
        parameters: Mapping[str, Any],
        pseudo: Mapping[str, Any],
        *,
        lookup: Lookup = _no_resources,
        imports: Imports = _no_imports,
    ) -> None:
        self._template = template
        self._values = {**pseudo, **parameters}
        self._lookup = lookup
        self._imports = imports
        self._conditions: dict[str, bool] = {}

    def condition(self, name: str) -> bool:
        """Whether condition `name` holds; the empty name always does."""
        if not name:
            return True
        if name not in self._conditions:
            if name not in self._template.conditions:
                raise invalid(f"Template format error: Unresolved condition dependency {name} in the template")
            self._conditions[name] = self.holds(self._template.conditions[name])
        return self._conditions[name]

    def holds(self, expression: Any) -> bool:
        """The truth of a condition expression (also of a rule's assertion)."""
        if not isinstance(expression, Mapping) or len(expression) != 1:
            raise invalid("Template format error: Conditions can only be boolean operations on parameters")
        name, argument = next(iter(expression.items()))
        if name == "Condition":
            return self.condition(argument)
        if name == "Fn::And":
            return all(self.holds(part) for part in argument)
        if name == "Fn::Or":
            return any(self.holds(part) for part in argument)
        if name == "Fn::Not":
            return not self.holds(argument[0])
        if name == "Fn::Equals":
            return bool(_comparable(self.resolve(argument[0])) == _comparable(self.resolve(argument[1])))
        return self._compare_lists(name, argument)

    def _compare_lists(self, name: str, argument: Any) -> bool:
        if name not in {"Fn::Contains", "Fn::EachMemberEquals", "Fn::EachMemberIn"}:
            raise invalid(f"Template error: {name} is not supported in conditions by the local cloud")
        left, right = self.resolve(argument[0]), self.resolve(argument[1])
        if name == "Fn::Contains":
            return bool(right in left)
        if name == "Fn::EachMemberEquals":
            return all(part == right for part in left)
        return all(part in right for part in left)

    def prune(self, value: Any) -> Any:
        """`value` with Fn::If decided and AWS::NoValue gone; other functions stay as they are."""
        if isinstance(value, list):
            kept = [self.prune(entry) for entry in value]
            return [entry for entry in kept if entry is not NO_VALUE]
        if not isinstance(value, Mapping):
            return value
        if set(value) == {"Fn::If"}:
            return self.prune(self._branch(value["Fn::If"]))
        if value == {"Ref": "AWS::NoValue"}:
            return NO_VALUE
        if set(value) == {"Ref"} and value["Ref"] in self._values:
            return self._values[value["Ref"]]
        pruned = {key: self.prune(entry) for key, entry in value.items()}
        return {key: entry for key, entry in pruned.items() if entry is not NO_VALUE}

    def resolve(self, value: Any) -> Any:
        """`value` with every function carried out."""
        if isinstance(value, str):
            if _DYNAMIC in value:
                raise invalid(f"Dynamic reference {value} is not supported by the local cloud")
            return value
        if isinstance(value, list):
            resolved = [self.resolve(entry) for entry in value]
            return [entry for entry in resolved if entry is not NO_VALUE]
        if not isinstance(value, Mapping):
            return value
        if is_function(value):
            name, argument = next(iter(value.items()))
            return self._call(name, argument)
        members = {key: self.resolve(entry) for key, entry in value.items()}
        return {key: entry for key, entry in members.items() if entry is not NO_VALUE}

    def _call(self, name: str, argument: Any) -> Any:
        function = _FUNCTIONS.get(name)
        if function is None:
            raise invalid(f"Template error: {name} is not supported by the local cloud")
        try:
            return function(self, argument)
        except (IndexError, TypeError, ValueError) as error:
            # Functions take their arguments apart as they come: any JSON may stand in a template.
            raise invalid(f"Template error: {name} does not take the arguments that it is given ({error})") from error

    def _if(self, argument: Any) -> Any:
        return self.resolve(self._branch(argument))

    def _branch(self, argument: Any) -> Any:
        if not isinstance(argument, list) or len(argument) != 3:
            raise invalid("Template error: Fn::If requires a list argument with two or more parameters")
        return argument[1] if self.condition(argument[0]) else argument[2]

    def _ref(self, name: str) -> Any:
        if name == "AWS::NoValue":
            return NO_VALUE
        return self._values[name] if name in self._values else self._lookup(name, "")

    def _get_att(self, argument: Any) -> Any:
        parts = argument.split(".", 1) if isinstance(argument, str) else argument
        return self._lookup(parts[0], self.resolve(parts[1]))

    def _sub(self, argument: Any) -> str:
        text, given = (argument[0], self.resolve(argument[1])) if isinstance(argument, list) else (argument, {})

        def replaced(match: re.Match[str]) -> str:
            literal, name = match.group(1), match.group(2).strip()
            if literal:
                return "${" + match.group(2) + "}"
            if name in given:
                return _text(given[name])
            return _text(self._get_att(name) if "." in name else self._ref(name))

        return _SUB.sub(replaced, text)

    def _join(self, argument: Any) -> str:
        parts = self.resolve(argument[1])
        if not isinstance(parts, list):
            raise invalid(
                "Template error: every Fn::Join object requires two parameters, (1) a string delimiter and (2) a list"
            )
        return str(argument[0]).join(_text(part) for part in parts)

    def _split(self, argument: Any) -> list[str]:
        return str(self.resolve(argument[1])).split(argument[0])

    def _select(self, argument: Any) -> Any:
        index, entries = int(self.resolve(argument[0])), self.resolve(argument[1])
        if not 0 <= index < len(entries):
            raise invalid(f"Template error: Fn::Select cannot select nonexistent value at index {index}")
        return entries[index]

    def _find_in_map(self, argument: Any) -> Any:
        name, first, second = (self.resolve(part) for part in argument[:3])
        try:
            return self._template.mappings[name][first][second]
        except KeyError:
            raise invalid(f"Template error: Unable to get mapping for {name}::{first}::{second}") from None

    def _import_value(self, argument: Any) -> str:
        return self._imports(self.resolve(argument))

    def _base64(self, argument: Any) -> str:
        return base64.b64encode(_text(self.resolve(argument)).encode()).decode()

    def _to_json(self, argument: Any) -> str:
        return json.dumps(self.resolve(argument), separators=(",", ":"))

    def _length(self, argument: Any) -> int:
        return len(self.resolve(argument))

    def _azs(self, argument: Any) -> list[str]:
        region = self.resolve(argument) or self._values["AWS::Region"]
        return [f"{region}{zone}" for zone in "abc"]

    def _cidr(self, argument: Any) -> list[str]:
        block, count = self.resolve(argument[0]), int(self.resolve(argument[1]))
        bits = int(self.resolve(argument[2])) if len(argument) > 2 else 8
        subnets = ipaddress.ip_network(block).subnets(new_prefix=32 - bits)
        return [str(subnet) for subnet, _ in zip(subnets, range(count), strict=False)]


_FUNCTIONS: Mapping[str, Callable[[Resolver, Any], Any]] = {
    "Ref": Resolver._ref,
    "Fn::If": Resolver._if,
    "Fn::GetAtt": Resolver._get_att,
    "Fn::Sub": Resolver._sub,
    "Fn::Join": Resolver._join,
    "Fn::Split": Resolver._split,
    "Fn::Select": Resolver._select,
    "Fn::FindInMap": Resolver._find_in_map,
    "Fn::ImportValue": Resolver._import_value,
    "Fn::Base64": Resolver._base64,
    "Fn::ToJsonString": Resolver._to_json,
    "Fn::Length": Resolver._length,
    "Fn::GetAZs": Resolver._azs,
    "Fn::Cidr": Resolver._cidr,
}


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | Mapping) or value is NO_VALUE:
        raise invalid("Template error: a string function was given a list, an object or AWS::NoValue")
    return str(value)


def _comparable(value: Any) -> Any:
    return _text(value) if isinstance(value, bool | int | float | str) else value


def check_rules(template: Template, resolver: Resolver) -> None:
    """Hold the parameters to the template's Rules. Raises ValidationError with the assertion's description."""
    for name, rule in template.rules.items():
        if "RuleCondition" in rule and not resolver.holds(rule["RuleCondition"]):
            continue
        for assertion in rule.get("Assertions", []):
            if not resolver.holds(assertion["Assert"]):
                described = assertion.get("AssertDescription", "assertion failed")
                raise invalid(f"Rule {name} is violated: {described}")
