"""Runs one Python script of a runbook; started by `sandbox` in isolated mode, with a directory that holds `work.json`.

It imports nothing but the standard library, and leaves `answer.json` in there: `{"payload"}` or `{"error"}`, a
traceback as the service words it.
"""

import importlib
import json
import os
import resource
import sys
import traceback
import types
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

SCRIPT_NAME = "customer_script"


def limit(work: dict[str, Any]) -> None:
    """From here on: so much memory, files so large, no core dump."""
    # Private memory, not address space: that would count every library that is merely mapped.
    resource.setrlimit(resource.RLIMIT_DATA, (work["memory"], work["memory"]))
    resource.setrlimit(resource.RLIMIT_FSIZE, (work["disk"], work["disk"]))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def handler_of(work: dict[str, Any], home: Path) -> Callable[[Any, Any], Any]:
    """The function that Handler names: in the script, or as `file.func` in the attachment."""
    folder = home / "attachment"
    sys.path.insert(0, str(folder))
    if work["attachment"].endswith(".zip"):
        with zipfile.ZipFile(folder / work["attachment"]) as archive:
            archive.extractall(folder / "content")
        sys.path.insert(0, str(folder / "content"))
    place, _, function = work["handler"].rpartition(".")
    script = _script(work["text"], home) if work["text"] else None
    if script is not None and (not place or hasattr(script, function)):
        module = script
    else:
        module = importlib.import_module(place or work["attachment"].rpartition(".")[0])
    found: Callable[[Any, Any], Any] = getattr(module, function)
    return found


def _script(text: str, home: Path) -> types.ModuleType:
    """The script as a module; the file is there for its traceback."""
    file = home / f"{SCRIPT_NAME}.py"
    file.write_text(text, encoding="utf-8")
    module = types.ModuleType(SCRIPT_NAME)
    module.__file__ = str(file)
    sys.modules[SCRIPT_NAME] = module
    exec(compile(text, str(file), "exec"), module.__dict__)  # noqa: S102 - running it is the purpose
    return module


def cut(value: Any, longest: int) -> Any:
    """The value with every list cut after its first `longest` elements."""
    if isinstance(value, dict):
        return {name: cut(each, longest) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [cut(each, longest) for each in value[:longest]]
    return value


def worded(error: BaseException) -> str:
    """A traceback of the script's own frames, then type and text."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename != __file__]
    lines = "".join(traceback.format_list(frames))
    return f"Traceback (most recent call last):\n{lines}\n{type(error).__name__} - {error}"


def main(home: Path) -> None:
    """Read the work, do it, leave the answer."""
    work = json.loads((home / "work.json").read_text(encoding="utf-8"))
    limit(work)
    try:
        result = handler_of(work, home)(work["events"], work["context"])
        answer = json.dumps({"payload": cut(result, work["list_limit"])})
    except BaseException as error:  # the outermost door: SystemExit of a script is a failure like any other
        answer = json.dumps({"error": worded(error)})
    sys.stdout.flush()
    (home / "answer.json").write_text(answer, encoding="utf-8")
    os._exit(0)  # threads and exit handlers of the script have no say any more


if __name__ == "__main__":
    main(Path(sys.argv[1]))
