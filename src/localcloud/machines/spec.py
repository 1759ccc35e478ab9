"""What a machine is, before it exists."""

import platform
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from localcloud.machines.images import IMAGES, Image
from localcloud.machines.recorded import Recorded
from localcloud.machines.updates import Update

Cloud = Literal["azure", "gcp", "on-prem"]
Arch = Literal["amd64", "arm64"]

# uname -m of each architecture, and back.
MACHINES: dict[Arch, str] = {"amd64": "x86_64", "arm64": "aarch64"}
HOST_ARCH: Arch = "arm64" if platform.machine() == "aarch64" else "amd64"

# How a machine looks to whoever asks its firmware: the files below /sys/class/dmi/id.
FIRMWARE: dict[Cloud, tuple[tuple[str, str], ...]] = {
    "azure": (
        ("sys_vendor", "Microsoft Corporation"),
        ("product_name", "Virtual Machine"),
        ("chassis_asset_tag", "7783-7084-3265-9085-8269-3286-77"),
    ),
    "gcp": (("sys_vendor", "Google"), ("product_name", "Google Compute Engine"), ("chassis_asset_tag", "")),
    "on-prem": (("sys_vendor", "Local cloud"), ("product_name", "Server"), ("chassis_asset_tag", "")),
}

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineSpec:
    """One server to be made.

    `vm_name` is what its cloud calls it (its host name if empty), `ip` its address in the VPC (one is chosen if empty).
    `vpce_id` is the VPC endpoint through which it reaches private APIs; without one it comes from the internet.
    `user_data` is a script with its `#!` line, run as root once, at the first boot. `snap_agent`: the agent is there
    already, as a snap. `image_disk`: another machine's disk to start from, as a golden image. `updates`: what it lacks.
    `replay`: what a Windows machine, whose programs cannot run here, answers to scripts.
    """

    name: str
    os: str = "debian-12"
    cloud: Cloud = "on-prem"
    vm_name: str = ""
    arch: Arch = HOST_ARCH
    ip: str = ""
    vpce_id: str = ""
    user_data: str = field(default="", repr=False)
    snap_agent: bool = False
    image_disk: Path | None = None
    updates: tuple[Update, ...] = ()
    replay: tuple[Recorded, ...] = ()

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"{self.name!r} is no host name: small letters, digits and hyphens, at most 63")
        if self.os not in IMAGES:
            raise ValueError(f"there is no image {self.os!r}; there are: {', '.join(IMAGES)}")
        if self.cloud not in FIRMWARE:
            raise ValueError(f"there is no cloud {self.cloud!r}; there are: {', '.join(FIRMWARE)}")
        if self.arch not in MACHINES:
            raise ValueError(f"there is no architecture {self.arch!r}; there are: {', '.join(MACHINES)}")
        if self.replay and not self.image.replayed:
            raise ValueError(f"{self.os} runs its scripts; only Windows machines replay what was recorded")
        if self.image.replayed and (self.user_data or self.snap_agent):
            raise ValueError("a Windows machine is replayed: it has neither user data nor snaps")
        if self.user_data and not self.user_data.startswith("#!"):
            raise ValueError("user data must begin with #! and its interpreter")

    @property
    def image(self) -> Image:
        """The operating system that `os` names."""
        return IMAGES[self.os]
