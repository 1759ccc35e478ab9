"""What moto keeps: its backends by account and Region, loaded as the local cloud wants them, and how one forgets."""

import importlib
from types import ModuleType
from typing import Any

from moto import backends
from moto.core.base_backend import BackendDict, backend_lock
from moto.core.common_models import BaseModel

from localcloud.aws import alarms, bucket_policies
from localcloud.errors import Unsupported


def _untracked(cls: type[BaseModel], *_: Any, **__: Any) -> BaseModel:
    """Makes a model without entering it in moto's list of all that it ever made, which nothing here reads."""
    return object.__new__(cls)


def _dispose(key: Any) -> None:
    """Closes the file of an S3 object that was overwritten, without moto's warning that nobody did so before."""
    key.dispose()


def _own_buckets_only() -> bool:
    """Buckets of another local cloud are another owner's: their names are taken, their objects are forbidden."""
    return False


# Without this every version of every item would stay in memory, for as long as the process runs.
BaseModel.__new__ = _untracked  # type: ignore[method-assign]


def load(service: str) -> ModuleType | None:
    """Load moto's part for `service` (botocore's name): the module of its URLs, None if moto has no such service."""
    safe = service.replace("-", "")
    package = {"lambda": "awslambda"}.get(safe, safe)
    try:
        urls = importlib.import_module(f"moto.{package}.urls")
    except ImportError:
        return None
    if service == "s3":
        models = importlib.import_module("moto.s3.models")
        vars(models)["s3_allow_crossdomain_access"] = _own_buckets_only
        models.FakeKey.__del__ = _dispose
        models.FakeBucket.get_permission = bucket_policies.permission
    if service == "cloudwatch":
        importlib.import_module("moto.cloudwatch.responses").CloudWatchResponse.describe_alarms = alarms.describe
    return urls


def backend(service: str, *, account: str, region: str) -> Any:
    """moto's backend of `service` for an account, in `region` or, for a global service, for the whole partition."""
    try:
        by_region = backends.get_backend(service)[account]  # type: ignore[call-overload]
    except ImportError as error:
        raise Unsupported(f"the local cloud has no service {service}") from error
    return by_region[region if region in by_region else "aws"]


def regions(service: str, *, account: str) -> list[str]:
    """The Regions in which moto holds something of `service` for an account."""
    return sorted(backends.get_backend(service)[account].keys())  # type: ignore[call-overload]


def forget_account(account: str) -> None:
    """Drop everything that moto holds for an account, and the files of its S3 objects."""
    with backend_lock:
        for service in list(BackendDict._instances):  # type: ignore[misc]
            if account not in list(service.keys()):
                continue
            if service.service_name == "s3":
                _forget_buckets(service, account)
            del service[account]


def _forget_buckets(service: Any, account: str) -> None:
    for regional in service[account].values():
        for bucket in regional.buckets.values():
            for _, versions in bucket.keys._iterlists():
                for version in versions:
                    version.dispose()
            for upload in bucket.multiparts.values():
                upload.dispose()
    for name, (_, owner) in list(service.bucket_accounts.items()):
        if owner == account:
            service.bucket_accounts.pop(name, None)
