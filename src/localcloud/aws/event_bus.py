"""EventBridge's events: rules with a pattern hand them to functions and topics, as soon as they are put.

Rules lie in moto's events backend, which also knows how a pattern is held against an event; this delivers. A target has
to let EventBridge in by its own policy, as in the service: a function by AddPermission, a topic by its topic policy and
the policy of the key that encrypts it. What is not let in is counted, and told to nobody, as in the service.

Source: EventBridge User Guide, "Event patterns", "Targets", "Using resource-based policies", "Input transformation".
"""

import json
import logging
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from localcloud.aws.call import Call, Operation
from localcloud.aws.functions.service import Functions
from localcloud.aws.iam.directory import WorldDirectory
from localcloud.aws.iam.policy import Caller, Context, evaluate, evaluate_resource_policy
from localcloud.errors import LocalCloudError, ServiceError, Unsupported
from localcloud.world import World

SERVICE = "events.amazonaws.com"
LARGEST_ENTRY = 262_144  # bytes
MOST_ENTRIES = 10
_TARGET_MEMBERS = {"Id", "Arn", "Input", "InputTransformer", "RetryPolicy"}
# The named filters that moto compares; an unknown one it would take for a match.
_FILTERS = {"exists", "prefix", "suffix", "equals-ignore-case", "numeric", "anything-but", "cidr", "wildcard"}
_PATH = re.compile(r"\$(?:\.[A-Za-z0-9_-]+)+")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One event on its way to one target of one rule; `refused` says why it did not get there."""

    event: str
    rule: str
    target: str
    at: datetime
    refused: str = ""


def operations(world: World) -> Mapping[tuple[str, str], Operation]:
    """PutEvents; rules and targets are checked where schedules are, which share their calls."""
    return {("events", "PutEvents"): lambda call: world.part(EventBuses).put(call)}


def validate_pattern(text: str) -> None:
    """Raise InvalidEventPatternException for what is no pattern, Unsupported for a filter that is not compared here."""
    try:
        pattern = json.loads(text)
    except ValueError as error:
        raise _bad_pattern("is not valid JSON") from error
    if not isinstance(pattern, dict) or not pattern:
        raise _bad_pattern("is not an object with fields")
    for unknown in sorted(set(_filters(pattern)) - _FILTERS):
        raise Unsupported(f"filter {unknown} in an event pattern")


def _filters(node: Mapping[str, Any]) -> Iterator[str]:
    for key, value in node.items():
        if key == "$or" and isinstance(value, list):
            for each in value:
                yield from _filters(each)
        elif isinstance(value, dict):
            yield from _filters(value)
        elif isinstance(value, list):
            for each in value:
                yield from each if isinstance(each, dict) else ()
        else:
            raise _bad_pattern(f'"{key}" must be an object or an array')


def _bad_pattern(reason: str) -> ServiceError:
    return ServiceError("InvalidEventPatternException", f"Event pattern is not valid. Reason: {reason}")


def validate_target(target: Mapping[str, Any]) -> None:
    """Raise Unsupported, with its name, for a target that would not be served as given."""
    kind = _kind(str(target.get("Arn", "")))
    if kind not in {"lambda", "sns"}:
        raise Unsupported(f"target {target.get('Arn')} of an event rule: only functions and topics are told here")
    for member in target.keys() - _TARGET_MEMBERS:
        raise Unsupported(f"{member} of target {target.get('Id')} of an event rule")
    for path in (target.get("InputTransformer") or {}).get("InputPathsMap", {}).values():
        if not _PATH.fullmatch(path):
            raise Unsupported(f"path {path} in the InputTransformer of target {target.get('Id')}")


class EventBuses:
    """The buses of one local cloud in all its Regions. Threads may share it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._functions = world.part(Functions)  # held, so that it outlives this part
        self._lock = threading.Lock()
        self._deliveries: list[Delivery] = []

    @property
    def deliveries(self) -> list[Delivery]:
        """What was delivered so far, and what could not be."""
        with self._lock:
            return list(self._deliveries)

    def put(self, call: Call) -> Mapping[str, Any]:
        """PutEvents: each entry is taken or refused by itself."""
        entries = call.params["Entries"]
        if len(entries) > MOST_ENTRIES:
            message = (
                "1 validation error detected: Value '[PutEventsRequestEntry]' at 'entries' failed to satisfy"
                f" constraint: Member must have length less than or equal to {MOST_ENTRIES}"
            )
            raise ServiceError("ValidationException", message)
        answers = [self._take(call, entry) for entry in entries]
        return {"FailedEntryCount": sum("ErrorCode" in each for each in answers), "Entries": answers}

    def _take(self, call: Call, entry: Mapping[str, Any]) -> dict[str, str]:
        code, message = _trouble_with(entry)
        bus = str(entry.get("EventBusName") or "default").rsplit("/", maxsplit=1)[-1]
        rules = self._rules(bus, call.region)
        if not code and rules is None:
            # What the service answers is not documented; an event that reaches nobody must not look like a success.
            code, message = "ResourceNotFoundException", f"Event bus {bus} does not exist."
        if code:
            return {"ErrorCode": code, "ErrorMessage": message}
        event = _event(call, entry)
        for rule in rules or ():
            if rule["pattern"].matches_event(event):
                for target in rule["targets"]:
                    self._deliver(event, rule, target, call.region)
        return {"EventId": event["id"]}

    def _rules(self, bus: str, region: str) -> list[Mapping[str, Any]] | None:
        """The enabled rules with a pattern; None if there is no such bus."""
        with self._world.moto_lock:
            found = self._world.backend("events", region).event_buses.get(bus)
            if found is None:
                return None
            return [
                {"arn": rule.arn, "name": rule.name, "pattern": rule.event_pattern, "targets": list(rule.targets)}
                for rule in found.rules.values()
                if rule.event_pattern.get_pattern() and rule.state.startswith("ENABLED")
            ]

    def _deliver(
        self, event: Mapping[str, Any], rule: Mapping[str, Any], target: Mapping[str, Any], region: str
    ) -> None:
        refused = ""
        try:
            validate_target(target)
            told = _told(target, event)
            if _kind(target["Arn"]) == "lambda":
                self._invoke(rule, target["Arn"], told, region)
            else:
                self._publish(rule, target["Arn"], told, region)
        except LocalCloudError as error:
            # EventBridge counts it as a failed invocation and goes on with the next target.
            log.error("rule %s: target %s was not told: %s", rule["name"], target["Arn"], error)
            refused = str(error)
        delivery = Delivery(
            event=event["id"], rule=rule["name"], target=target["Arn"], at=self._world.clock.now(), refused=refused
        )
        with self._lock:
            self._deliveries.append(delivery)

    def _invoke(self, rule: Mapping[str, Any], function: str, told: str, region: str) -> None:
        if not self._functions.may_invoke(function, SERVICE, rule["arn"], region=region):
            raise ServiceError("AccessDeniedException", "the function's resource policy does not allow it", status=403)
        self._functions.invoke(function, told.encode(), kind="Event", region=region)

    def _publish(self, rule: Mapping[str, Any], arn: str, told: str, region: str) -> None:
        with self._world.moto_lock:
            topic = self._world.backend("sns", region).topics.get(arn)
            policy, key = (topic.policy, topic.kms_master_key_id) if topic else ("", "")
        if topic is None:
            raise ServiceError("NotFound", f"topic {arn} does not exist", status=404)
        keys = {"aws:SourceArn": rule["arn"], "aws:SourceAccount": self._world.account}
        context = Context(action="sns:Publish", resource=arn, caller=Caller(service=SERVICE), keys=keys)
        if not evaluate_resource_policy(policy, context).allowed:
            raise ServiceError("AuthorizationError", "the topic's policy does not allow it", status=403)
        if key:
            self._require_key(key, region)
        with self._world.moto_lock:
            self._world.backend("sns", region).publish(told, arn=arn)

    def _require_key(self, key: str, region: str) -> None:
        """The key of an encrypted topic must let EventBridge use it, on whose behalf it is not told. Source: SNS,
        "Encryption at rest", "Enable compatibility between event sources from AWS services and encrypted topics"."""
        directory = WorldDirectory(self._world, region)
        policy = directory.key_policy(key)
        arn = directory.key_arn(key) or key
        for action in ("kms:GenerateDataKey", "kms:Decrypt"):
            context = Context(action=action, resource=arn, caller=Caller(service=SERVICE))
            if policy is None or not evaluate([policy], context).allowed:
                raise ServiceError("KMSAccessDenied", f"the topic's key does not allow {action}", status=400)


