"""A request's input as botocore's model shapes it, and the checks that the real services make on it.

Types and syntax fail with SerializationException; required members, enums, patterns, lengths and ranges with one
ValidationException that lists every fault in the service's own sentence.
"""

import json
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import cache, lru_cache
from typing import Any

from botocore.utils import parse_timestamp
from moto.core.model import Shape
from moto.core.parse import PROTOCOL_PARSERS, RequestParserError

from localcloud.aws.catalogue import Target
from localcloud.aws.motobridge import moto_request
from localcloud.errors import ServiceError
from localcloud.wire import Request

# The models of S3 and EC2 hold sets of values that the services do not close, and hardly any limits; moto checks them.
_UNCHECKED = {"s3", "ec2"}
# Services that do not call it ValidationException (or ValidationError, in the query protocol).
_CODES = {
    "apigateway": "BadRequestException",
    "lambda": "InvalidParameterValueException",
    "logs": "InvalidParameterException",
}
_JSON_TYPES: Mapping[str, tuple[tuple[type, ...], str]] = {
    "string": ((str,), "String"),
    "character": ((str,), "String"),
    "blob": ((str,), "Blob"),
    "boolean": ((bool,), "Boolean"),
    "integer": ((int,), "Integer"),
    "long": ((int,), "Long"),
    "float": ((int, float), "Float"),
    "double": ((int, float), "Double"),
    "list": ((list,), "List"),
    "map": ((dict,), "Map"),
    "structure": ((dict,), "Structure"),
}


def parse(request: Request, target: Target, *, account: str) -> dict[str, Any]:
    """The input members of a request; raises ServiceError("SerializationException") for a malformed one."""
    shape = target.model.input_shape
    if shape is None:
        return {}
    if target.protocol in {"json", "rest-json"} and "payload" not in shape.serialization:
        _check_types(shape, _json_object(request.body))
    parser = PROTOCOL_PARSERS[target.protocol](target.model, timestamp_parser=_aware)
    try:
        parsed = parser.parse(_raw(request, target, account))
    except (RequestParserError, ValueError, TypeError, AttributeError, KeyError) as error:
        raise _malformed(str(error)) from error
    return {name: value for name, value in parsed.items() if value is not None}


def validate(params: Mapping[str, Any], target: Target) -> None:
    """Raise the ValidationException that the service would raise for these input members; nothing if they are good."""
    shape = target.model.input_shape
    if shape is None or target.service in _UNCHECKED:
        return
    faults = list(_faults(shape, params, ""))
    if faults:
        plural = "s" if len(faults) > 1 else ""
        code = _CODES.get(target.service) or (
            "ValidationError" if target.protocol == "query" else "ValidationException"
        )
        raise ServiceError(code, f"{len(faults)} validation error{plural} detected: {'; '.join(faults)}")


def _raw(request: Request, target: Target, account: str) -> Any:
    if target.protocol == "json":
        return {"method": "POST", "values": {}, "headers": {}, "body": request.body, "url_path": "/", "url_params": {}}
    moto = target.moto or moto_request(request, service=target.service, account=account, region=target.region)
    return {
        "method": moto.method,
        "values": moto.values,
        "headers": moto.headers,
        "body": request.body,
        "url_path": moto.path,
        "url_params": target.uri_params or {},
    }


def _json_object(body: bytes) -> dict[str, Any]:
    if not body.strip():
        return {}
    try:
        parsed = json.loads(body)
    except ValueError as error:
        raise _malformed("the body is not valid JSON") from error
    if not isinstance(parsed, dict):
        raise _malformed("Start of structure or map found where not expected.")
    return parsed


def _check_types(shape: Shape, value: Any) -> None:
    if value is None:
        return
    kind = shape.type_name
    if kind in _JSON_TYPES:
        allowed, name = _JSON_TYPES[kind]
        document = kind == "structure" and shape.is_document_type
        if not document and (not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed)):
            raise _malformed(f"{_token(value)} can not be converted to {'an' if name[0] in 'AEIOU' else 'a'} {name}")
    if kind == "structure" and not shape.is_document_type:
        for name, member in shape.members.items():
            if "location" not in member.serialization:
                _check_types(member, value.get(member.serialization.get("name", name)))
    elif kind == "list":
        for item in value:
            _check_types(shape.member, item)
    elif kind == "map":
        for item in value.values():
            _check_types(shape.value, item)


def _token(value: Any) -> str:
    if isinstance(value, bool):
        return "TRUE_VALUE" if value else "FALSE_VALUE"
    if isinstance(value, int | float):
        return "NUMBER_VALUE"
    return "STRING_VALUE" if isinstance(value, str) else "START_ARRAY" if isinstance(value, list) else "START_OBJECT"


