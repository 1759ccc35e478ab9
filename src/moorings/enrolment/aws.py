"""Adapters to Systems Manager, Parameter Store, Lambda and the stored configuration. They decide nothing."""

import json
import re
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from moorings.clock import Clock
from moorings.clouds.aws_errors import code_of, translated
from moorings.enrolment import configuration, items
from moorings.enrolment.model import STACK_TAG, Configuration, Described, NewActivation, Pool
from moorings.enrolment.ports import CONFIGURATION_AGE, Journal
from moorings.errors import Conflict, Misconfigured, MooringsError

CODES_REMEMBERED = 64  # activations; an environment rarely sees more than the current one
# Gone, or stored under a key that is disabled or on its way out: worth as little as no code, and soon replaced.
_UNREADABLE = frozenset({"ParameterNotFound", "InvalidKeyId"})
_DESCRIPTION = re.compile(r"moorings stack=(?P<stack>\S+) pool=(?P<pool>\S+) lease=(?P<lease>\S+)")


class SsmActivations:
    """The `ActivationService` port. `once` never repeats a request: CreateActivation has no client token."""

    def __init__(self, *, client: Any, once: Callable[[], Any], stack: str) -> None:
        self._client = client
        self._once = once
        self._stack = stack

    def create(self, pool: Pool, *, lease_id: str, expires_at: datetime) -> NewActivation:
        """See `ports.ActivationService.create`."""
        request: dict[str, Any] = {
            "IamRole": pool.node_role,
            "RegistrationLimit": pool.registration_limit,
            "ExpirationDate": expires_at,
            # Before its answer arrives nobody knows the activation's id: only this text tells whose it is.
            "Description": f"moorings stack={self._stack} pool={pool.name} lease={lease_id}",
        }
        tags = (*pool.tags, (STACK_TAG, self._stack))
        request["Tags"] = [{"Key": key, "Value": value} for key, value in tags]
        if pool.default_instance_name:
            request["DefaultInstanceName"] = pool.default_instance_name
        with translated("ssm:CreateActivation"):
            made = self._once().create_activation(**request)
        return NewActivation(id=made["ActivationId"], code=made["ActivationCode"], expires_at=expires_at)

    def delete(self, activation_id: str) -> None:
        """See `ports.ActivationService.delete`."""
        with translated("ssm:DeleteActivation"):
            try:
                self._client.delete_activation(ActivationId=activation_id)
            except ClientError as error:
                if code_of(error) not in ("InvalidActivation", "InvalidActivationId"):
                    raise

    def described(self) -> Iterator[Described]:
        """See `ports.ActivationService.described`."""
        with translated("ssm:DescribeActivations"):
            for page in self._client.get_paginator("describe_activations").paginate(PaginationConfig={"PageSize": 50}):
                for each in page["ActivationList"]:
                    found = _described(each, self._stack)
                    if found:
                        yield found

    def exists(self, activation_id: str) -> bool:
        """See `ports.ActivationService.exists`."""
        wanted = [{"FilterKey": "ActivationIds", "FilterValues": [activation_id]}]
        with translated("ssm:DescribeActivations"):
            try:
                return bool(self._client.describe_activations(Filters=wanted)["ActivationList"])
            except ClientError as error:
                if code_of(error) not in ("InvalidActivation", "InvalidActivationId"):
                    raise
                return False


def _described(each: Mapping[str, Any], stack: str) -> Described | None:
    match = _DESCRIPTION.fullmatch(each.get("Description", ""))
    if match is None or match["stack"] != stack:
        return None
    return Described(
        id=each["ActivationId"],
        pool=match["pool"],
        lease_id=match["lease"],
        registrations=int(each.get("RegistrationsCount", 0)),  # the service leaves it out at zero
        limit=int(each["RegistrationLimit"]),
        created_at=each["CreatedDate"].astimezone(UTC),
        expires_at=each["ExpirationDate"].astimezone(UTC),
        expired=bool(each.get("Expired", False)),
    )


