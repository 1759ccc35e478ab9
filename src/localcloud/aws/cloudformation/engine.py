"""Carries out one stack operation: makes, changes and removes resources in order, and rolls back when one fails.

The states and the order of events follow the CloudFormation user guide, "Understand stack creation events" and
"Stack failure options".
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from localcloud.aws.cloudformation.failures import REFUSALS, Stop, failing, failure, reason_of
from localcloud.aws.cloudformation.functions import Imports, Resolver
from localcloud.aws.cloudformation.model import Made, Stack, StackResource, Wanted
from localcloud.aws.cloudformation.permissions import Site, rights
from localcloud.aws.cloudformation.plan import Plan, Registry, changed_properties, not_made
from localcloud.aws.cloudformation.shapes import Malformed
from localcloud.aws.cloudformation.tags import with_stack_tags
from localcloud.aws.cloudformation.template import ResourceDefinition
from localcloud.aws.cloudformation.types import Clients, Failed, Place, ResourceType
from localcloud.clock import Clock

_CREATING = "CREATE_IN_PROGRESS"


@dataclass(frozen=True, slots=True)
class _Undo:
    """How to take one step of an update back, and what it made that has to go then."""

    resource: StackResource
    back: Callable[[], None]
    new: StackResource | None = None


class Engine:
    """Runs operations on stacks of one account and Region. One operation a stack at a time; the caller sees to that."""

    def __init__(
        self, *, registry: Registry, clients: Clients, clock: Clock, account: str, region: str, imports: Imports
    ) -> None:
        self._registry = registry
        self._clients = clients
        self._clock = clock
        self._account = account
        self._region = region
        self._imports = imports

    def create(self, stack: Stack, plan: Plan, *, claim_exports: Callable[[Stack], None]) -> None:
        """Make the whole stack, or roll it back as its OnFailure says.

        Once the stack is being deleted nothing further is made; what was made is left to the deletion.
        """
        try:
            self._refuse_unmade(stack, plan, verb="CREATE")
            for definition in plan.order:
                if stack.status != _CREATING:
                    return
                self._create_one(stack, plan, definition, undo=[])
            self._put_outputs(stack, plan, claim_exports)
        except Stop as stop:
            self._roll_back_creation(stack, str(stop))
            return
        stack.turn("CREATE_COMPLETE", at=self._clock.now(), after=_CREATING)

    def update(self, stack: Stack, plan: Plan, *, claim_exports: Callable[[Stack], None]) -> None:
        """Bring the stack to `plan`, or back to what it was."""
        before: Wanted = stack.wanted
        undo: list[_Undo] = []
        cleanup: list[StackResource] = []
        try:
            self._refuse_unmade(stack, plan, verb="UPDATE")
            stack.wanted = plan.wanted
            for definition in plan.order:
                self._update_one(stack, plan, definition, undo=undo, cleanup=cleanup)
            self._put_outputs(stack, plan, claim_exports)
        except Stop as stop:
            stack.wanted = before
            self._roll_back_update(stack, undo, str(stop))
            return
        kept = {definition.logical_id for definition in plan.order}
        removed = [stack.resources.pop(name) for name in list(stack.resources) if name not in kept]
        for definition in plan.order:  # whoever is needed first: deletion goes back through this order
            stack.resources[definition.logical_id] = stack.resources.pop(definition.logical_id)
        stack.note(at=self._clock.now(), status="UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
        for resource in [*cleanup, *reversed(removed)]:
            # A clean-up that fails leaves the resource behind; the service completes the update all the same.
            self._delete_one(stack, resource, retained=resource in cleanup and _kept_on_replace(resource))
        stack.note(at=self._clock.now(), status="UPDATE_COMPLETE")

    def delete(self, stack: Stack, *, retain: frozenset[str] = frozenset()) -> None:
        """Remove every resource, dependants first; one that cannot be removed leaves the stack DELETE_FAILED."""
        failed = self._remove_all(stack, retain=retain)
        if failed:
            names = ", ".join(failed)
            stack.note(
                at=self._clock.now(),
                status="DELETE_FAILED",
                reason=f"The following resource(s) failed to delete: [{names}]. ",
            )
            return
        stack.deleted = self._clock.now()
        stack.note(at=stack.deleted, status="DELETE_COMPLETE")

    def _remove_all(self, stack: Stack, *, retain: frozenset[str], creating: bool = False) -> list[str]:
        failed = []
        for resource in reversed(list(stack.resources.values())):
            policy = resource.definition.deletion_policy
            kept = policy == "Retain" or (policy == "RetainExceptOnCreate" and not creating)
            if self._delete_one(stack, resource, retained=kept or resource.logical_id in retain):
                del stack.resources[resource.logical_id]
            else:
                failed.append(resource.logical_id)
        return failed

    def _refuse_unmade(self, stack: Stack, plan: Plan, *, verb: str) -> None:
        refused = []
        for definition, reason in not_made(plan, self._registry):
            resource = stack.resources.get(definition.logical_id) or self._resource(definition)
            stack.note(at=self._clock.now(), status=f"{verb}_FAILED", reason=reason, resource=resource)
            if verb == "CREATE":
                stack.resources.setdefault(definition.logical_id, resource)
            refused.append(definition.logical_id)
        if refused:
            raise Stop(failure(refused, verb))

    def _create_one(self, stack: Stack, plan: Plan, definition: ResourceDefinition, *, undo: list[_Undo]) -> None:
        resource = self._resource(definition)
        stack.resources[definition.logical_id] = resource
        undo.append(_Undo(resource, lambda: None, new=resource))
        stack.note(at=self._clock.now(), status="CREATE_IN_PROGRESS", resource=resource)
        self._make(stack, plan, resource, verb="CREATE")

    def _make(self, stack: Stack, plan: Plan, resource: StackResource, *, verb: str) -> None:
        with failing(self._clock, stack, resource, verb):
            kind = self._registry[resource.definition.type]
            properties = self._properties(stack, plan, resource.definition, kind)
            resource.made = kind.create(self._place(stack, resource.logical_id), properties)
            resource.properties = properties
            self._require(resource, "create")
        stack.note(
            at=self._clock.now(), status=f"{verb}_IN_PROGRESS", reason="Resource creation Initiated", resource=resource
        )
        stack.note(at=self._clock.now(), status=f"{verb}_COMPLETE", resource=resource)

    def _update_one(
        self,
        stack: Stack,
        plan: Plan,
        definition: ResourceDefinition,
        *,
        undo: list[_Undo],
        cleanup: list[StackResource],
    ) -> None:
        resource = stack.resources.get(definition.logical_id)
        if resource is None or resource.made is None:
            self._create_one(stack, plan, definition, undo=undo)
            return
        old = resource
        kind = self._registry[definition.type]
        with failing(self._clock, stack, old, "UPDATE"):
            properties = self._properties(stack, plan, definition, kind)
        differing = changed_properties(old.properties, properties)
        retyped = definition.type != old.definition.type
        if retyped or kind.replaced_by & differing:
            self._replace(stack, plan, old, definition, undo=undo, cleanup=cleanup)
        elif differing:
            self._change(stack, old, definition, properties, undo=undo)
        else:
            before = old.definition
            old.definition = definition
            undo.append(_Undo(old, lambda: setattr(old, "definition", before)))

    def _replace(
        self,
        stack: Stack,
        plan: Plan,
        old: StackResource,
        definition: ResourceDefinition,
        *,
        undo: list[_Undo],
        cleanup: list[StackResource],
    ) -> None:
        stack.note(
            at=self._clock.now(),
            status="UPDATE_IN_PROGRESS",
            reason="Requested update requires the creation of a new physical resource; hence creating one.",
            resource=old,
        )
        new = self._resource(definition)
        stack.resources[definition.logical_id] = new

        def back() -> None:
            stack.resources[old.logical_id] = old

        undo.append(_Undo(old, back, new=new))
        self._make(stack, plan, new, verb="UPDATE")
        cleanup.append(old)

    def _change(
        self,
        stack: Stack,
        resource: StackResource,
        definition: ResourceDefinition,
        properties: Mapping[str, Any],
        *,
        undo: list[_Undo],
    ) -> None:
        kind = self._registry[definition.type]
        made, before, was = _made(resource), resource.properties, resource.definition
        place = self._place(stack, resource.logical_id)
        stack.note(at=self._clock.now(), status="UPDATE_IN_PROGRESS", resource=resource)

        def back() -> None:
            resource.definition, resource.properties = was, before
            resource.made = kind.update(place, made, properties, before)

        with failing(self._clock, stack, resource, "UPDATE"):
            kind.refuse_update(before, properties)
        undo.append(_Undo(resource, back))
        with failing(self._clock, stack, resource, "UPDATE"):
            resource.made = kind.update(place, made, before, properties)
            self._require(resource, "update", properties)
        resource.definition, resource.properties = definition, properties
        stack.note(at=self._clock.now(), status="UPDATE_COMPLETE", resource=resource)

    def _roll_back_creation(self, stack: Stack, reason: str) -> None:
        if stack.on_failure == "DO_NOTHING":
            stack.turn("CREATE_FAILED", at=self._clock.now(), after=_CREATING, reason=reason)
            return
        requested = f"{reason} {'Rollback' if stack.on_failure == 'ROLLBACK' else 'Delete'} requested by user."
        if stack.on_failure == "DELETE":
            if stack.turn("DELETE_IN_PROGRESS", at=self._clock.now(), after=_CREATING, reason=requested):
                self.delete(stack)
            return
        if not stack.turn("ROLLBACK_IN_PROGRESS", at=self._clock.now(), after=_CREATING, reason=requested):
            return
        failed = self._remove_all(stack, retain=frozenset(), creating=True)
        if failed:
            names = ", ".join(failed)
            stack.note(
                at=self._clock.now(),
                status="ROLLBACK_FAILED",
                reason=f"The following resource(s) failed to delete: [{names}]. ",
            )
            return
        stack.note(at=self._clock.now(), status="ROLLBACK_COMPLETE")

    def _roll_back_update(self, stack: Stack, undo: list[_Undo], reason: str) -> None:
        stack.note(at=self._clock.now(), status="UPDATE_ROLLBACK_IN_PROGRESS", reason=reason)
        failed = []
        # An update to what was before: whoever is needed first goes back first. What is new goes in the clean-up.
        for step in undo:
            try:
                step.back()
            except REFUSALS as error:
                told = reason_of(error)
                stack.note(at=self._clock.now(), status="UPDATE_FAILED", reason=told, resource=step.resource)
                failed.append(step.resource.logical_id)
                continue
            if step.new is not step.resource and step.resource.status != "UPDATE_COMPLETE":
                stack.note(at=self._clock.now(), status="UPDATE_COMPLETE", resource=step.resource)
        if failed:
            stack.note(
                at=self._clock.now(),
                status="UPDATE_ROLLBACK_FAILED",
                reason=f"The following resource(s) failed to update: [{', '.join(failed)}]. ",
            )
            return
        stack.note(at=self._clock.now(), status="UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS")
        for step in reversed([step for step in undo if step.new is not None]):
            self._forget(stack, step)
        stack.note(at=self._clock.now(), status="UPDATE_ROLLBACK_COMPLETE")

    def _forget(self, stack: Stack, step: _Undo) -> None:
        """Remove what a step made; one that stays does not keep the roll-back from its end, as in the service."""
        assert step.new is not None, "only such steps are asked for"
        self._delete_one(stack, step.new, retained=step.new.definition.deletion_policy == "Retain")
        if stack.resources.get(step.new.logical_id) is step.new:
            del stack.resources[step.new.logical_id]

    def _delete_one(self, stack: Stack, resource: StackResource, *, retained: bool) -> bool:
        if resource.made is None:
            return True
        if retained:
            stack.note(at=self._clock.now(), status="DELETE_SKIPPED", resource=resource)
            return True
        stack.note(at=self._clock.now(), status="DELETE_IN_PROGRESS", resource=resource)
        try:
            kind = self._registry[resource.definition.type]
            self._require(resource, "delete")
            kind.delete(self._place(stack, resource.logical_id), resource.made, resource.properties)
        except REFUSALS as error:
            stack.note(at=self._clock.now(), status="DELETE_FAILED", reason=reason_of(error), resource=resource)
            return False
        stack.note(at=self._clock.now(), status="DELETE_COMPLETE", resource=resource)
        return True

    def _require(self, resource: StackResource, handler: str, properties: Mapping[str, Any] | None = None) -> None:
        """Ask for the rights that the service's own handler needs beside the calls that are made here."""
        type_name, given = resource.definition.type, resource.properties if properties is None else properties
        site = Site(made=_made(resource), properties=given, account=self._account, region=self._region)
        self._clients.require(f"{type_name} {handler}", rights(type_name, handler, site))

    def _properties(
        self, stack: Stack, plan: Plan, definition: ResourceDefinition, kind: ResourceType
    ) -> Mapping[str, Any]:
        resolved = self._resolver(stack, plan).resolve(definition.properties)
        names = list(kind.properties.unmade(resolved, ""))
        if names:
            raise Failed(f"Unsupported property: {', '.join(names)} of {definition.type}")
        try:
            converted = kind.properties.convert(resolved, "")
        except Malformed as error:
            raise Failed(
                f"Properties validation failed for resource {definition.logical_id} with message:\n{error}"
            ) from error
        return with_stack_tags(kind.properties, converted, plan.wanted.tags)

    def _resolver(self, stack: Stack, plan: Plan) -> Resolver:
        def lookup(logical_id: str, attribute: str) -> Any:
            made = _made(stack.resources[logical_id])
            if not attribute:
                return made.id
            if attribute not in made.attributes:
                raise Failed(f"Requested attribute {attribute} does not exist in schema for {logical_id}")
            return made.attributes[attribute]

        def imported(name: str) -> str:
            stack.imports.add(name)
            return self._imports(name)

        return plan.resolver(lookup=lookup, imports=imported)

    def _put_outputs(self, stack: Stack, plan: Plan, claim_exports: Callable[[Stack], None]) -> None:
        resolver = self._resolver(stack, plan)
        outputs, before = [], stack.outputs
        try:
            for name, entry in plan.wanted.template.outputs.items():
                if not resolver.condition(entry.get("Condition", "")):
                    continue
                output = {"OutputKey": name, "OutputValue": str(resolver.resolve(entry["Value"]))}
                if "Description" in entry:
                    output["Description"] = str(entry["Description"])
                if "Export" in entry:
                    output["ExportName"] = str(resolver.resolve(entry["Export"]["Name"]))
                outputs.append(output)
            stack.outputs = outputs
            claim_exports(stack)
        except REFUSALS as error:
            stack.outputs = before
            raise Stop(reason_of(error)) from error

    def _resource(self, definition: ResourceDefinition) -> StackResource:
        return StackResource(definition=definition, at=self._clock.now())

    def _place(self, stack: Stack, logical_id: str) -> Place:
        return Place(
            logical_id=logical_id,
            stack_name=stack.name,
            stack_id=stack.id,
            account=self._account,
            region=self._region,
            clients=self._clients,
        )


def _made(resource: StackResource) -> Made:
    if resource.made is None:
        raise Failed(f"{resource.logical_id} has not been made")
    return resource.made


def _kept_on_replace(resource: StackResource) -> bool:
    return resource.definition.update_replace_policy == "Retain"
