"""Operations that configure and run functions, now or on a schedule; the others of these services are moto's."""

import base64
import binascii
from collections.abc import Mapping
from typing import NoReturn

from localcloud.aws import event_bus
from localcloud.aws.call import Call, Operation
from localcloud.aws.functions import configuration
from localcloud.aws.functions.model import Invocation
from localcloud.aws.functions.service import Functions
from localcloud.aws.motobridge import pass_on
from localcloud.aws.schedules import Schedules, validate_expression, validate_target
from localcloud.errors import ServiceError
from localcloud.wire import Headers, Response
from localcloud.world import World


def operations(world: World) -> Mapping[tuple[str, str], Operation]:
    """Invoke with a refusal of its two relatives, configuration, and the checks of what becomes a rule."""

    def invoke(call: Call) -> Response:
        params = call.params
        answer = world.part(Functions).invoke(
            params["FunctionName"],
            bytes(params.get("Payload") or b""),
            kind=params.get("InvocationType") or "RequestResponse",
            qualifier=params.get("Qualifier"),
            client_context=_client_context(params.get("ClientContext") or ""),
            region=call.region,
        )
        return _rendered(answer, tail=params.get("LogType") == "Tail")

    def refuse(call: Call) -> NoReturn:
        message = f"the local cloud does not implement lambda:{call.operation}"
        raise ServiceError("NotImplementedByLocalCloud", message, status=501)

    return {
        **configuration.operations(world),
        **_schedules(world),
        ("lambda", "Invoke"): invoke,
        ("lambda", "InvokeAsync"): refuse,
        ("lambda", "InvokeWithResponseStream"): refuse,
    }


def _schedules(world: World) -> Mapping[tuple[str, str], Operation]:
    def put_rule(call: Call) -> Response:
        if call.params.get("ScheduleExpression"):
            validate_expression(call.params["ScheduleExpression"])
        if call.params.get("EventPattern"):
            event_bus.validate_pattern(call.params["EventPattern"])
        answer = pass_on(world, call)
        world.part(Schedules).notice()
        return answer

    def put_targets(call: Call) -> Response:
        check = validate_target if _is_scheduled(world, call) else event_bus.validate_target
        for target in call.params["Targets"]:
            check(target)
        return pass_on(world, call)

    return {("events", "PutRule"): put_rule, ("events", "PutTargets"): put_targets}


def _is_scheduled(world: World, call: Call) -> bool:
    bus = (call.params.get("EventBusName") or "default").split("/")[-1]
    with world.moto_lock:
        found = world.backend("events", call.region).event_buses.get(bus)
        rule = found.rules.get(call.params["Rule"]) if found else None
        return bool(rule and rule.scheduled_expression)


def _rendered(answer: Invocation, *, tail: bool) -> Response:
    headers = [
        ("Content-Type", "application/json"),
        ("x-amzn-RequestId", answer.request_id),
        ("X-Amz-Executed-Version", answer.executed_version),
    ]
    if answer.function_error:
        headers.append(("X-Amz-Function-Error", answer.function_error))
    if tail and answer.status == 200:
        headers.append(("X-Amz-Log-Result", base64.b64encode(answer.log_tail).decode()))
    return Response(status=answer.status, headers=Headers(tuple(headers)), body=answer.payload)


def _client_context(encoded: str) -> str:
    try:
        return base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise ServiceError(
            "InvalidRequestContentException", "Client context must be a valid Base64-encoded JSON"
        ) from error
