"""GetServiceSetting, UpdateServiceSetting, ResetServiceSetting for the managed-node tier."""

from collections.abc import Mapping
from typing import Any

from localcloud.aws.call import Call
from localcloud.aws.ssm import choices
from localcloud.aws.ssm.nodes import ManagedNodes
from localcloud.aws.ssm.settings import ACTIVATION_TIER, STANDARD, ServiceSettings, Setting
from localcloud.errors import ServiceError, Unsupported
from localcloud.world import World

# Settings that the service has and this cloud has not: refused by name instead of as unknown.
_KNOWN_PREFIXES = ("/ssm/", "/automation/")


class SettingCalls:
    """The service settings of one world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._settings = world.part(ServiceSettings)
        self._nodes = world.part(ManagedNodes)

    def get(self, call: Call) -> Mapping[str, Any]:
        """GetServiceSetting."""
        _require_tier(call)
        return {"ServiceSetting": self._shown(self._settings.tier(call.region), call)}

    def update(self, call: Call) -> Mapping[str, Any]:
        """UpdateServiceSetting; back to `standard` only while its limit of nodes holds."""
        _require_tier(call)
        value = call.params["SettingValue"]
        if value == STANDARD:
            self._require_standard_fits(call.region)
        self._settings.set_tier(call.region, value, by=call.principal.arn)
        return {}

    def reset(self, call: Call) -> Mapping[str, Any]:
        """ResetServiceSetting: answers the setting as it is then."""
        _require_tier(call)
        self._require_standard_fits(call.region)
        return {"ServiceSetting": self._shown(self._settings.reset_tier(call.region), call)}

    def _require_standard_fits(self, region: str) -> None:
        count = self._nodes.count(region)
        if count > choices.STANDARD_TIER_NODES:
            raise ServiceError(
                "ValidationException",
                f"{count} hybrid nodes are registered; the standard tier allows {choices.STANDARD_TIER_NODES}.",
            )

    def _shown(self, setting: Setting, call: Call) -> dict[str, Any]:
        return {
            "SettingId": ACTIVATION_TIER,
            "SettingValue": setting.value,
            "LastModifiedUser": setting.changed_by or "System",
            "ARN": f"arn:aws:ssm:{call.region}:{call.account}:servicesetting{ACTIVATION_TIER}",
            "Status": "Customized" if setting.changed_at else "Default",
            **({"LastModifiedDate": setting.changed_at} if setting.changed_at else {}),
        }


def _require_tier(call: Call) -> None:
    setting: str = call.params["SettingId"]
    arn = f"arn:aws:ssm:{call.region}:{call.account}:servicesetting"
    name = setting.removeprefix(arn)
    if name == ACTIVATION_TIER:
        return
    if name.startswith(_KNOWN_PREFIXES):
        raise Unsupported(f"the local cloud does not have the service setting {name}")
    raise ServiceError("ServiceSettingNotFound", f"Service setting {setting} was not found.")
