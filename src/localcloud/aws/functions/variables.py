"""The environment variables of a function, as Lambda sets them.

Source: AWS Lambda, defined runtime environment variables. Beside Lambda's own only AWS_ENDPOINT_URL (the local cloud),
HOME and TMPDIR (this environment's own directories, so that nobody's ~/.aws or /tmp is read) are set; nothing is
inherited.
"""

from dataclasses import dataclass
from pathlib import Path

from localcloud.aws.functions.model import Deployed
from localcloud.principals import Credentials

_HOST_PATH = "/usr/local/bin:/usr/bin:/bin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Directories of one environment: /var/task, /opt, /var/runtime and /tmp of Lambda."""

    task: Path
    layers: Path
    runtime: Path
    temporary: Path
    python: str  # pythonX.Y, as layers name their folder


def variables(
    function: Deployed,
    *,
    places: Places,
    credentials: Credentials,
    region: str,
    endpoint_url: str,
    api: str,
    stream: str,
) -> dict[str, str]:
    """Everything that the process finds in its environment."""
    unless_chosen = {
        "AWS_DEFAULT_REGION": region,
        "AWS_ENDPOINT_URL": endpoint_url,
        "LANG": "en_US.UTF-8",
        "LD_LIBRARY_PATH": f"{places.task}:{places.task / 'lib'}:{places.layers / 'lib'}",
        "PATH": f"{_HOST_PATH}:{places.layers / 'bin'}",
        "TZ": ":UTC",
    }
    identity = {
        "AWS_ACCESS_KEY_ID": credentials.access_key,
        "AWS_SECRET_ACCESS_KEY": credentials.secret_key,
        "AWS_SESSION_TOKEN": credentials.session_token,
        "AWS_REGION": region,
    }
    return {
        **unless_chosen,
        **function.variables,
        **identity,
        **_of_function(function, stream=stream),
        **_of_places(places, chosen=function.variables.get("PYTHONPATH", "")),
        "AWS_LAMBDA_RUNTIME_API": api,
    }


def _of_function(function: Deployed, *, stream: str) -> dict[str, str]:
    told = {
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{function.runtime}",
        "AWS_LAMBDA_FUNCTION_NAME": function.name,
        "AWS_LAMBDA_FUNCTION_VERSION": function.version,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_mb),
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": function.log_group,
        "AWS_LAMBDA_LOG_STREAM_NAME": stream,
        "_HANDLER": function.handler,
    }
    if function.log_format == "JSON":
        told["AWS_LAMBDA_LOG_FORMAT"] = "JSON"
        told["AWS_LAMBDA_LOG_LEVEL"] = function.log_level or "INFO"
    return told


def _of_places(places: Places, *, chosen: str) -> dict[str, str]:
    return {
        "LAMBDA_TASK_ROOT": str(places.task),
        "LAMBDA_RUNTIME_DIR": str(places.runtime),
        "HOME": str(places.temporary.parent),
        "TMPDIR": str(places.temporary),
        "PYTHONPATH": _python_path(places, chosen),
    }


def _python_path(places: Places, chosen: str) -> str:
    """Lambda's order: layers, then the runtime's packages; the code comes first, it is the working directory."""
    layers = places.layers / "python"
    ours = (layers / "lib" / places.python / "site-packages", layers, places.runtime)
    return ":".join(filter(None, [*map(str, ours), chosen]))
