"""The automation executions of a world: one engine for each Region in which somebody asked for one."""

import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from localcloud.automation import interpolation, parsing, validation
from localcloud.automation.actions import registry
from localcloud.automation.document import Runbook
from localcloud.automation.engine import Engine
from localcloud.automation.errors import DocumentNotFound, DocumentVersionNotFound, InvalidTargets
from localcloud.automation.ports import FoundDocument, Limits
from localcloud.aws.ssm.activations import Tags
from localcloud.aws.ssm.automation.surroundings import CloudSurrounder
from localcloud.aws.ssm.document_model import AUTOMATION, DocumentVersion
from localcloud.aws.ssm.documents import Documents
from localcloud.aws.ssm.nodes import ManagedNodes
from localcloud.errors import ServiceError
from localcloud.world import World

_TAG = "tag:"


class Automations:
    """Engines by Region. Threads may share it.

    `limits`, `workers` and `throttled_retry` (the account's setting of that name) hold for engines made afterwards.
    """

    def __init__(self, world: World) -> None:
        self.limits = Limits()
        self.workers = 32
        self.throttled_retry = timedelta(0)
        self._world = world
        self._engines: dict[str, Engine] = {}
        self._tags: dict[str, Tags] = {}  # of executions whose tags were changed
        self._lock = threading.Lock()
        self._tagging = threading.Lock()

    def engine(self, region: str) -> Engine:
        """The Region's engine."""
        with self._lock:
            made = self._engines.get(region)
            if made is None:
                made = Engine(
                    clock=self._world.clock,
                    actions=registry.actions(throttled_retry=lambda: self.throttled_retry),
                    documents=StoredRunbooks(self._world, region),
                    surrounder=CloudSurrounder(self._world, region),
                    target_source=NodeTargets(self._world, region),
                    workers=self.workers,
                    limits=self.limits,
                )
                self._engines[region] = made
            return made

    def role(self, region: str, *, name: str, version: str, given: Mapping[str, Any]) -> str:
        """The role ARN with which a document would run, "" if with none; raises as the engine's start does."""
        runbook = StoredRunbooks(self._world, region).find(name, version).runbook
        role = interpolation.resolve(runbook.assume_role, _Given(runbook, given))
        return "" if interpolation.is_unresolved(role) else str(role)

    def tags(self, region: str, execution_id: str) -> Tags:
        """An execution's tags; raises errors.ExecutionNotFound."""
        given = self.engine(region).get(execution_id).tags
        return self._tags.get(execution_id, given)

    def change_tags(self, region: str, execution_id: str, change: Callable[[Tags], Tags]) -> None:
        """Replace all tags of an execution by `change` of the present ones; raises errors.ExecutionNotFound."""
        with self._tagging:
            self._tags[execution_id] = change(self.tags(region, execution_id))

    def close(self) -> None:
        """Stop every engine."""
        with self._lock:
            engines = list(self._engines.values())
        for engine in engines:
            engine.close()


class StoredRunbooks:
    """The Region's Automation documents, each version parsed once."""

    def __init__(self, world: World, region: str) -> None:
        self._documents = world.part(Documents)
        self._region = region
        self._parsed: dict[tuple[str, str], Runbook] = {}

    def find(self, name: str, version: str) -> FoundDocument:
        """Raises DocumentNotFound (also for documents of other types), DocumentVersionNotFound."""
        try:
            document = self._documents.get(name, region=self._region)
        except ServiceError as error:
            raise DocumentNotFound(f"Automation definition {name} does not exist.") from error
        if document.kind != AUTOMATION:
            raise DocumentNotFound(f"Document {name} is of the type {document.kind}, not {AUTOMATION}.")
        try:
            found = document.version(version)
        except ServiceError as error:
            raise DocumentVersionNotFound(f"Document {name} has no version {version}.") from error
        return FoundDocument(
            name=found.name, version=str(found.number), runbook=self._runbook(found), attachments=found.files
        )

    def _runbook(self, version: DocumentVersion) -> Runbook:
        key = (version.name, version.hash)
        if key not in self._parsed:
            self._parsed[key] = validation.runbook(parsing.load(version.text, format=version.format))
        return self._parsed[key]


class NodeTargets:
    """Targets by tag: the managed nodes that bear it."""

    def __init__(self, world: World, region: str) -> None:
        self._nodes = world.part(ManagedNodes)
        self._region = region

    def resolve(self, key: str, values: Sequence[str]) -> list[str]:
        """The ids of managed nodes, sorted; raises InvalidTargets for what this cloud does not have."""
        if not key.startswith(_TAG):
            raise InvalidTargets(f"Targets by {key} are not supported here; ParameterValues and {_TAG}NAME are.")
        name = key.removeprefix(_TAG)
        wanted = {(name, value) for value in values}
        return sorted(node.id for node in self._nodes.all(self._region) if wanted.intersection(node.tags))


class _Given:
    """What a role may be written with: parameters as they are given, else their defaults."""

    def __init__(self, runbook: Runbook, given: Mapping[str, Any]) -> None:
        self._runbook = runbook
        self._given = given

    def lookup(self, reference: str) -> Any:
        given = self._given.get(reference)
        if given is None:
            return self._runbook.parameters[reference].default
        return given[0] if isinstance(given, list) and given else given
