"""Every supported type with every property of its table: the service must know afterwards what the template said."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from localcloud.aws.cloudformation.registry import registry
from localcloud.aws.cloudformation.shapes import ListOf, Struct
from localcloud.aws.cloudformation.template import parse

TEMPLATE = Path(__file__).with_name("everything.yaml")


@pytest.fixture(scope="module")
def everything(cloud: Any) -> Any:
    """A stack of everything.yaml."""
    from tests.localcloud.cloudformation.conftest import Deployer

    return Deployer(cloud).create(
        TEMPLATE.read_text(),
        name="everything",
        Parameters=[{"ParameterKey": "CodeBucket", "ParameterValue": f"code-{cloud.world.account}"}],
        Tags=[{"Key": "stack", "Value": "tag"}],
    )
