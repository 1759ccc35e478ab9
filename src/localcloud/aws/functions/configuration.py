"""The configuration of functions: moto keeps it; this refuses what nobody would carry out and keeps what moto drops."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from localcloud.aws.call import Call, Operation
from localcloud.aws.functions.model import RUNTIME, UNTRUSTED
from localcloud.aws.functions.service import Functions
from localcloud.aws.iam.trust import LAMBDA, may_assume
from localcloud.aws.motobridge import pass_on
from localcloud.errors import ServiceError, Unsupported
from localcloud.wire import Headers, Response
from localcloud.world import World

UNRESERVED_MINIMUM = 100  # concurrency that Lambda keeps for functions without a reservation

VARIABLES_LIMIT = 4096  # bytes of a function's environment as JSON
RESERVED_VARIABLES = frozenset(
    {
        "_HANDLER",
        "_X_AMZN_TRACE_ID",
        "AWS_DEFAULT_REGION",
        "AWS_REGION",
        "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        "AWS_LAMBDA_FUNCTION_VERSION",
        "AWS_LAMBDA_INITIALIZATION_TYPE",
        "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "AWS_ACCESS_KEY",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_LAMBDA_RUNTIME_API",
        "LAMBDA_TASK_ROOT",
        "LAMBDA_RUNTIME_DIR",
    }
)

_CARRIED_OUT = {
    "FunctionName",
    "Runtime",
    "Role",
    "Handler",
    "Code",
    "Description",
    "Timeout",
    "MemorySize",
    "Publish",
    "PackageType",
    "Environment",
    "Tags",
    "Layers",
    "Architectures",
    "LoggingConfig",
    "EphemeralStorage",  # accepted; the host's disk is the limit
    "TracingConfig",  # accepted; nothing collects traces
    "KMSKeyArn",  # accepted; the variables lie in memory only
    "RevisionId",
}
_DROPPED_BY_MOTO = {"LoggingConfig": "logging_config", "TracingConfig": "tracing_config", "KMSKeyArn": "kms_key_arn"}


def operations(world: World) -> Mapping[tuple[str, str], Operation]:
    """Operations that put or show the configuration of functions."""

    def checked(call: Call) -> Response:
        _refuse_what_nobody_does(call.params)
        _check_variables((call.params.get("Environment") or {}).get("Variables") or {})
        if role := call.params.get("Role"):
            _check_role(world, role, function=_name_in(call.params["FunctionName"]), region=call.region)
        return completed(call)

    def completed(call: Call) -> Response:
        answer = pass_on(world, call)
        if answer.status < 300 and not call.params.get("DryRun"):
            _keep(world, call)
        return _amended(world, answer, call.region)

    def shown(call: Call) -> Response:
        return _amended(world, pass_on(world, call), call.region)

    def delete(call: Call) -> Response:
        answer = pass_on(world, call)
        world.part(Functions).retire(_name_in(call.params["FunctionName"]), region=call.region)
        return answer

    return {
        ("lambda", "CreateFunction"): checked,
        ("lambda", "UpdateFunctionConfiguration"): checked,
        ("lambda", "UpdateFunctionCode"): completed,
        ("lambda", "GetFunction"): shown,
        ("lambda", "GetFunctionConfiguration"): shown,
        ("lambda", "ListFunctions"): shown,
        ("lambda", "DeleteFunction"): delete,
        ("lambda", "PutFunctionConcurrency"): _put_concurrency(world),
        ("lambda", "PutFunctionEventInvokeConfig"): _put_event_rules(world, replace=True),
        ("lambda", "UpdateFunctionEventInvokeConfig"): _put_event_rules(world, replace=False),
    }


def _refuse_what_nobody_does(params: Mapping[str, Any]) -> None:
    name = params["FunctionName"]
    for member, value in params.items():
        if member not in _CARRIED_OUT and value not in ({}, [], "", None, {"ApplyOn": "None"}):
            raise Unsupported(f"function {name}: {member}")
    if params.get("PackageType", "Zip") != "Zip":
        raise Unsupported(f"function {name}: package type {params['PackageType']}; only Zip runs here")
    if "Runtime" in params and not RUNTIME.fullmatch(params["Runtime"]):
        raise Unsupported(f"function {name}: runtime {params['Runtime']}; only python3.x runs here")
    level = (params.get("LoggingConfig") or {}).get("SystemLogLevel", "INFO")
    if level != "INFO":
        raise Unsupported(f"function {name}: SystemLogLevel {level}")


def _check_variables(variables: Mapping[str, str]) -> None:
    """Lambda's own rules for a function's environment."""
    trouble = ""
    if reserved := sorted(RESERVED_VARIABLES & variables.keys()):
        trouble = (
            "contains reserved keys that are currently not supported for modification. "
            f"Reserved keys used in this request: {', '.join(reserved)}"
        )
    elif len(json.dumps(variables, separators=(",", ":"), ensure_ascii=False).encode()) > VARIABLES_LIMIT:
        trouble = "exceeded the 4KB limit"
    if trouble:
        message = (
            "Lambda was unable to configure your environment variables because the environment variables "
            f"you have provided {trouble}"
        )
        raise ServiceError("InvalidParameterValueException", message, fields={"Type": "User"})


def _check_role(world: World, role: str, *, function: str, region: str) -> None:
    """Lambda must be able to take on a function's role, in the function's name."""
    arn = f"arn:aws:lambda:{region}:{world.account}:function:{function}"
    if not may_assume(world, role, LAMBDA, source_arn=arn):
        raise ServiceError("InvalidParameterValueException", UNTRUSTED, fields={"Type": "User"})


def _name_in(name_or_arn: str) -> str:
    return name_or_arn.rpartition(":function:")[2].partition(":")[0]


def _keep(world: World, call: Call) -> None:
    params = call.params
    with world.moto_lock:
        function = world.backend("lambda", call.region).get_function(params["FunctionName"])
        for member, attribute in _DROPPED_BY_MOTO.items():
            if member in params:
                setattr(function, attribute, params[member])
        if "EphemeralStorage" in params:
            function.ephemeral_storage = params["EphemeralStorage"]["Size"]
        if "Architectures" in params:
            function.architectures = params["Architectures"]


def _amended(world: World, answer: Response, region: str) -> Response:
    """moto's answer with the members that moto forgets."""
    if answer.status >= 300:
        return answer
    document = json.loads(answer.body)
    shown = document["Functions"] if "Functions" in document else [document.get("Configuration", document)]
    with world.moto_lock:
        for one in shown:
            function = world.backend("lambda", region).get_function(one["FunctionName"])
            logging = dict(getattr(function, "logging_config", None) or {})
            one["LoggingConfig"] = {"LogFormat": "Text", "LogGroup": f"/aws/lambda/{one['FunctionName']}", **logging}
    headers = tuple(pair for pair in answer.headers.items if pair[0].lower() != "content-length")
    return Response(status=answer.status, headers=Headers(headers), body=json.dumps(document).encode())


