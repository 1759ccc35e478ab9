"""The six Automation operations: start, get, describe executions and their steps, stop, send a signal."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from localcloud.automation import errors
from localcloud.automation.engine import Engine
from localcloud.automation.ports import Starter, StartRequest, TargetRequest
from localcloud.automation.records import AutomationExecution, Mode
from localcloud.automation.refusals import InvalidParameters
from localcloud.automation.signals import Signal, SignalType, StopType
from localcloud.aws.call import Call
from localcloud.aws.ssm.automation import answers, filters
from localcloud.aws.ssm.automation.automations import Automations
from localcloud.aws.ssm.paging import page_of_ordered
from localcloud.aws.ssm.tags import require_tags
from localcloud.errors import LocalCloudError, ServiceError, Unsupported
from localcloud.principals import Kind
from localcloud.world import World

_INVALID = "InvalidAutomationExecutionParametersException"
_CODES: Mapping[type[LocalCloudError], str] = {
    errors.DocumentNotFound: "AutomationDefinitionNotFoundException",
    errors.DocumentVersionNotFound: "AutomationDefinitionVersionNotFoundException",
    errors.InvalidTargets: "InvalidTarget",
    errors.CannotAssumeRole: _INVALID,
    InvalidParameters: _INVALID,
    errors.LimitExceeded: "AutomationExecutionLimitExceededException",
    errors.TokenMismatch: "IdempotentParameterMismatch",
    errors.ExecutionNotFound: "AutomationExecutionNotFoundException",
    errors.StepNotFound: "AutomationStepNotFoundException",
    errors.CannotStop: "InvalidAutomationStatusUpdateException",
    errors.SignalRefused: "InvalidAutomationSignalException",
}
MAX_TAGS_AT_START = 5
PAGE = 50  # of both listings, if MaxResults does not say
SHOWN_STEPS = 100  # that GetAutomationExecution shows; then StepExecutionsTruncated is true
_UNSUPPORTED = ("TargetLocations", "TargetLocationsURL", "AlarmConfiguration")


class AutomationCalls:
    """The Automation operations of one world. The engines are made when first needed, and so closed before the rest."""

    def __init__(self, world: World) -> None:
        self._world = world

    def start(self, call: Call) -> Mapping[str, Any]:
        """StartAutomationExecution."""
        params = call.params
        for name in _UNSUPPORTED:
            if params.get(name):
                raise Unsupported(f"the local cloud does not have StartAutomationExecution's {name}")
        tags = require_tags(params.get("Tags", []), code="ValidationException")
        if len(tags) > MAX_TAGS_AT_START:
            raise ServiceError("ValidationException", f"At most {MAX_TAGS_AT_START} tags can be given at start.")
        request = StartRequest(
            document_name=params["DocumentName"],
            document_version=params.get("DocumentVersion", ""),
            parameters=params.get("Parameters", {}),
            mode=Mode(params.get("Mode", Mode.AUTO.value)),
            starter=Starter(arn=call.principal.arn, identity=call.principal),
            client_token=params.get("ClientToken", ""),
            tags=tags,
            rate=TargetRequest(
                parameter_name=params.get("TargetParameterName", ""),
                targets=tuple(params.get("Targets", ())),
                target_maps=tuple(params.get("TargetMaps", ())),
                max_concurrency=params.get("MaxConcurrency", ""),
                max_errors=params.get("MaxErrors", ""),
            ),
        )
        return {"AutomationExecutionId": _worded(lambda: self._engine(call).start(request))}

    def get(self, call: Call) -> Mapping[str, Any]:
        """GetAutomationExecution."""
        engine, wanted = self._engine(call), call.params["AutomationExecutionId"]
        shown = _worded(lambda: engine.get(wanted))
        return {"AutomationExecution": answers.execution(shown, engine.steps(wanted), limit=SHOWN_STEPS)}

    def describe(self, call: Call) -> Mapping[str, Any]:
        """DescribeAutomationExecutions: the newest first."""
        engine, asked = self._engine(call), call.params.get("Filters", [])
        keeps = filters.execution_filters(asked, tags=lambda one: self._world.part(Automations).tags(call.region, one))
        found, token = page_of_ordered(
            lambda after: (shown for shown in _candidates(engine, asked, after) if keeps(shown)),
            key=lambda shown: shown.id,
            size=call.params.get("MaxResults", PAGE),
            token=call.params.get("NextToken", ""),
            question=["DescribeAutomationExecutions", call.region, asked],
        )
        listed = [answers.metadata(shown) for shown in found]
        return {"AutomationExecutionMetadataList": listed} | ({"NextToken": token} if token else {})

    def describe_steps(self, call: Call) -> Mapping[str, Any]:
        """DescribeAutomationStepExecutions: in the document's order, or the other way round."""
        wanted, asked = call.params["AutomationExecutionId"], call.params.get("Filters", [])
        steps = _worded(lambda: self._engine(call).steps(wanted))
        backwards = bool(call.params.get("ReverseOrder"))
        ordered = list(reversed(steps)) if backwards else steps
        keeps = filters.step_filters(asked)
        found, token = page_of_ordered(
            lambda after: (one for one in _behind(ordered, after) if keeps(one)),
            key=lambda one: one.id,
            size=call.params.get("MaxResults", PAGE),
            token=call.params.get("NextToken", ""),
            question=["DescribeAutomationStepExecutions", call.region, wanted, asked, backwards],
        )
        return {"StepExecutions": [answers.step(one) for one in found]} | ({"NextToken": token} if token else {})

    def stop(self, call: Call) -> Mapping[str, Any]:
        """StopAutomationExecution."""
        kind = StopType(call.params.get("Type", StopType.CANCEL.value))
        _worded(lambda: self._engine(call).stop(call.params["AutomationExecutionId"], kind))
        return {}

    def signal(self, call: Call) -> Mapping[str, Any]:
        """SendAutomationSignal."""
        payload = call.params.get("Payload", {})
        signal = Signal(
            type=SignalType(call.params["SignalType"]),
            step_name=_first(payload, "StepName"),
            step_execution_id=_first(payload, "StepExecutionId"),
            comment=_first(payload, "Comment"),
            sender_arn=call.principal.arn,
            sender_may_all=call.principal.kind is Kind.ROOT,
        )
        _worded(lambda: self._engine(call).signal(call.params["AutomationExecutionId"], signal))
        return {}

    def _engine(self, call: Call) -> Engine:
        return self._world.part(Automations).engine(call.region)


