"""Byte code beside the sources of a zip, so that a starting function compiles nothing.

Files are what Python itself would leave in `__pycache__`, with the flag that says "never check the source": /var/task
is read-only and its times are lost in the zip. Python of the function's own version has to make them, in a process of
its own, isolated from site packages and environment, so that a process's history does not show in the bytes. They hold
no path of this computer and are the same for the same sources and the same release of Python.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from functools import cache, lru_cache

from moorings.errors import Misconfigured

_ISOLATED = ("-I", "-S", "-W", "ignore")  # warnings of other people's sources are not ours to show
_PROBE_LIMIT = 10.0  # seconds
_COMPILE_LIMIT = 120.0
_KEPT = 8  # builds of one process whose byte code is remembered
_PROBE = "import sys; print(sys.implementation.cache_tag)"
# PEP 552: flag 1 is "by hash", flag 2 would be "check it". The name that a code object bears is its path in the zip;
# the importing Python puts the real one in its place.
_COMPILE = """
import importlib.util, json, marshal, sys
made = {}
for name, text in sorted(json.load(sys.stdin).items()):
    source = text.encode("latin-1")
    code = compile(source, name, "exec", dont_inherit=True, optimize=0)
    head = importlib.util.MAGIC_NUMBER + (1).to_bytes(4, "little") + importlib.util.source_hash(source)
    made[name] = (head + marshal.dumps(code)).decode("latin-1")
json.dump(made, sys.stdout)
"""


def compiled(sources: Mapping[str, bytes], *, python: str) -> dict[str, bytes]:
    """The byte code of `sources` (path in the zip → text) under the paths at which Python looks for it.

    Empty if no Python of the version `python` (such as python3.13) is at hand. Misconfigured if a source does not
    compile.
    """
    interpreter = _interpreter(python)
    if interpreter is None:
        return {}
    made = _compile(interpreter, tuple(sorted(sources.items())))
    return {_cached(name, tag=_tag(python)): code for name, code in made.items()}


def missing(python: str) -> str:
    """What to tell when there is no byte code: what it means, and the remedy."""
    return (
        f"no byte code for {python}: no Python of that version is at hand, so each new environment of a function"
        f" compiles what it imports; put {python} on PATH, or run moorings with it"
    )


@cache
def _interpreter(python: str) -> str | None:
    """A CPython of that version: the one that runs now, else one on PATH. It is asked, since a name may lie."""
    for candidate in (sys.executable, shutil.which(python)):
        if candidate and _answers(candidate) == _tag(python):
            return candidate
    return None


def _answers(interpreter: str) -> str:
    try:
        done = subprocess.run(
            [interpreter, *_ISOLATED, "-c", _PROBE], capture_output=True, text=True, timeout=_PROBE_LIMIT, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


@lru_cache(maxsize=_KEPT)
def _compile(interpreter: str, sources: tuple[tuple[str, bytes], ...]) -> Mapping[str, bytes]:
    # JSON with one character a byte: both Pythons read it alike, which pickles and marshals of two versions need not.
    asked = json.dumps({name: source.decode("latin-1") for name, source in sources})
    done = subprocess.run(
        [interpreter, *_ISOLATED, "-c", _COMPILE],
        input=asked, capture_output=True, encoding="ascii", timeout=_COMPILE_LIMIT, check=False,
    )  # fmt: skip
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["it gave no reason"])[-1]
        raise Misconfigured(
            f"{interpreter} cannot compile the functions' sources: {reason}",
            remedy="install moorings again, completely",
        )
    return {name: code.encode("latin-1") for name, code in json.loads(done.stdout).items()}


def _tag(python: str) -> str:
    """python3.13 → cpython-313, as CPython names its byte code."""
    return f"cpython-{python.removeprefix('python').replace('.', '')}"


def _cached(name: str, *, tag: str) -> str:
    folder, _, file = name.rpartition("/")
    cached = f"__pycache__/{file.removesuffix('.py')}.{tag}.pyc"
    return f"{folder}/{cached}" if folder else cached
