"""Which functions are deployed: reads moto's Lambda backend and answers with values.

Names follow the API: a name, `name:qualifier`, a partial ARN (`123456789012:function:name`) or a full one. A call is
made in a Region (`region`) and finds that Region's functions alone; without one a full ARN says where, else the home
Region is meant.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from localcloud.aws.functions.model import LATEST, RUNTIME, Deployed
from localcloud.aws.iam.policy import Caller, Context, evaluate_resource_policy
from localcloud.errors import ServiceError, Unsupported
from localcloud.world import World

_NAME = re.compile(
    r"(?:(?:arn:aws[a-z-]*:lambda:(?P<region>[a-z0-9-]+):)?(?P<account>\d{12}):function:|function:)?"
    r"(?P<name>[a-zA-Z0-9-_]{1,64})(?::(?P<qualifier>\$LATEST|[a-zA-Z0-9-_]{1,128}))?"
)
_VERSION = "2012-10-17"  # of policy documents
_ELEMENTS = ("Effect", "Principal", "Action", "Resource", "Condition")


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRules:
    """How asynchronous events of a function are repeated (EventInvokeConfig)."""

    retries: int = 2
    maximum_age: timedelta = timedelta(hours=6)


class Catalogue:
    """Looks functions up. Threads may share it."""

    def __init__(self, world: World) -> None:
        self._world = world

    def find(self, name_or_arn: str, qualifier: str | None = None, *, region: str | None = None) -> Deployed:
        """The function as it is deployed now.

        Raises ServiceError ResourceNotFoundException for an unknown function, version or alias, and Unsupported for
        what the local cloud cannot run: other languages than Python, container images, weighted aliases.
        """
        place, name, wanted = self._split(name_or_arn, qualifier, region)
        with self._world.moto_lock:
            found = self._look_up(place, name, wanted)
            latest = self._versions(place, name)["latest"]
            return self._deployed(found, wanted, region=place, reserved=(latest or found).reserved_concurrency)

    def event_rules(self, name: str, *, region: str) -> EventRules:
        """The repetition rules of a function's events; Lambda's defaults if none are set."""
        with self._world.moto_lock:
            configs = self._look_up(region, name, None).event_invoke_config
            config: Mapping[str, Any] = configs[-1].config if configs else {}
        return EventRules(
            retries=int(config.get("MaximumRetryAttempts", 2)),
            maximum_age=timedelta(seconds=int(config.get("MaximumEventAgeInSeconds", 21600))),
        )

    def reserved_total(self, region: str) -> int:
        """Concurrency that all functions of the account have reserved in a Region."""
        with self._world.moto_lock:
            functions = list(self._backend(region).list_functions())
            return sum(int(one.reserved_concurrency or 0) for one in functions)

    def may_invoke(self, name_or_arn: str, service: str, source_arn: str, *, region: str | None = None) -> bool:
        """Does the function's resource policy (AddPermission) let `service` invoke it on behalf of `source_arn`?"""
        place, name, wanted = self._split(name_or_arn, None, region)
        with self._world.moto_lock:
            statements = [_statement(one) for one in self._look_up(place, name, wanted).policy.statements]
        context = Context(
            action="lambda:InvokeFunction",
            resource=self._arn(place, name, None if wanted == LATEST else wanted),
            caller=Caller(service=service),
            keys={"aws:SourceArn": source_arn, "aws:SourceAccount": self._world.account},
        )
        return (
            bool(statements)
            and evaluate_resource_policy({"Version": _VERSION, "Statement": statements}, context).allowed
        )

    def _split(self, name_or_arn: str, qualifier: str | None, region: str | None) -> tuple[str, str, str | None]:
        """Region, name and qualifier of what is meant."""
        match = _NAME.fullmatch(name_or_arn)
        if match is None:
            raise ServiceError("ValidationException", f"'{name_or_arn}' is not the name or ARN of a function")
        named = match["qualifier"]
        if named and qualifier and named != qualifier:
            raise ServiceError(
                "InvalidParameterValueException",
                "The derived qualifier from the function name does not match the specified qualifier.",
            )
        place = match["region"] or region or self._world.region
        if region and place != region:
            message = f"Functions from '{place}' are not reachable in this region ('{region}')"
            raise ServiceError("ResourceNotFoundException", message, status=404, fields={"Type": "User"})
        if match["account"] not in {None, self._world.account}:
            raise _not_found(name_or_arn)
        return place, match["name"], qualifier or named

    def _backend(self, region: str) -> Any:
        return self._world.backend("lambda", region)

    def _versions(self, region: str, name: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] | None = self._backend(region)._lambdas._functions.get(name)
        if found is None:
            raise _not_found(self._arn(region, name, None))
        return found

    def _look_up(self, region: str, name: str, qualifier: str | None) -> Any:
        versions = self._versions(region, name)
        if qualifier not in {None, LATEST}:
            alias = self._backend(region)._lambdas._aliases[self._arn(region, name, None)].get(qualifier)
            if alias is not None:
                if (alias.routing_config or {}).get("AdditionalVersionWeights"):
                    raise Unsupported(f"alias {qualifier} of function {name}: weights between versions")
                qualifier = alias.function_version
        if qualifier in {None, LATEST}:
            found = versions["latest"]
        else:
            found = next((one for one in versions["versions"] if str(one.version) == qualifier), None)
        if found is None:
            raise _not_found(self._arn(region, name, qualifier))
        return found

    def _arn(self, region: str, name: str, qualifier: str | None) -> str:
        suffix = f":{qualifier}" if qualifier else ""
        return f"arn:aws:lambda:{region}:{self._world.account}:function:{name}{suffix}"

    def _deployed(self, found: Any, qualifier: str | None, *, region: str, reserved: int | str | None) -> Deployed:
        if found.package_type != "Zip":
            raise Unsupported(f"function {found.function_name}: package type {found.package_type}; only Zip runs here")
        if not RUNTIME.fullmatch(found.run_time or ""):
            raise Unsupported(f"function {found.function_name}: runtime {found.run_time}; only python3.x runs here")
        # moto drops LoggingConfig; the operations that put it hang it on the function.
        logging = getattr(found, "logging_config", None) or {}
        layers = tuple(layer["Arn"] for layer in found.layers)
        return Deployed(
            name=found.function_name,
            version=str(found.version),
            region=region,
            arn=self._arn(region, found.function_name, qualifier),
            handler=found.handler,
            runtime=found.run_time,
            role_arn=found.role,
            timeout=timedelta(seconds=int(found.timeout)),
            memory_mb=int(found.memory_size),
            variables={str(key): str(value) for key, value in (found.environment_vars or {}).items()},
            layers=layers,
            layer_packages=tuple(self._backend(region).layers_versions_by_arn(arn).code_bytes for arn in layers),
            package=found.code_bytes,
            code_sha256=found.code_sha_256,
            log_group=logging.get("LogGroup") or f"/aws/lambda/{found.function_name}",
            log_format=logging.get("LogFormat", "Text"),
            log_level=logging.get("ApplicationLogLevel", ""),
            reserved_concurrency=None if reserved is None else int(reserved),
        )


def _not_found(arn: str) -> ServiceError:
    return ServiceError("ResourceNotFoundException", f"Function not found: {arn}", status=404, fields={"Type": "User"})


def _statement(kept: Mapping[str, Any]) -> dict[str, Any]:
    """A permission without what moto adds (the template's own properties) and with its principal in full."""
    statement = {element: kept[element] for element in _ELEMENTS if element in kept}
    principal = statement.get("Principal")
    if isinstance(principal, str) and principal != "*":
        statement["Principal"] = {"AWS": principal}
    return statement
