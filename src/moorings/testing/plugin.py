"""The pytest plugin `moorings`: `local_cloud`, `enrolled_node`, `azure_vm`, `run_runbook`, `patching_stack`.

Loaded wherever the project is installed, so nothing but pytest is imported until a fixture is asked for.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from localcloud.cloud import LocalCloud
    from moorings.testing.patching import PatchingStack
    from moorings.testing.runs import Runbooks
    from moorings.testing.servers import EnrolledNode, EnrolledNodes
    from moorings.testing.vms import AzureVm, AzureVms

SCOPES = ("function", "class", "module", "package", "session")
DEFAULT_SCALE = "0.01"


def pytest_addoption(parser: pytest.Parser) -> None:
    """The settings, for the configuration file, and those that one run may want otherwise, as options."""
    parser.addini("moorings_cloud_scope", f"how long a local cloud lives: {', '.join(SCOPES)}", default="function")
    parser.addini(
        "moorings_scale",
        f"how long a second of what AWS and Azure measure lasts; {DEFAULT_SCALE} if not given",
        default=DEFAULT_SCALE,
    )
    parser.addini("moorings_require_servers", "fail where the host cannot run servers", type="bool", default=False)
    group = parser.getgroup("moorings", "local cloud of Moorings")
    group.addoption("--moorings-cloud-scope", choices=SCOPES, help="in place of moorings_cloud_scope")
    group.addoption(
        "--moorings-require-servers",
        action="store_true",
        help="fail, do not skip, where the host cannot run simulated servers",
    )


def cloud_scope(fixture_name: str, config: pytest.Config) -> Any:
    """How long `local_cloud` and `patching_stack` live. UsageError for a word that is no scope."""
    scope = config.getoption("--moorings-cloud-scope") or config.getini("moorings_cloud_scope")
    if scope not in SCOPES:
        raise pytest.UsageError(f"moorings_cloud_scope is {scope!r}; it is one of {', '.join(SCOPES)}")
    return scope


@pytest.fixture(scope=cloud_scope)
def local_cloud(request: pytest.FixtureRequest) -> Iterator["LocalCloud"]:
    """A running local cloud. While it lives, the environment leads boto3 and the AWS CLI there, and nowhere else."""
    from moorings.testing.host import running_cloud  # noqa: PLC0415 - nothing is imported before it is wanted

    with running_cloud(request.config) as cloud:
        yield cloud


@pytest.fixture
def enrolled_nodes(local_cloud: "LocalCloud", request: pytest.FixtureRequest) -> Iterator["EnrolledNodes"]:
    """Makes simulated servers that are managed nodes and online: `enrolled_nodes(3, os="ubuntu-24.04")`."""
    from moorings.testing.host import needs_servers  # noqa: PLC0415 - as above
    from moorings.testing.servers import EnrolledNodes  # noqa: PLC0415 - as above

    needs_servers(local_cloud, request.config)
    made = EnrolledNodes(local_cloud)
    yield made
    made.close()


@pytest.fixture
def enrolled_node(enrolled_nodes: "EnrolledNodes") -> "EnrolledNode":
    """One simulated server that is a managed node and online."""
    return enrolled_nodes()[0]


@pytest.fixture
def azure_vms(enrolled_nodes: "EnrolledNodes") -> Iterator["AzureVms"]:
    """Makes virtual machines of the local Azure, each a managed node and online."""
    from moorings.testing.vms import AzureVms  # noqa: PLC0415 - as above

    made = AzureVms(enrolled_nodes)
    yield made
    made.close()


@pytest.fixture
def azure_vm(azure_vms: "AzureVms") -> "AzureVm":
    """One virtual machine of the local Azure that is a managed node and online."""
    return azure_vms()[0]


@pytest.fixture
def run_runbook(local_cloud: "LocalCloud") -> "Runbooks":
    """Runs a runbook's file on the local cloud to its end: `run_runbook("restart.yaml", {"InstanceId": node.id})`."""
    from moorings.testing.runs import Runbooks  # noqa: PLC0415 - as above

    return Runbooks(local_cloud)


@pytest.fixture(scope=cloud_scope)
def patching_stack(
    local_cloud: "LocalCloud", request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> "PatchingStack":
    """Patching as `moorings patch deploy` makes it, let into the resource group of `azure_vm`."""
    from moorings.testing.host import needs_servers  # noqa: PLC0415 - as above
    from moorings.testing.patching import deployed  # noqa: PLC0415 - as above

    needs_servers(local_cloud, request.config)
    return deployed(local_cloud, anchors=tmp_path_factory.mktemp("anchors"))
