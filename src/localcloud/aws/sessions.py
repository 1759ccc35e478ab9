"""Sessions of botocore and boto3 that read the service models once for the whole process.

A session of its own parses a model for each service that it makes a client of: tens of milliseconds and megabytes that
a process with many local clouds (a suite of tests) would pay for, and keep, each time.
"""

import threading
from functools import cache

import boto3
import botocore.session
from botocore.loaders import Loader, create_loader

from localcloud.principals import Credentials

_lock = threading.Lock()


@cache
def _loader() -> Loader:
    return create_loader()


def core() -> botocore.session.Session:
    """A new botocore session with nothing but the shared models; threads that make clients of it must take turns."""
    made = botocore.session.Session()
    made.register_component("data_loader", _loader())
    return made


def session(credentials: Credentials, *, region: str) -> boto3.Session:
    """A new boto3 session that signs with `credentials`; as every boto3 session it serves one thread at a time."""
    with _lock:
        made = boto3.Session(
            botocore_session=core(),
            aws_access_key_id=credentials.access_key,
            aws_secret_access_key=credentials.secret_key,
            aws_session_token=credentials.session_token or None,
            region_name=region,
        )
        # boto3 appends the path of its own models to the loader's, once for each session.
        paths = _loader().search_paths
        paths[:] = dict.fromkeys(paths)
    return made
