"""A local cloud whose emulated waits are short, and functions deployed from zips that the tests write."""

import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from localcloud.aws.functions.model import Invocation, Kind
from localcloud.aws.functions.service import Functions
from localcloud.cloud import LocalCloud

LOG_RIGHTS = ("logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents")


def zipped(files: Mapping[str, str]) -> bytes:
    """A code package with these files."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return held.getvalue()


@dataclass(kw_only=True)
class Workshop:
    """Deploys and invokes functions in one cloud."""

    cloud: LocalCloud
    api: Any = field(init=False)

    def __post_init__(self) -> None:
        self.api = self.cloud.client("lambda")

    @property
    def functions(self) -> Functions:
        return self.cloud.world.part(Functions)

    def role(self, name: str, *actions: str) -> str:
        iam = self.cloud.client("iam")
        trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        arn: str = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]["Arn"]
        if actions:
            allow = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
            policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
            iam.put_role_policy(RoleName=name, PolicyName="rights", PolicyDocument=policy)
        return arn

    def deploy(
        self,
        name: str,
        source: str,
        *,
        rights: tuple[str, ...] = LOG_RIGHTS,
        files: Mapping[str, str] | None = None,
        handler: str = "code.handler",
        reserved: int | None = None,
        **settings: Any,
    ) -> str:
        """Create a function whose module `code` is `source`; its ARN."""
        role = self.role(f"{name}-role", *rights)
        package = zipped({"code.py": source, **(files or {})})
        settings = {"Runtime": "python3.13", "Timeout": 20, "MemorySize": 256, **settings}
        made = self.api.create_function(
            FunctionName=name, Role=role, Handler=handler, Code={"ZipFile": package}, **settings
        )
        if reserved is not None:
            self.api.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=reserved)
        arn: str = made["FunctionArn"]
        return arn

    def update(self, name: str, source: str) -> None:
        """Give the function other code."""
        self.api.update_function_code(FunctionName=name, ZipFile=zipped({"code.py": source}))

    @contextmanager
    def apart(self, **how: Any) -> "Iterator[Workshop]":
        """Another cloud, for tests that bend it or stop it."""
        with LocalCloud(**how) as cloud:
            yield Workshop(cloud=cloud)

    def invoke(self, name: str, event: object = None, *, kind: Kind = "RequestResponse", **how: Any) -> Invocation:
        return self.functions.invoke(name, json.dumps(event or {}).encode(), kind=kind, **how)

    def ask(self, name: str, event: object = None) -> Any:
        """The function's answer, parsed."""
        answer = self.invoke(name, event)
        assert not answer.function_error, answer.payload
        return json.loads(answer.payload)

    def failure(self, name: str, event: object = None) -> dict[str, Any]:
        """The error document of a function that fails."""
        answer = self.invoke(name, event)
        assert answer.function_error == "Unhandled", answer.payload
        document: dict[str, Any] = json.loads(answer.payload)
        return document


@pytest.fixture(scope="module")
def workshop() -> Iterator[Workshop]:
    with LocalCloud(scale=0.001) as cloud:
        yield Workshop(cloud=cloud)
