"""What a template comes to before anything is made: resources in order, what is not supported, what would change."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any

from localcloud.aws.cloudformation.functions import Imports, Lookup, Resolver
from localcloud.aws.cloudformation.model import Change, Stack, Wanted
from localcloud.aws.cloudformation.parameters import usable
from localcloud.aws.cloudformation.tags import with_stack_tags
from localcloud.aws.cloudformation.template import ResourceDefinition, invalid, references
from localcloud.aws.cloudformation.types import ResourceType

AFTER_APPLY = "{{changeSet:KNOWN_AFTER_APPLY}}"

Registry = Mapping[str, ResourceType]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The resources whose condition holds, in the order of their dependencies, and the pseudo parameters."""

    wanted: Wanted
    pseudo: Mapping[str, Any]
    order: tuple[ResourceDefinition, ...]

    def resolver(self, *, lookup: Lookup, imports: Imports) -> Resolver:
        """A resolver for this plan's values."""
        values = usable(self.wanted.template, self.wanted.values)
        return Resolver(self.wanted.template, values, self.pseudo, lookup=lookup, imports=imports)

    def bare(self) -> Resolver:
        """A resolver that knows parameters and conditions only."""
        return Resolver(self.wanted.template, usable(self.wanted.template, self.wanted.values), self.pseudo)


def planned(wanted: Wanted, pseudo: Mapping[str, Any]) -> Plan:
    """Decide conditions and order. Raises ValidationError for cycles and references to what a condition leaves out."""
    resolver = Resolver(wanted.template, usable(wanted.template, wanted.values), pseudo)
    active = {name: entry for name, entry in wanted.template.resources.items() if resolver.condition(entry.condition)}
    graph: dict[str, set[str]] = {}
    for name, entry in active.items():
        needs = set(references(resolver.prune(entry.properties))) & set(wanted.template.resources)
        missing = sorted(needs - set(active))
        if missing:
            raise invalid(
                f"Template format error: Unresolved resource dependencies [{', '.join(missing)}] "
                "in the Resources block of the template"
            )
        graph[name] = needs | (set(entry.depends_on) & set(active))
        if name in graph[name]:
            raise invalid(f"Circular dependency between resources: [{name}]")
    try:
        order = tuple(active[name] for name in TopologicalSorter(graph).static_order())
    except CycleError as error:
        raise invalid(f"Circular dependency between resources: [{', '.join(error.args[1][:-1])}]") from error
    return Plan(wanted=wanted, pseudo=pseudo, order=order)


def not_made(plan: Plan, registry: Registry) -> Iterator[tuple[ResourceDefinition, str]]:
    """Each resource that the local cloud cannot make as written, with the reason naming type, property or attribute."""
    resolver = plan.bare()
    types = {entry.logical_id: entry.type for entry in plan.order}
    for entry in plan.order:
        kind = registry.get(entry.type)
        if kind is None:
            yield entry, f"Unsupported resource type: {entry.type}"
            continue
        pruned = resolver.prune(entry.properties)
        names = list(kind.properties.unmade(pruned, ""))
        if names:
            plural = "properties" if len(names) > 1 else "property"
            yield entry, f"Unsupported {plural}: {', '.join(names)} of {entry.type}"
            continue
        missing = [name for name in kind.properties.required if name not in pruned]
        if missing:
            failed = f"Properties validation failed for resource {entry.logical_id}"
            yield entry, f"{failed} with message:\n#: required key [{missing[0]}] not found"
            continue
        for target, attribute in _attributes(pruned):
            other = registry.get(types.get(target, ""))
            if other is not None and attribute not in other.attributes:
                yield entry, f"Unsupported attribute: {attribute} of {other.name} in Fn::GetAtt"


def _attributes(value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, list):
        for entry in value:
            yield from _attributes(entry)
    elif isinstance(value, Mapping):
        for key, entry in value.items():
            if key == "Fn::GetAtt":
                target, attribute = entry.split(".", 1) if isinstance(entry, str) else entry
                if isinstance(attribute, str):
                    yield target, attribute
            else:
                yield from _attributes(entry)


