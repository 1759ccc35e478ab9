"""Which operating systems a machine can show: what it says about itself and with what it installs packages."""

from dataclasses import dataclass
from typing import Literal

Family = Literal["debian", "rpm", "suse", "windows"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """One operating system. Only its words and package tools differ; programs are the host's."""

    name: str
    family: Family
    id: str
    id_like: str
    label: str  # NAME
    version: str  # VERSION_ID
    package_tools: tuple[str, ...]

    @property
    def real_packages(self) -> bool:
        """Whether packages are installed by the real dpkg, not by a simulated tool."""
        return self.family == "debian"

    @property
    def replayed(self) -> bool:
        """Whether machines of it are replayed in the cloud's process, because their programs cannot run here."""
        return self.family == "windows"

    def os_release(self) -> str:
        """The text of /etc/os-release."""
        lines = {"NAME": self.label, "ID": self.id, "ID_LIKE": self.id_like, "VERSION_ID": self.version}
        lines["PRETTY_NAME"] = f"{self.label} {self.version}"
        return "".join(f'{name}="{value}"\n' for name, value in lines.items() if value)


# Every package tool that any image has: what is not an image's own is hidden in it.
REAL_TOOLS = ("dpkg", "dpkg-deb", "dpkg-query", "dpkg-split", "apt", "apt-get", "apt-cache", "apt-key", "apt-mark")
SIMULATED_TOOLS = ("rpm", "rpmkeys", "dnf", "yum", "zypper")

_APT = REAL_TOOLS
_DNF = ("rpm", "rpmkeys", "dnf", "yum")
_ZYPPER = ("rpm", "rpmkeys", "zypper")


def _image(
    name: str, family: Family, label: str, *, like: str = "", version: str = "", tools: tuple[str, ...]
) -> Image:
    system, _, number = name.rpartition("-")
    version = version or number
    identifier = {"amazon-linux": "amzn"}.get(system, system)
    return Image(
        name=name, family=family, id=identifier, id_like=like, label=label, version=version, package_tools=tools
    )


IMAGES = {
    image.name: image
    for image in (
        _image("debian-12", "debian", "Debian GNU/Linux", tools=_APT),
        _image("debian-13", "debian", "Debian GNU/Linux", tools=_APT),
        _image("ubuntu-22.04", "debian", "Ubuntu", like="debian", tools=_APT),
        _image("ubuntu-24.04", "debian", "Ubuntu", like="debian", tools=_APT),
        _image("amazon-linux-2023", "rpm", "Amazon Linux", like="fedora", tools=_DNF),
        _image("rhel-9", "rpm", "Red Hat Enterprise Linux", like="fedora", tools=_DNF),
        _image("rocky-9", "rpm", "Rocky Linux", like="rhel centos fedora", tools=_DNF),
        _image("sles-15", "suse", "SLES", like="suse", tools=_ZYPPER),
        _image("windows-2019", "windows", "Microsoft Windows Server 2019 Datacenter", version="10.0.17763", tools=()),
        _image("windows-2022", "windows", "Microsoft Windows Server 2022 Datacenter", version="10.0.20348", tools=()),
        _image("windows-2025", "windows", "Microsoft Windows Server 2025 Datacenter", version="10.0.26100", tools=()),
    )
}