def _put_concurrency(world: World) -> Operation:
    def put(call: Call) -> Response:
        account = world.part(Functions).limits.account_concurrency
        name = call.params["FunctionName"]
        with world.moto_lock:
            others = sum(
                int(one.reserved_concurrency or 0)
                for one in world.backend("lambda", call.region).list_functions()
                if name not in {one.function_name, one.function_arn}
            )
        if account - others - call.params["ReservedConcurrentExecutions"] < UNRESERVED_MINIMUM:
            message = (
                "Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution "
                f"below its minimum value of [{UNRESERVED_MINIMUM}]."
            )
            raise ServiceError("InvalidParameterValueException", message, fields={"Type": "User"})
        return pass_on(world, call)

    return put


def _put_event_rules(world: World, *, replace: bool) -> Callable[[Call], Response]:
    def put(call: Call) -> Response:
        targets = call.params.get("DestinationConfig") or {}
        if any((targets.get(side) or {}).get("Destination") for side in ("OnSuccess", "OnFailure")):
            raise Unsupported(
                f"function {call.params['FunctionName']}: destinations of asynchronous events are not served"
            )
        with world.moto_lock:
            function = world.backend("lambda", call.region).get_function(call.params["FunctionName"])
            before = dict(function.event_invoke_config[-1].config) if function.event_invoke_config else {}
            answer = pass_on(world, call)
            # moto keeps every configuration that was ever put, and shows the first.
            del function.event_invoke_config[:-1]
            if not replace:
                config = function.event_invoke_config[-1]
                config.config = {**before, **config.config}
        return answer

    return put