class SecureCodes:
    """The `Codes` port: one SecureString per activation. A code never changes, so it is asked for once.

    `brisk` makes a client that gives up early: a code is stored while a lease runs.
    """

    def __init__(self, *, client: Any, brisk: Callable[[], Any], prefix: str, kms_key: str) -> None:
        self._client = client
        self._brisk = brisk
        self._prefix = prefix
        self._kms_key = kms_key
        self._remembered: OrderedDict[str, str] = OrderedDict()

    def get(self, activation_id: str) -> str | None:
        """See `ports.Codes.get`."""
        if activation_id in self._remembered:
            return self._remembered[activation_id]
        with translated("ssm:GetParameter"):
            try:
                found = self._client.get_parameter(Name=self._name(activation_id), WithDecryption=True)
            except ClientError as error:
                if code_of(error) not in _UNREADABLE:
                    raise
                return None
        code: str = found["Parameter"]["Value"]
        self._remembered[activation_id] = code
        while len(self._remembered) > CODES_REMEMBERED:
            self._remembered.popitem(last=False)
        return code

    def put(self, activation_id: str, code: str) -> None:
        """See `ports.Codes.put`."""
        with translated("ssm:PutParameter"):
            try:
                self._brisk().put_parameter(
                    Name=self._name(activation_id),
                    Value=code,
                    Type="SecureString",
                    KeyId=self._kms_key,
                    # Never the account's default tier: an advanced one costs money and needs more of the key's rights.
                    Tier="Standard",
                    Description="Code of a hybrid activation; deleted with it",
                )
            except ClientError as error:
                # Only we know the code, so a parameter of this name is our own write whose answer was lost.
                if code_of(error) != "ParameterAlreadyExists":
                    raise

    def delete(self, activation_id: str) -> None:
        """See `ports.Codes.delete`."""
        self._remembered.pop(activation_id, None)
        with translated("ssm:DeleteParameter"):
            try:
                self._client.delete_parameter(Name=self._name(activation_id))
            except ClientError as error:
                if code_of(error) != "ParameterNotFound":
                    raise

    def stored(self) -> Iterator[tuple[str, datetime]]:
        """See `ports.Codes.stored`. Reads names and dates alone, never a value."""
        below = [{"Key": "Path", "Option": "Recursive", "Values": [self._prefix]}]
        with translated("ssm:DescribeParameters"):
            pages = self._client.get_paginator("describe_parameters").paginate(
                ParameterFilters=below, PaginationConfig={"PageSize": 50}
            )
            for page in pages:
                for each in page["Parameters"]:
                    yield each["Name"].removeprefix(f"{self._prefix}/"), each["LastModifiedDate"].astimezone(UTC)

    def _name(self, activation_id: str) -> str:
        return f"{self._prefix}/{activation_id}"


class LambdaKeeper:
    """The `Keeper` port: an asynchronous invocation."""

    def __init__(self, *, client: Callable[[], Any], function: str, journal: Journal) -> None:
        self._client = client
        self._function = function
        self._journal = journal

    def wake(self, pool: str) -> None:
        """See `ports.Keeper.wake`."""
        try:
            with translated("lambda:Invoke"):
                payload = json.dumps({"pool": pool}).encode()
                self._client().invoke(FunctionName=self._function, InvocationType="Event", Payload=payload)
        except MooringsError as error:
            self._journal.record("keeper_not_woken", pool=pool, error=str(error))


class StoredConfigurations:
    """The `Configurations` port: the item `configuration` of the ledger's table, or the stack's default without one."""

    def __init__(self, *, client: Any, table: str, default: str, code_key: str, own_vpce: str, clock: Clock) -> None:
        self._client = client
        self._table = table
        self._default = default
        self._code_key = code_key
        self._own_vpce = own_vpce
        self._clock = clock
        self._held: Configuration | None = None
        self._held_since: datetime | None = None

    def current(self) -> Configuration:
        """See `ports.Configurations.current`."""
        now = self._clock.now()
        if self._held is None or self._held_since is None or now - self._held_since >= CONFIGURATION_AGE:
            return self.reload()
        return self._held

    def reload(self) -> Configuration:
        """See `ports.Configurations.reload`. A stored document that does not hold leaves the last good one in force."""
        text, version = self.document()
        if self._held is None or version != self._held.version or version == 0:
            try:
                self._held = self._of_this_stack(configuration.parse_json(text), version)
            except Misconfigured:
                if self._held is None:
                    raise
        self._held_since = self._clock.now()
        return self._held

    def _of_this_stack(self, document: Mapping[str, Any], version: int) -> Configuration:
        parsed = configuration.parse(document, version=version, own_vpce=self._own_vpce)
        pools = {name: replace(pool, code_key=self._code_key) for name, pool in parsed.pools.items()}
        return replace(parsed, pools=pools)

    def document(self) -> tuple[str, int]:
        """The stored document's JSON text and version; the stack's default with version 0 if there is none."""
        with translated("dynamodb:GetItem"):
            item = self._client.get_item(
                TableName=self._table, Key={"pk": items.text(items.CONFIGURATION_KEY)}, ConsistentRead=True
            ).get("Item")
        if not item:
            return self._default, 0
        return item["document"]["S"], int(item["version"]["N"])

    def apply(self, document: Mapping[str, Any], *, replacing: int) -> Configuration:
        """Check `document` and put it in force, if version `replacing` still is; nothing changes when it does not hold.

        Raises Misconfigured (the document does not hold) or Conflict (somebody else has applied another one).
        """
        checked = self._of_this_stack(document, replacing + 1)
        request: dict[str, Any] = {
            "TableName": self._table,
            "Item": {
                "pk": items.text(items.CONFIGURATION_KEY),
                "document": items.text(json.dumps(document, separators=(",", ":"), sort_keys=True)),
                "version": items.number(checked.version),
            },
            "ConditionExpression": "attribute_not_exists(pk)" if replacing == 0 else "#version = :version",
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        if replacing:
            request["ExpressionAttributeNames"] = {"#version": "version"}
            request["ExpressionAttributeValues"] = {":version": items.number(replacing)}
        with translated("dynamodb:PutItem"):
            try:
                self._client.put_item(**request)
            except ClientError as error:
                if code_of(error) != "ConditionalCheckFailedException":
                    raise
                if error.response.get("Item") == request["Item"]:
                    return checked  # our own write: only its answer was lost
                raise Conflict(
                    f"the configuration is no longer version {replacing}: somebody has applied another one",
                    remedy="look at it with `moorings enrolment pools show`, then apply yours again",
                ) from error
        return checked
