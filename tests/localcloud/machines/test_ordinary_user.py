"""Machines of somebody who is not root: namespaces of his own, the same packages and services, and nothing left."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.machines

ORDINARY = 65_534
# Nothing but the right to read, as this Python may lie in a folder that is root's alone.
SOMEBODY_ELSE = [
    "setpriv", f"--reuid={ORDINARY}", f"--regid={ORDINARY}", "--clear-groups",
    "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search",
]  # fmt: skip
PROGRAM = """
import json
import os

from tests.localcloud.machines.conftest import ENROL, TRUST

from localcloud.cloud import LocalCloud
from localcloud.errors import CannotRun
from localcloud.machines.spec import MachineSpec

with LocalCloud(scale=0.01) as cloud:
    cloud.client("iam").create_role(RoleName="node-role", AssumeRolePolicyDocument=json.dumps(TRUST))
    made = cloud.client("ssm").create_activation(IamRole="node-role", RegistrationLimit=1)
    told = {"user": os.geteuid(), "refused": ""}
    try:
        source = cloud.machines.package_source
        script = ENROL.format(source=source, code=made["ActivationCode"], id=made["ActivationId"])
        machine = cloud.machines.create(MachineSpec(name="server", os="debian-12", user_data=script))
        machine.boot().wait_booted(60)
    except CannotRun as error:
        told["refused"] = str(error)
    else:
        packages = machine.run(["dpkg-query", "-W", "-f", "${db:Status-Status}", "amazon-ssm-agent"]).stdout
        told |= {"exit": machine.exit_code, "console": machine.console, "node": machine.node_id, "package": packages}
        told["inside"] = machine.run(["id", "-u"]).stdout.strip()
    print(json.dumps(told))
"""


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="only root becomes somebody else")
def test_a_server_installs_registers_and_leaves_nothing(tmp_path: Path) -> None:
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    home = tmp_path / "home"
    home.mkdir()
    os.chown(home, ORDINARY, ORDINARY)
    surroundings = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(sys.path),
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOME": str(home),
        "TMPDIR": str(home),
    }

    done = subprocess.run(
        [*SOMEBODY_ELSE, sys.executable, "-c", PROGRAM],
        capture_output=True,
        text=True,
        env=surroundings,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    if told["refused"]:
        pytest.skip(told["refused"])
    assert (told["user"], told["inside"]) == (ORDINARY, "0")
    assert told["exit"] == 0, told["console"]
    assert told["node"].startswith("mi-")
    assert told["package"] == "installed"
    assert list(home.iterdir()) == []
