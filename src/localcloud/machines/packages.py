"""The agent's packages, as its publisher would serve them: built here, holding the simulated agent.

The .deb is a real one. The .rpm is not: only the simulated rpm of our machines reads it. The agent's program is a few
lines of shell that ask the machine's init to fork the simulated agent.
"""

from localcloud.machines.agent.places import AGENT_NAME, AGENT_VERSION
from localcloud.machines.archives import Entry, ar, tar, zipped
from localcloud.machines.openpgp import SigningKey
from localcloud.machines.shims.texts import shim
from localcloud.machines.spec import MACHINES, Arch

UNIT = f"""[Unit]
Description={AGENT_NAME}
After=network-online.target

[Service]
Type=simple
WorkingDirectory=/usr/bin/
ExecStart={{program}}
KillMode=process
Restart=always
RestartSec=15min

[Install]
WantedBy=multi-user.target
"""
_AFTER = f"""systemctl daemon-reload
systemctl enable {AGENT_NAME}
systemctl start {AGENT_NAME}
"""
_BEFORE_REMOVAL = f"""systemctl stop {AGENT_NAME}
systemctl disable {AGENT_NAME}
"""


def agent_files() -> list[Entry]:
    """What both kinds of package put on a disk."""
    program = f"/usr/bin/{AGENT_NAME}"
    return [
        Entry(path=program.lstrip("/"), content=shim("bell").encode(), mode=0o755),
        Entry(path=f"usr/lib/systemd/system/{AGENT_NAME}.service", content=UNIT.format(program=program).encode()),
        Entry(path=f"etc/amazon/ssm/{AGENT_NAME}.json.template", content=b"{}\n"),
        Entry(path="etc/amazon/ssm/README.md", content=b"The simulated agent of the local cloud.\n"),
    ]


def deb(arch: Arch) -> bytes:
    """A Debian package; the same bytes every time."""
    files = agent_files()
    control = (
        f"Package: {AGENT_NAME}\nVersion: {AGENT_VERSION}-1\nArchitecture: {arch}\nSection: admin\nPriority: optional\n"
        "Maintainer: The local cloud <local@example.invalid>\n"
        f"Installed-Size: {sum(len(entry.content) for entry in files) // 1024 + 1}\n"
        "Description: simulated SSM agent\n For machines of the local cloud only.\n"
    )
    after = f'#!/bin/sh\nset -e\n[ "$1" = configure ] || exit 0\n{_AFTER}'
    before = f'#!/bin/sh\nset -e\n[ "$1" = remove ] || exit 0\n{_BEFORE_REMOVAL}'
    scripts = [
        Entry(path="control", content=control.encode()),
        Entry(path="postinst", content=after.encode(), mode=0o755),
        Entry(path="prerm", content=before.encode(), mode=0o755),
    ]
    return ar(
        [
            ("debian-binary", b"2.0\n"),
            ("control.tar.gz", zipped(tar(scripts))),
            ("data.tar.gz", zipped(tar(files))),
        ]
    )


def rpm(arch: Arch, key: SigningKey) -> bytes:
    """A simulated rpm, signed inside as real ones are."""
    metadata = f"NAME={AGENT_NAME}\nVERSION={AGENT_VERSION}-1\nARCH={MACHINES[arch]}\n"
    parts = [
        ("metadata", metadata.encode()),
        ("postinstall", _AFTER.encode()),
        ("preuninstall", b'[ "$1" = 0 ] || exit 0\n' + _BEFORE_REMOVAL.encode()),
        ("payload.tar", tar(agent_files())),
    ]
    signature = key.sign(b"".join(content for _, content in parts))
    return zipped(tar([Entry(path=name, content=content) for name, content in [*parts, ("signature", signature)]]))


def catalogue(key: SigningKey) -> dict[str, bytes]:
    """Every file of the package source by its path below `latest/`, with a detached signature beside each."""
    architectures: tuple[Arch, ...] = ("amd64", "arm64")
    files: dict[str, bytes] = {}
    for arch in architectures:
        files[f"debian_{arch}/{AGENT_NAME}.deb"] = deb(arch)
        files[f"linux_{arch}/{AGENT_NAME}.rpm"] = rpm(arch, key)
    signatures = {f"{path}.sig": key.sign(content) for path, content in files.items()}
    return {**files, **signatures, "VERSION": AGENT_VERSION.encode()}
