"""Tags of resources: those of the stack land on everything that takes tags, a resource's own win.

Source: CloudFormation user guide, "Resource tag" (stack-level tags are propagated).
"""

from collections.abc import Callable, Mapping
from typing import Any

from localcloud.aws.cloudformation.shapes import MapOf, Struct

Properties = Mapping[str, Any]


def with_stack_tags(shape: Struct, properties: Properties, tags: Mapping[str, str]) -> Properties:
    """`properties` with the stack's tags among its own, if the type takes tags."""
    if "Tags" not in shape.members or not tags:
        return properties
    if isinstance(shape.members["Tags"], MapOf):
        return {**properties, "Tags": {**tags, **properties.get("Tags", {})}}
    merged = {**tags, **tags_of(properties)}
    return {**properties, "Tags": tag_pairs(merged)}


def tags_of(properties: Properties) -> dict[str, str]:
    """The property Tags (a list of pairs) as a mapping."""
    return {tag["Key"]: tag["Value"] for tag in properties.get("Tags", [])}


def tag_pairs(tags: Mapping[str, str], *, key: str = "Key", value: str = "Value") -> list[dict[str, str]]:
    """A mapping of tags as the list of pairs that most services take."""
    return [{key: name, value: text} for name, text in tags.items()]


def retag(
    old: Properties,
    new: Properties,
    *,
    untag: Callable[[list[str]], object],
    tag: Callable[[dict[str, str]], object],
) -> None:
    """Bring the tags of a resource from `old` to `new`: `untag` gets the keys to remove, `tag` all that are to be."""
    wanted, had = tags_of(new), tags_of(old)
    # A changed tag goes first too: moto adds to a table's tags and never replaces one.
    gone = sorted(key for key, value in had.items() if wanted.get(key) != value)
    if gone:
        untag(gone)
    if wanted and wanted != had:
        tag(wanted)
