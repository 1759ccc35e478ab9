"""PutParameter and GetParameter are moto's; what the service refuses and moto takes is refused here first.

Sources: PutParameter's model (HierarchyTypeMismatchException); Systems Manager User Guide, "Working with parameters",
"Managing parameter tiers".
"""

import re
from collections.abc import Mapping
from typing import Any

from localcloud.aws import motobridge
from localcloud.aws.call import Call
from localcloud.aws.iam.directory import WorldDirectory, stored_name
from localcloud.errors import ServiceError
from localcloud.wire import Response
from localcloud.world import World

STANDARD_VALUE = 4096  # characters of a standard parameter's value
ADVANCED_VALUE = 8192
DEEPEST = 15  # levels of a hierarchy

_NAME = re.compile(r"/?[A-Za-z0-9._-]+(?:/[A-Za-z0-9._-]+)*")
_SECURE = "SecureString"
# State of a key → how KMS words it, and its error code.
_OUT_OF_USE = {
    "Disabled": ("disabled", "DisabledException"),
    "PendingDeletion": ("pending deletion", "KMSInvalidStateException"),
    "PendingImport": ("pending import", "KMSInvalidStateException"),
}


class ParameterCalls:
    """What the local cloud adds to moto's Parameter Store."""

    def __init__(self, world: World) -> None:
        self._world = world

    def put(self, call: Call) -> Response:
        """PutParameter."""
        _check_name(call.params["Name"])
        _check_size(call.params)
        # Nobody may change the parameter between the look and moto's own step.
        with self._world.moto_lock:
            self._check_type(call)
            self._check_key(call)
            return motobridge.pass_on(self._world, call)

    def get(self, call: Call) -> Response:
        """GetParameter: what was encrypted under a key that is out of use cannot be read."""
        if call.params.get("WithDecryption"):
            with self._world.moto_lock:
                name = stored_name(call.params["Name"])
                versions = self._world.backend("ssm", call.region)._parameters.get(name)
                if versions and versions[-1].parameter_type == _SECURE:
                    self._check_state(call, str(versions[-1].keyid))
        return motobridge.pass_on(self._world, call)

    def _check_type(self, call: Call) -> None:
        versions = self._world.backend("ssm", call.region)._parameters.get(stored_name(call.params["Name"]))
        wanted = call.params.get("Type")
        if versions and wanted and call.params.get("Overwrite") and versions[-1].parameter_type != wanted:
            raise ServiceError(
                "HierarchyTypeMismatchException",
                f"Parameter Store doesn't support changing a parameter type: {call.params['Name']} is a "
                f"{versions[-1].parameter_type}. You must create a new, unique parameter.",
            )

    def _check_key(self, call: Call) -> None:
        key = call.params.get("KeyId")
        if not key:
            return
        if call.params.get("Type", _SECURE) != _SECURE:
            raise ServiceError("ValidationException", "KeyId is required for SecureString type parameter only.")
        if WorldDirectory(self._world, call.region).key_arn(key) is None:
            raise ServiceError("InvalidKeyId", f"Invalid keyId {key}")
        self._check_state(call, key)

    def _check_state(self, call: Call, key: str) -> None:
        arn = WorldDirectory(self._world, call.region).key_arn(key)
        found = self._world.backend("kms", call.region).keys.get(str(arn).rpartition("/")[2]) if arn else None
        state = found.key_state if found else "Enabled"
        if state != "Enabled":
            told, code = _OUT_OF_USE[state]
            raise ServiceError(
                "InvalidKeyId",
                f"{arn} is {told}. (Service: AWSKMS; Status Code: 400; Error Code: {code}; Request ID: {call.id})",
            )


def _check_name(name: str) -> None:
    path = name.rpartition(":parameter")[2]
    if not _NAME.fullmatch(path):
        raise ServiceError(
            "ValidationException",
            'Parameter name: can\'t be prefixed with "ssm" (case-insensitive). If formed as a path, it can consist of '
            "sub-paths divided by slash symbol; each sub-path can be formed as a mix of letters, numbers and the "
            "following 3 symbols .-_",
        )
    if path.strip("/").count("/") >= DEEPEST:
        raise ServiceError(
            "HierarchyLevelLimitExceededException", f"A hierarchy can have a maximum of {DEEPEST} levels."
        )


def _check_size(params: Mapping[str, Any]) -> None:
    tier = params.get("Tier", "Standard")
    limit = STANDARD_VALUE if tier == "Standard" else ADVANCED_VALUE
    if len(params["Value"]) > limit:
        raise ServiceError(
            "ValidationException",
            f"{'Standard' if limit == STANDARD_VALUE else 'Advanced'} tier parameters support a maximum parameter "
            f"value of {limit} characters.",
        )
