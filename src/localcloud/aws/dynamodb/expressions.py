"""The expressions of a DynamoDB request: placeholders that are not defined or not used, reserved words, bad syntax.

Sources: DynamoDB Developer Guide, "Expression attribute names (aliases)", "Expression attribute values", "Reserved
words in DynamoDB" and "Condition and filter expressions, operators, and functions".
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from moto.dynamodb.comparisons import create_condition_expression_parser
from moto.dynamodb.parsing.reserved_keywords import ReservedKeywords

from localcloud.aws.dynamodb.values import check_value, invalid

PROJECTION = "ProjectionExpression"
UPDATE = "UpdateExpression"
NAMES = "ExpressionAttributeNames"
VALUES = "ExpressionAttributeValues"

_WORD = re.compile(r"(?<![#:\w])[A-Za-z_]\w*(?P<call>\s*\()?")
_USED = {NAMES: re.compile(r"#\w+"), VALUES: re.compile(r":\w+")}
_KEY = {NAMES: re.compile(r"#[0-9a-zA-Z_]+"), VALUES: re.compile(r":[0-9a-zA-Z_]+")}
_UNDEFINED = {
    NAMES: "An expression attribute name used in the document path is not defined; attribute name: ",
    VALUES: "An expression attribute value used in expression is not defined; attribute value: ",
}
_CONDITION_WORDS = frozenset({"AND", "OR", "NOT", "IN", "BETWEEN"})
_CONDITION_FUNCTIONS = frozenset(
    {"attribute_exists", "attribute_not_exists", "attribute_type", "begins_with", "contains", "size"}
)
_UPDATE_WORDS = frozenset({"SET", "REMOVE", "ADD", "DELETE"})
_UPDATE_FUNCTIONS = frozenset({"if_not_exists", "list_append"})


def check_expressions(params: Mapping[str, Any], members: Sequence[str]) -> None:
    """Raise ServiceError ValidationException for the first fault; `members`: the expressions that a request takes."""
    given = {member: str(params[member]) for member in members if params.get(member) is not None}
    _check_placeholders(params, members, given)
    for member, text in given.items():
        _check_words(member, text)
        for kind, pattern in _USED.items():
            for used in pattern.findall(text):
                if used not in (params.get(kind) or {}):
                    raise invalid(f"Invalid {member}: {_UNDEFINED[kind]}{used}")
    for kind, pattern in _USED.items():
        used = {name for text in given.values() for name in pattern.findall(text)}
        if unused := [name for name in params.get(kind) or {} if name not in used]:
            raise invalid(f"Value provided in {kind} unused in expressions: keys: {{{', '.join(unused)}}}")
    for member, text in given.items():
        if member not in {PROJECTION, UPDATE, "KeyConditionExpression"}:
            _check_syntax(member, text, params)


def _check_placeholders(params: Mapping[str, Any], members: Sequence[str], given: Mapping[str, str]) -> None:
    takers = {NAMES: list(members), VALUES: [member for member in members if member != PROJECTION]}
    for kind in (NAMES, VALUES):
        defined = params.get(kind)
        if defined is None:
            continue
        if not any(member in given for member in takers[kind]):
            null = f": {' and '.join(takers[kind])} {'are' if len(takers[kind]) > 1 else 'is'} null"
            raise invalid(f"{kind} can only be specified when using expressions{null if kind == VALUES else ''}")
        if not defined:
            raise invalid(f"{kind} must not be empty")
        for name in defined:
            if not _KEY[kind].fullmatch(name):
                raise invalid(f'{kind} contains invalid key: Syntax error; key: "{name}"')
        if kind == VALUES:
            for value in defined.values():
                check_value(value)


def _check_words(member: str, text: str) -> None:
    """Words are attribute names, but for what the grammar itself says."""
    if not text.strip():
        raise invalid(f"Invalid {member}: The expression can not be empty;")
    functions = _UPDATE_FUNCTIONS if member == UPDATE else frozenset() if member == PROJECTION else _CONDITION_FUNCTIONS
    for word, called in _words(member, text):
        if called and word not in functions:
            raise invalid(f"Invalid {member}: Invalid function name; function: {word}")
        if not called and word.upper() in ReservedKeywords.get_reserved_keywords():
            raise invalid(f"Invalid {member}: Attribute name is a reserved keyword; reserved keyword: {word}")


def _words(member: str, text: str) -> Iterator[tuple[str, bool]]:
    grammar = _UPDATE_WORDS if member == UPDATE else frozenset() if member == PROJECTION else _CONDITION_WORDS
    for match in _WORD.finditer(text):
        called = bool(match["call"])
        word = match.group().removesuffix("(").rstrip() if called else match.group()
        if word.upper() not in grammar:
            yield word, called


def _check_syntax(member: str, text: str, params: Mapping[str, Any]) -> None:
    try:
        create_condition_expression_parser(text, params.get(NAMES) or {}, params.get(VALUES) or {}).parse()
    except (ValueError, IndexError) as error:  # what moto's parser raises for a text that it cannot read
        raise invalid(f"Invalid {member}: Syntax error; {error}") from error
