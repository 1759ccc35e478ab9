"""Resource ids as Resource Manager compares them: without case, whatever slashes stand around them."""

from dataclasses import dataclass

COMPUTE = "Microsoft.Compute"


def key(resource_id: str) -> str:
    """What two spellings of the same id have in common; published examples leave the first slash out."""
    return "/" + resource_id.strip("/").lower()


def within(resource_id: str, scope: str) -> bool:
    """Whether `scope` (a subscription, group or resource, or "/" for the tenant) covers `resource_id`."""
    inner, outer = key(resource_id), key(scope)
    return outer in {"/", inner} or inner.startswith(outer + "/")


def location_key(location: str) -> str:
    """`West US` and `westus` are one place."""
    return location.replace(" ", "").lower()


def last_segment(resource_id: str) -> str:
    """The resource's own name."""
    return resource_id.rstrip("/").rpartition("/")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class ComputeId:
    """The id of a compute resource. `kind` is its type's last word, such as `disks`."""

    subscription: str
    group: str
    kind: str
    name: str

    def __str__(self) -> str:
        return (
            f"/subscriptions/{self.subscription}/resourceGroups/{self.group}"
            f"/providers/{COMPUTE}/{self.kind}/{self.name}"
        )

    @classmethod
    def parse(cls, resource_id: str) -> "ComputeId | None":
        """The id in `resource_id`, or None if that names nothing of Microsoft.Compute's top level."""
        parts = resource_id.strip("/").split("/")
        shape = [parts[index].lower() for index in (0, 2, 4, 5)] if len(parts) == 8 else []
        if shape != ["subscriptions", "resourcegroups", "providers", COMPUTE.lower()]:
            return None
        return cls(subscription=parts[1], group=parts[3], kind=parts[6], name=parts[7])
