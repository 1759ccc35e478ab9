"""Azure's published API description, its examples, and recorded requests of the SDK, as values for tests."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft4Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT4

DATA = Path(__file__).resolve().parents[3] / "../shared/data/azure"
_COMPUTE = DATA / "specification/compute/resource-manager/Microsoft.Compute"
_FILES = (
    _COMPUTE / "ComputeRP/stable/2024-07-01/virtualMachine.json",
    _COMPUTE / "DiskRP/stable/2024-03-02/disk.json",
    _COMPUTE / "DiskRP/stable/2024-03-02/snapshot.json",
)


@dataclass(frozen=True)
class Recorded:
    """One request that the SDK sent for an official example."""

    operation_id: str
    example: str
    method: str
    path: str
    query: dict[str, str]
    body: dict[str, Any] | None

    def __str__(self) -> str:
        return Path(self.example).stem


def recorded(*operations: str) -> list[Recorded]:
    """The recorded requests of these operation ids; none where the data is absent."""
    path = DATA / "sdk-39.0.0/recorded-requests.json"
    if not path.exists():
        return []
    return [
        Recorded(
            operation_id=each["operationId"],
            example=each["example"],
            method=each["request"]["method"],
            path=each["request"]["path"],
            query=each["request"]["query"],
            body=each["request"]["body"],
        )
        for each in json.loads(path.read_text())["requests"]
        if each["operationId"] in operations
    ]


def all_operations() -> set[str]:
    """The operation ids of all recorded requests."""
    path = DATA / "sdk-39.0.0/recorded-requests.json"
    return {each["operationId"] for each in json.loads(path.read_text())["requests"]} if path.exists() else set()


@cache
def _operations() -> dict[str, tuple[Path, dict[str, Any]]]:
    found = {}
    for file in _FILES:
        for methods in json.loads(file.read_text())["paths"].values():
            for operation in methods.values():
                found[operation["operationId"]] = (file, operation)
    return found


def statuses(operation_id: str) -> set[int]:
    """The statuses with which the operation may answer well."""
    return {int(status) for status in _operations()[operation_id][1]["responses"] if status != "default"}


def problems(operation_id: str, status: int, body: Any) -> Iterator[str]:
    """What is wrong with an answer according to the published description."""
    file, operation = _operations()[operation_id]
    schema = operation["responses"][str(status)].get("schema")
    if schema is None:
        return iter([] if body is None else [f"{operation_id} answers {status} without a body"])
    return _errors(file, schema, body)


def type_problems(name: str, body: Any) -> Iterator[str]:
    """What is wrong with a document according to the newest types, which know members that the description lacks."""
    file = DATA / "sdk-39.0.0/models.schema.json"
    return _errors(file, {"$ref": f"#/definitions/{name}"}, body)


def _errors(file: Path, schema: dict[str, Any], body: Any) -> Iterator[str]:
    base = file.resolve().as_uri()
    based = {"$ref": base + schema["$ref"]} if schema.get("$ref", "").startswith("#") else schema
    if "$ref" in based and not based["$ref"].startswith("file:"):
        based = {
            "$ref": (file.parent / based["$ref"].partition("#")[0]).resolve().as_uri()
            + "#"
            + based["$ref"].partition("#")[2]
        }
    validator = Draft4Validator(based, registry=_registry())
    return (f"{'/'.join(map(str, error.absolute_path))}: {error.message}" for error in validator.iter_errors(body))


@cache
def _registry() -> Registry[Any]:
    def retrieve(uri: str) -> Resource[Any]:
        contents = json.loads(Path(uri.removeprefix("file://")).read_text(), object_hook=_opened)
        return Resource(contents=contents, specification=DRAFT4)

    return Registry(retrieve=retrieve)


def _opened(schema: dict[str, Any]) -> dict[str, Any]:
    """Enumerations that the description calls open (`modelAsString`) hold the values known when it was written."""
    enumeration = schema.get("x-ms-enum")
    if isinstance(enumeration, dict) and enumeration.get("modelAsString"):
        schema.pop("enum", None)
    return schema
