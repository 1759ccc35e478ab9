"""One call of any AWS API, as runbooks name it: service and operation in any casing, arguments as boto3 has them.

Used by executeAwsApi, the two property actions, createTags and runCommand. Response keys are boto3's, and so is
ResponseMetadata; what JSON cannot hold (times, bytes) is text, as `choices` says.
"""

import base64
import time
from collections.abc import Mapping
from datetime import datetime
from functools import cache, lru_cache
from typing import Any

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    ParamValidationError,
    ReadTimeoutError,
)
from botocore.loaders import Loader
from botocore.model import ServiceModel

from localcloud.automation.actions.clients import CALL_LIMIT
from localcloud.automation.actions.protocol import ActionFailed, FailureType, StepCall
from localcloud.automation.actions.wording import executing, invalid_input

_THROTTLED = frozenset(
    {
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "RequestThrottled",
        "RequestThrottledException",
        "RequestLimitExceeded",
        "TooManyRequestsException",
        "ProvisionedThroughputExceededException",
        "BandwidthLimitExceeded",
        "SlowDown",
        "PriorRequestNotComplete",
        "TransactionInProgressException",
        "EC2ThrottledException",
        "RateExceeded",
    }
)
_DENIED = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "UnauthorizedOperation",
        "UnauthorizedException",
        "AuthorizationError",
        "NotAuthorized",
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidClientTokenId",
        "UnrecognizedClientException",
    }
)


def call_api(call: StepCall, *, service: str, api: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Make the call as the execution's role; the response as JSON values. Raises ActionFailed, worded as the service's.

    One request: nothing is repeated, and further pages are not fetched.
    """
    client = call.surroundings.client(service_name(service))
    method = _method(client, service=service, api=api)
    began = time.monotonic()
    try:
        response = getattr(client, method)(**arguments)
    except (ReadTimeoutError, ConnectTimeoutError) as error:
        raise ActionFailed(executing(str(error)), timed_out=isinstance(error, ReadTimeoutError)) from error
    except ParamValidationError as error:
        raise invalid_input(str(error)) from error
    except ClientError as error:
        raise ActionFailed(executing(str(error)), kind=kind_of(error)) from error
    except (BotoCoreError, TypeError) as error:  # TypeError: an argument's name is no text
        raise ActionFailed(executing(str(error))) from error
    if time.monotonic() - began > CALL_LIMIT:
        raise ActionFailed(executing(f"{service}:{api} took longer than {CALL_LIMIT} seconds"), timed_out=True)
    return dict(as_json(response))


def kind_of(error: ClientError) -> FailureType:
    """What an API's error code says about a failure."""
    code = str(error.response.get("Error", {}).get("Code", ""))
    if code in _THROTTLED:
        return FailureType.THROTTLING
    return FailureType.PERMISSION if code in _DENIED else FailureType.ACTION


def service_name(written: str) -> str:
    """boto3's name of a service that a runbook writes as `EC2`, `SecretsManager` or `resource-groups`."""
    name = _services().get(_squeezed(written))
    if name is None:
        raise invalid_input(f"{written} is not a service that can be called")
    return name


def why_not_callable(service: str, api: str) -> str:
    """What is wrong with the names of a call, or with the kind of it; "" if a step can make it."""
    name = _services().get(_squeezed(service))
    if name is None:
        return f"{service} is not a service that can be called"
    model = _model(name)
    for operation in model.operation_names:
        if _squeezed(operation) == _squeezed(api):
            streams = _streams(model.operation_model(operation))
            return _streaming(service, operation) if streams else ""
    return f"{service} has no API {api}"


def as_json(value: Any) -> Any:
    """A response as JSON values: times in ISO 8601, bytes in base64."""
    if isinstance(value, Mapping):
        return {str(name): as_json(each) for name, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [as_json(each) for each in value]
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bytes | bytearray):
        return base64.b64encode(value).decode()
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)


def _method(client: Any, *, service: str, api: str) -> str:
    names: Mapping[str, str] = client.meta.method_to_api_mapping
    wanted = _squeezed(api)
    for method, operation in names.items():
        if _squeezed(operation) == wanted:
            if _streams(client.meta.service_model.operation_model(operation)):
                raise invalid_input(_streaming(service, operation))
            return method
    raise invalid_input(f"{service} has no API {api}")


def _streams(operation: Any) -> bool:
    names = ("has_streaming_input", "has_streaming_output", "has_event_stream_input", "has_event_stream_output")
    return any(getattr(operation, name) for name in names)


def _streaming(service: str, operation: str) -> str:
    return f"{service}:{operation} is a streaming operation, which is not supported"


@lru_cache(maxsize=32)
def _model(service: str) -> ServiceModel:
    return ServiceModel(Loader().load_service_model(service, "service-2"), service_name=service)


@cache
def _services() -> dict[str, str]:
    return {_squeezed(name): name for name in Loader().list_available_services("service-2")}


def _squeezed(name: str) -> str:
    return "".join(char for char in name if char.isalnum()).lower()