def capabilities_needed(plan: Plan, registry: Registry) -> tuple[set[str], set[str]]:
    """The capability that the template needs and the types that need it; empty if none."""
    needed: set[str] = set()
    types: set[str] = set()
    resolver = plan.bare()
    for entry in plan.order:
        kind = registry.get(entry.type)
        if kind is not None and kind.needs_capability:
            types.add(entry.type)
            named = bool(kind.named_by) and kind.named_by in resolver.prune(entry.properties)
            needed.add("CAPABILITY_NAMED_IAM" if named else "CAPABILITY_IAM")
    return needed, types


def fingerprint(plan: Plan) -> str:
    """Equal for two plans between which there is nothing to update."""
    resolver = plan.bare()
    template = plan.wanted.template

    def known(value: Any) -> list[Any]:
        pruned = resolver.prune(value)
        used = {name: plan.wanted.values[name] for name in references(pruned) if name in plan.wanted.values}
        return [pruned, sorted(used.items())]

    resources = {
        entry.logical_id: [entry.type, entry.deletion_policy, entry.update_replace_policy, known(entry.properties)]
        for entry in plan.order
    }
    outputs = {
        name: known({key: entry[key] for key in ("Value", "Export") if key in entry})
        for name, entry in template.outputs.items()
        if resolver.condition(entry.get("Condition", ""))
    }
    return json.dumps([resources, outputs, sorted(plan.wanted.tags.items())], sort_keys=True, default=str)


def changes(stack: Stack, plan: Plan, registry: Registry, *, imports: Imports) -> tuple[Change, ...]:
    """What executing `plan` on `stack` would add, modify and remove."""
    unknown: set[str] = set()

    def lookup(logical_id: str, attribute: str) -> Any:
        resource = stack.resources.get(logical_id)
        if logical_id in unknown or resource is None or resource.made is None:
            return AFTER_APPLY
        return resource.made.attributes.get(attribute, AFTER_APPLY) if attribute else resource.made.id

    resolver = plan.resolver(lookup=lookup, imports=imports)
    found: list[Change] = []
    for entry in plan.order:
        old = stack.resources.get(entry.logical_id)
        if old is None or old.made is None:
            found.append(Change(action="Add", logical_id=entry.logical_id, physical_id="", type=entry.type))
            unknown.add(entry.logical_id)
            continue
        kind = registry.get(entry.type)
        new = _tentative(kind, resolver.resolve(entry.properties), plan.wanted.tags)
        differing = tuple(sorted(changed_properties(old.properties, new)))
        retyped = old.definition.type != entry.type
        if not differing and not retyped:
            continue
        replaced = retyped or kind is None or bool(kind.replaced_by & set(differing))
        if replaced:
            unknown.add(entry.logical_id)
        found.append(
            Change(
                action="Modify",
                logical_id=entry.logical_id,
                physical_id=old.made.id,
                type=entry.type,
                replacement="True" if replaced else "False",
                properties=differing,
            )
        )
    return (*found, *_removals(stack, plan))


def _removals(stack: Stack, plan: Plan) -> Iterator[Change]:
    kept = {entry.logical_id for entry in plan.order}
    for name, resource in stack.resources.items():
        if name not in kept and resource.made is not None:
            yield Change(action="Remove", logical_id=name, physical_id=resource.made.id, type=resource.definition.type)


def _tentative(kind: ResourceType | None, properties: Any, tags: Mapping[str, str]) -> Any:
    if kind is None:
        return properties
    try:
        return with_stack_tags(kind.properties, kind.properties.convert(properties, ""), tags)
    except (ValueError, KeyError):
        return properties  # it will be refused, with its name, when the change set is executed


def changed_properties(old: Mapping[str, Any], new: Mapping[str, Any]) -> set[str]:
    """Names of the properties whose values differ."""
    return {name for name in {*old, *new} if old.get(name) != new.get(name)}
