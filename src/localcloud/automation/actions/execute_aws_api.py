"""aws:executeAwsApi: one call of any API; `$` is the response as boto3 has it, ResponseMetadata included."""

from collections.abc import Mapping
from typing import Any

from localcloud.automation.actions.api import call_api, service_name
from localcloud.automation.actions.inputs import require, text
from localcloud.automation.actions.protocol import Finished, StepCall, Turn
from localcloud.automation.actions.single import SingleTurn

OWN_INPUTS = frozenset({"Service", "Api"})


class ExecuteAwsApi(SingleTurn):
    """Calls the API with all inputs but `Service` and `Api` as its arguments."""

    name = "aws:executeAwsApi"
    default_timeout = None

    def check(self, inputs: Mapping[str, Any]) -> None:
        """Service and Api are there, and boto3 knows the service."""
        require(inputs, "Service", "Api")
        service_name(text(inputs, "Service"))
        text(inputs, "Api")

    def begin(self, call: StepCall) -> Turn:
        """The call."""
        arguments = {name: value for name, value in call.inputs.items() if name not in OWN_INPUTS}
        response = call_api(
            call, service=text(call.inputs, "Service"), api=text(call.inputs, "Api"), arguments=arguments
        )
        return Finished(root=response)