def _kind(arn: str) -> str:
    parts = arn.split(":")
    return parts[2] if len(parts) > 5 and parts[0] == "arn" else ""


def _trouble_with(entry: Mapping[str, Any]) -> tuple[str, str]:
    """Error code and message for an entry that is not taken; empty if it is."""
    for member in ("Source", "DetailType", "Detail"):
        if not entry.get(member):
            return (
                "InvalidArgument",
                f"Parameter {member} is not valid. Reason: {member} is a required argument.",
            )
    if entry["Source"].startswith("aws."):
        return "NotAuthorizedForSource", "Not authorized for the source."
    try:
        is_object = isinstance(json.loads(entry["Detail"]), dict)
    except ValueError:
        is_object = False
    if not is_object:
        return "MalformedDetail", "Detail is malformed."
    texts: Sequence[str] = [entry["Source"], entry["DetailType"], entry["Detail"], *entry.get("Resources", ())]
    if sum(len(text.encode()) for text in texts) + (14 if "Time" in entry else 0) > LARGEST_ENTRY:
        return "InvalidArgument", "Total size of the entry exceeds the limit of 256 KB."
    return "", ""


def _event(call: Call, entry: Mapping[str, Any]) -> dict[str, Any]:
    at = entry["Time"] if isinstance(entry.get("Time"), datetime) else call.now
    return {
        "version": "0",
        "id": str(uuid4()),
        "detail-type": entry["DetailType"],
        "source": entry["Source"],
        "account": call.account,
        "time": at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": call.region,
        "resources": list(entry.get("Resources", ())),
        "detail": json.loads(entry["Detail"]),
    }


def _told(target: Mapping[str, Any], event: Mapping[str, Any]) -> str:
    """What a target gets: a text of its own, a text made from the event, or the event."""
    if target.get("Input"):
        return str(target["Input"])
    transformer = target.get("InputTransformer")
    if not transformer:
        return json.dumps(event)
    text = str(transformer["InputTemplate"])
    for name, path in transformer.get("InputPathsMap", {}).items():
        text = text.replace(f"<{name}>", _at(event, path))
    return text


def _at(event: Mapping[str, Any], path: str) -> str:
    """The value at `$.detail.x` as it stands in a text; nothing if there is none."""
    value: Any = event
    for name in path.split(".")[1:]:
        value = value.get(name) if isinstance(value, Mapping) else None
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)