def _worded(ask: Callable[[], Any]) -> Any:
    """What `ask` answers; the engine's refusals in the service's words."""
    try:
        return ask()
    except (errors.AutomationError, InvalidParameters) as error:
        raise ServiceError(_CODES[type(error)], str(error)) from error


def _candidates(engine: Engine, asked: list[Mapping[str, Any]], after: str) -> Iterator[AutomationExecution]:
    """Those among which to look: a filter by id or by parent spares the rest."""
    ids, parents = filters.values_of(asked, filters.EXECUTION_ID), filters.values_of(asked, filters.PARENT_ID)
    if ids:
        return iter(_behind([shown for one in ids if (shown := _known(engine, one)) is not None], after))
    if len(parents) == 1:
        return iter(_behind(list(engine.children(parents[0])), after))
    return engine.list(older_than=after)


def _known(engine: Engine, execution_id: str) -> AutomationExecution | None:
    try:
        return engine.get(execution_id)
    except errors.ExecutionNotFound:
        return None


def _behind(ordered: list[Any], after: str) -> Iterable[Any]:
    """What lies behind the item with that id."""
    if not after:
        return ordered
    place = next((number for number, one in enumerate(ordered) if one.id == after), len(ordered))
    return ordered[place + 1 :]


def _first(payload: Mapping[str, Any], name: str) -> str:
    given = payload.get(name) or [""]
    return str(given[0])
