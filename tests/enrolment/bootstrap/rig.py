"""A server that the Linux script runs on: a root directory of its own, with only the commands that such a server has.

The script runs under real bash in a mount namespace and a chroot. /usr/bin holds only recorded commands: most are
the host's own (curl, gpgv, coreutils), the package managers, systemctl and the agent are imitations. So nothing that is
not listed here can be needed, and nothing of the host is touched. A run can be killed (-9, with all that it started)
before its n-th command.
"""

import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

COREUTILS = (
    "base64",
    "cat",
    "chmod",
    "date",
    "install",
    "mkdir",
    "mktemp",
    "mv",
    "od",
    "rm",
    "sha256sum",
    "sleep",
    "uname",
)
REAL = (*COREUTILS, "curl", "flock", "gpgv")
BOUND = ("proc", "dev", "usr/lib", "usr/lib64", "usr/lib32")  # the host's own
MACHINE_ID = "1cd3df7bd5b24fe6aff5b426a11f9a96"
SSM = "var/lib/amazon/ssm"
VAULT = f"{SSM}/Vault/Store/RegistrationKey"
KEY_FILE = "var/lib/moorings/enrolment.key"
OS_RELEASES = {
    "debian": 'PRETTY_NAME="Debian"\nID=debian\n',
    "ubuntu": "NAME=Ubuntu\nID=ubuntu\nID_LIKE=debian\n",
    "rocky": 'ID="rocky"\nID_LIKE="rhel centos fedora"\n',
    "amazon": 'ID="amzn"\nID_LIKE="centos rhel fedora"\n',
    "sles": 'ID="sles"\nID_LIKE="suse"\n',
    "alpine": "ID=alpine\n",
}

_COMMAND = r"""#!/real/bash
name=${0##*/}
[[ $0 != /snap/* ]] || name=snap:$name
{ printf '%s' "$name"; (($# == 0)) || printf '\t%q' "$@"; printf '\n'; } >>/rig/calls
mapfile -t calls </rig/calls
if [[ -e /rig/kill && $(</rig/kill) == "${#calls[@]}" ]]; then kill -9 0; fi
imitation=/rig/imitations/${name#snap:}
if [[ -e $imitation ]]; then exec /real/bash "$imitation" "$@"; fi
exec "/real/$name" "$@"
"""

_IMITATIONS = {
    "dpkg": r"""
case $* in
  *' -i '*)
    if [[ -s /rig/dpkg-fails ]]; then cat /rig/dpkg-fails; /real/rm /rig/dpkg-fails; exit 2; fi
    /real/cp /usr/bin/curl /usr/bin/amazon-ssm-agent; echo deb >/rig/installed ;;
  --purge*) [[ ! -e /rig/purge-fails ]] || exit 1
    /real/rm -f /rig/installed /usr/bin/amazon-ssm-agent ;;
  *) exit 64 ;;
esac""",
    "dpkg-query": '[[ -e /rig/installed ]] && printf "install ok installed"',
    "rpm": r"""
case $1 in
  -q) [[ -e /rig/installed ]] ;;
  -U) /real/cp /usr/bin/curl /usr/bin/amazon-ssm-agent; echo rpm >/rig/installed ;;
  -e) /real/rm -f /rig/installed /usr/bin/amazon-ssm-agent ;;
  *) exit 64 ;;
esac""",
    "systemctl": r"""
case $1 in
  is-active) [[ -e /rig/active && ! -e /rig/dies ]] ;;
  start | restart) [[ ! -e /rig/no-start ]] || exit 1; : >/rig/active ;;
  stop) /real/rm -f /rig/active ;;
esac""",
    "amazon-ssm-agent": r"""
if [[ $2 == -clear ]]; then : >/var/lib/amazon/ssm/Vault/Store/RegistrationKey; exit; fi
[[ $# == 8 && $1$2$4$6$8 == -register-code-id-region-y ]] || exit 64
if [[ -s /rig/agent-says ]]; then
  mapfile -t words </rig/agent-says
  printf '%s\n' "${words[@]:1}" >/rig/agent-says
  [[ ${#words[@]} -gt 1 ]] || /real/rm /rig/agent-says
  echo "ERROR Registration failed due to error registering the instance with AWS SSM. ${words[0]} (with $3)"
  exit 1
fi
/real/mkdir -p /var/lib/amazon/ssm/Vault/Store
printf '%s\t%s\n' "$3" "$5" >>/rig/registrations
mapfile -t done </rig/registrations
printf -v node 'mi-%017x' "${#done[@]}"
cd /var/lib/amazon/ssm
printf '{"instanceID":"%s","region":"%s","privateKey":"MIIE"}' "$node" "$7" >Vault/Store/RegistrationKey
printf '{"ManagedInstanceID":"%s","Region":"%s"}' "$node" "$7" >registration
echo "INFO Successfully registered the instance with AWS SSM using Managed instance-id: $node"
""",
}