def _faults(shape: Shape, value: Any, path: str) -> Iterator[str]:
    kind = shape.type_name
    yield from _own_faults(shape, value, path)
    if kind == "structure" and isinstance(value, Mapping) and not shape.is_document_type:
        for name in shape.required_members:
            if value.get(name) is None:
                yield _sentence("null", _join(path, name), "Member must not be null")
        for name, member in shape.members.items():
            if value.get(name) is not None:
                yield from _faults(member, value[name], _join(path, name))
    elif kind == "list" and isinstance(value, list):
        for number, item in enumerate(value, 1):
            yield from _faults(shape.member, item, f"{path}.{number}.member")
    elif kind == "map" and isinstance(value, Mapping):
        for key, item in value.items():
            yield from _own_faults(shape.key, key, path)
            yield from _faults(shape.value, item, f"{path}.{key}.member")


def _own_faults(shape: Shape, value: Any, path: str) -> Iterator[str]:
    for rule in _RULES.get(shape.type_name, ()):
        constraint = rule(shape, value)
        if constraint:
            yield _sentence(_shown(shape, value), path, constraint)


def _enum(shape: Shape, value: Any) -> str:
    allowed = getattr(shape, "enum", None)
    return f"Member must satisfy enum value set: [{', '.join(allowed)}]" if allowed and value not in allowed else ""


def _pattern(shape: Shape, value: Any) -> str:
    source = shape.metadata.get("pattern")
    compiled = _compiled(source) if source else None
    if compiled is None or (isinstance(value, str) and compiled.fullmatch(value)):
        return ""
    return f"Member must satisfy regular expression pattern: {source}"


def _length(shape: Shape, value: Any) -> str:
    low, high, size = shape.metadata.get("min"), shape.metadata.get("max"), len(value)
    if low is not None and size < low:
        return f"Member must have length greater than or equal to {low}"
    if high is not None and size > high:
        return f"Member must have length less than or equal to {high}"
    return ""


def _range(shape: Shape, value: Any) -> str:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if low is not None and value < low:
        return f"Member must have value greater than or equal to {low}"
    if high is not None and value > high:
        return f"Member must have value less than or equal to {high}"
    return ""


_POSIX = {
    "Alpha": "A-Za-z",
    "Alnum": "A-Za-z0-9",
    "Digit": "0-9",
    "Punct": r"!-/:-@\[-`{-~",
    "Print": " -~",
    "Graph": "!-~",
    "ASCII": r"\x00-\x7f",
}
_RULES: Mapping[str, tuple[Callable[[Shape, Any], str], ...]] = {
    "string": (_enum, _pattern, _length),
    "blob": (_length,),
    "list": (_length,),
    "map": (_length,),
    "integer": (_range,),
    "long": (_range,),
    "float": (_range,),
    "double": (_range,),
}


@lru_cache(maxsize=4096)
def _compiled(source: str) -> re.Pattern[str] | None:
    """The model's pattern (Java's dialect) in Python's; None if Python cannot read it: then it is not checked."""
    translated = re.sub(r"\\p\{(\w+)\}", lambda found: _characters(found[1]), source)
    try:
        return re.compile(translated)
    except re.error:
        return None


@cache
def _characters(name: str) -> str:
    """The characters of a Unicode category (`L`, `Zs`), or of a POSIX class, as ranges for use inside brackets."""
    if name in _POSIX:
        return _POSIX[name]
    ranges: list[list[int]] = []
    for code in range(0x10000):
        if unicodedata.category(chr(code)).startswith(name):
            if ranges and ranges[-1][1] == code - 1:
                ranges[-1][1] = code
            else:
                ranges.append([code, code])
    return "".join(f"\\u{low:04x}-\\u{high:04x}" for low, high in ranges)


def _join(path: str, name: str) -> str:
    lowered = name[:1].lower() + name[1:]
    return f"{path}.{lowered}" if path else lowered


def _sentence(value: str, path: str, constraint: str) -> str:
    shown = value if value == "null" else f"'{value}'"
    return f"Value {shown} at '{path}' failed to satisfy constraint: {constraint}"


def _shown(shape: Shape, value: Any) -> str:
    return "***" if shape.metadata.get("sensitive") else str(value)


def _malformed(message: str) -> ServiceError:
    return ServiceError("SerializationException", message)


def _aware(value: Any) -> datetime:
    parsed: datetime = parse_timestamp(value)
    return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
