"""Rights of API Gateway's management calls: the HTTP method is the action, the path the resource.

Source: Service Authorization Reference, "Amazon API Gateway Management"; API Gateway Developer Guide, "Controlling
access to API Gateway management" (UpdateRestApiPolicy beside the method for whoever sets an API's resource policy; PUT
on `/tags/…` for whoever makes something with tags; PassRole for the account's logging role).
"""

from collections.abc import Mapping, Sequence
from urllib.parse import quote

from localcloud.aws.call import Call
from localcloud.aws.iam.rights.model import Directory, Entry, Right, partition

_OPERATIONS = (
    "CreateDeployment", "CreateResource", "CreateRestApi", "CreateStage", "DeleteDeployment", "DeleteGatewayResponse",
    "DeleteMethod", "DeleteResource", "DeleteRestApi", "DeleteStage", "GetAccount", "GetDeployment", "GetDeployments",
    "GetGatewayResponse", "GetGatewayResponses", "GetIntegration", "GetMethod", "GetResource", "GetResources",
    "GetRestApi", "GetRestApis", "GetStage", "GetStages", "GetTags", "PutGatewayResponse", "PutIntegration",
    "PutMethod", "TagResource", "UntagResource", "UpdateAccount", "UpdateDeployment", "UpdateMethod", "UpdateResource",
    "UpdateRestApi", "UpdateStage",
)  # fmt: skip
_METHODS = ("DELETE", "GET", "PATCH", "POST", "PUT")
_POLICY = "apigateway:UpdateRestApiPolicy"


def api_arn(region: str, path: str) -> str:
    """The ARN of something in API Gateway by its path; the account is no part of it."""
    return f"arn:{partition(region)}:apigateway:{region}::{path}"


def tags_arn(region: str, path: str) -> str:
    """The ARN of the tags of what lies at `path`."""
    return api_arn(region, f"/tags/{quote(api_arn(region, path), safe='')}")


def _rights(call: Call, directory: Directory) -> Sequence[Right]:
    path = call.request.path.rstrip("/")
    needed = [Right(action=f"apigateway:{call.request.method}", resource=api_arn(call.region, path))]
    patches = {str(each.get("path")): str(each.get("value", "")) for each in call.params.get("patchOperations", ())}
    if "policy" in call.params or "/policy" in patches:
        needed.append(Right(action=_POLICY, resource=api_arn(call.region, path)))
    if call.params.get("tags") and call.operation.startswith("Create"):
        made = f"{path}/{call.params['stageName']}" if "stageName" in call.params else path
        needed.append(Right(action="apigateway:PUT", resource=tags_arn(call.region, made)))
    if role := patches.get("/cloudwatchRoleArn"):
        keys = {"iam:PassedToService": "apigateway.amazonaws.com"}
        needed.append(Right(action="iam:PassRole", resource=directory.role_arn(role) or role, keys=keys))
    return needed


_ENTRY = Entry(actions=(*(f"apigateway:{method}" for method in _METHODS), _POLICY, "iam:PassRole"), rights=_rights)

ENTRIES: Mapping[tuple[str, str], Entry] = {("apigateway", operation): _ENTRY for operation in _OPERATIONS}