_ENTER = r"""
set -e
root=$1 user=$2; shift 2
for place in proc dev; do mount --rbind /$place $root/$place; done
for place in usr/lib usr/lib64 usr/lib32; do [ ! -d /$place ] || mount --bind /$place $root/$place; done
mount --bind /usr/bin $root/real
cd /
exec chroot --userspec=$user:$user $root "$@"
"""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run of the script: how it ended, what it said, and the commands that it called, as lists of words."""

    code: int
    out: str
    err: str
    commands: tuple[tuple[str, ...], ...]

    def called(self, *start: str) -> list[tuple[str, ...]]:
        """The commands that begin with these words."""
        return [command for command in self.commands if command[: len(start)] == start]


class Server:
    """See the module. `files` are below `root`; `environment` is what the script starts with."""

    def __init__(self, root: Path, *, system: str = "debian", ca: bytes = b"") -> None:
        self.root = root
        for folder in (*BOUND, "real", "usr/bin", "rig/imitations", "tmp", SSM):
            (root / folder).mkdir(parents=True)
        for name in ("lib", "lib64", "lib32", "bin"):
            (root / name).symlink_to(f"usr/{name}")
        for name in (*REAL, *_IMITATIONS):
            if name != "amazon-ssm-agent":
                self.add_command(name)
        for name, body in _IMITATIONS.items():
            self.write(f"rig/imitations/{name}", body)
        self.write("etc/os-release", OS_RELEASES[system])
        self.write("etc/machine-id", MACHINE_ID + "\n")
        self.write("rig/ca.pem", ca)
        self.environment = {
            "PATH": "/usr/bin",
            "CURL_CA_BUNDLE": "/rig/ca.pem",
            "MOORINGS_RETRY_BASE": "0.005",
            "MOORINGS_RETRY_CAP": "0.02",
            "MOORINGS_DEADLINE": "60",
            "MOORINGS_START_POLL": "0.01",
            "MOORINGS_START_WAIT": "30",
            "MOORINGS_START_STAY": "0",
        }

    def write(self, path: str, content: str | bytes) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())

    def read(self, path: str) -> str:
        return (self.root / path).read_text()

    def has(self, path: str) -> bool:
        return (self.root / path).exists()

    def add_command(self, name: str, path: str = "usr/bin") -> None:
        self.write(f"{path}/{name}", _COMMAND)
        (self.root / path / name).chmod(0o755)

    def remove_command(self, name: str) -> None:
        (self.root / "usr/bin" / name).unlink()

    def imitate(self, name: str, body: str) -> None:
        self.write(f"rig/imitations/{name}", body)

    def install(self, kind: str = "deb") -> None:
        """The agent is there already, unregistered."""
        if kind == "snap":
            self.add_command("amazon-ssm-agent", "snap/amazon-ssm-agent/current")
        else:
            self.add_command("amazon-ssm-agent")
            self.write("rig/installed", kind)

    def register(self, node: str = "mi-0123456789abcdef0") -> None:
        """The agent is registered already, and runs."""
        self.write(VAULT, json.dumps({"instanceID": node, "region": "eu-central-1", "privateKey": "MIIE"}))
        self.write(f"{SSM}/registration", json.dumps({"ManagedInstanceID": node, "Region": "eu-central-1"}))
        self.write("rig/active", "")

    @property
    def registrations(self) -> list[list[str]]:
        """Code and id of every registration that the service accepted."""
        noted = self.read("rig/registrations") if self.has("rig/registrations") else ""
        return [line.split("\t") for line in noted.splitlines()]

    @property
    def node(self) -> str:
        return json.loads(self.read(VAULT))["instanceID"] if self.has(VAULT) and self.read(VAULT) else ""

    def run(
        self,
        script: str,
        *arguments: str,
        kill_before: int = 0,
        bash: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        user: str = "0",
    ) -> Run:
        """The script comes in by standard input, as from curl; `kill_before`: all is killed before the n-th command."""
        self.write("rig/calls", "")
        (self.root / "rig/kill").unlink(missing_ok=True)
        if kill_before:
            self.write("rig/kill", str(kill_before))
        settings = [f"{name}={value}" for name, value in (self.environment | dict(environment or {})).items()]
        inside = ["/real/env", "-i", *settings, "/real/bash", *bash, "-s", "--", *arguments]
        enter = ["unshare", "--mount", "--propagation", "private", "sh", "-c", _ENTER, "enter"]
        ended = subprocess.run(
            [*enter, str(self.root), user, *inside],
            input=script,
            capture_output=True,
            text=True,
            timeout=60,
            start_new_session=True,
            check=False,
        )
        commands = tuple(tuple(_unquoted(line)) for line in self.read("rig/calls").splitlines())
        return Run(code=ended.returncode, out=ended.stdout, err=ended.stderr, commands=commands)


def _unquoted(line: str) -> list[str]:
    return [" ".join(shlex.split(word)) for word in line.split("\t")]


def missing() -> str:
    """Why servers cannot be made here; empty if they can."""
    if os.geteuid() != 0:
        return "needs root"
    lacking = [name for name in ("unshare", "chroot", "curl", "gpg", "gpgv", "flock") if not shutil.which(name)]
    return f"needs {', '.join(lacking)}" if lacking else ""
