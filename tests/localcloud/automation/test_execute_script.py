"""aws:executeScript: handlers, events, context, attachments, limits, and what a failing script says."""

import io
import os
import select
import stat
import threading
import zipfile
from pathlib import Path
from typing import Any

import pytest
from tests.localcloud.automation.surroundings import FakeSurroundings, a_call, finish

from localcloud.automation import sandbox
from localcloud.automation.actions.execute_script import ExecuteScript
from localcloud.automation.actions.protocol import ActionFailed, FailureStage


def python(script: str, around: FakeSurroundings | None = None, /, **inputs: Any) -> Any:
    given = {"Runtime": "python3.11", "Handler": "main", "Script": script, **inputs}
    return finish(ExecuteScript(), given, around).root


def failure(script: str, around: FakeSurroundings | None = None, /, **inputs: Any) -> ActionFailed:
    with pytest.raises(ActionFailed) as caught:
        python(script, around, **inputs)
    return caught.value


def test_a_handler_gets_events_and_context_and_its_value_is_the_payload() -> None:
    root = python(
        "def main(events, context):\n    return {'sum': sum(events['numbers']), 'context': context}\n",
        InputPayload={"numbers": [1, 2, 3]},
    )

    assert root["Payload"] == {
        "sum": 6,
        "context": {
            "global:REGION": "us-east-1",
            "global:ACCOUNT_ID": "111122223333",
            "global:AWS_PARTITION": "aws",
            "automation:EXECUTION_ID": "5f2c9e31-0000-4000-8000-000000000001",
        },
    }


def test_whatever_json_can_say_may_come_back() -> None:
    assert [python(f"def main(e, c):\n    return {value!r}\n")["Payload"] for value in (None, 7, "text", [1, "a"])] == [
        None,
        7,
        "text",
        [1, "a"],
    ]


def test_a_script_that_raises_fails_the_step_with_its_traceback() -> None:
    told = str(failure("def main(events, context):\n    my_id = events['expected_id']\n"))

    assert told.startswith(
        "Step fails when it is Poll action status for completion. Traceback (most recent call last):\n"
    )
    assert "customer_script.py\", line 2, in main\n    my_id = events['expected_id']\n" in told
    assert "\n\nKeyError - 'expected_id'. Please refer to Automation Service Troubleshooting Guide" in told
    assert "sandbox" not in told


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("import sys\ndef main(e, c):\n    sys.exit(3)\n", "SystemExit - 3"),
        ("def main(e, c)\n", "SyntaxError"),
        ("def other(e, c):\n    pass\n", "AttributeError"),
        ("def main(e, c):\n    return object()\n", "TypeError - Object of type object is not JSON serializable"),
        ("import os\ndef main(e, c):\n    os._exit(4)\n", "ended with exit status 4"),
        ("import os, signal\ndef main(e, c):\n    os.kill(os.getpid(), signal.SIGKILL)\n", "was killed: killed"),
    ],
)
def test_every_other_end_is_a_failure_that_says_what_happened(script: str, told: str) -> None:
    assert told in str(failure(script))


def test_more_memory_than_512_mb_is_not_to_be_had() -> None:
    assert python("def main(e, c):\n    return len(bytearray(300 * 1024**2))\n")["Payload"] == 300 * 1024**2
    assert "MemoryError" in str(failure("def main(e, c):\n    return len(bytearray(600 * 1024**2))\n"))


def test_a_script_that_runs_too_long_is_stopped() -> None:
    with pytest.raises(sandbox.ScriptStopped, match=r"longer than 0\.3 seconds"):
        sandbox.run_python(
            sandbox.Script(text="def main(e, c):\n    while True: pass\n", handler="main", events={}, context={}),
            environment={},
            timeout=0.3,
            processes=sandbox.Processes(),
            key=1,
        )


@pytest.mark.parametrize("closed", [False, True])
def test_a_cancelled_step_or_a_closed_engine_kills_the_script_and_all_that_it_started(
    tmp_path: Path, closed: bool
) -> None:
    started = tmp_path / "started"
    os.mkfifo(started)
    script = (
        "import subprocess\n"
        "def main(e, c):\n"
        "    child = subprocess.Popen(['sleep', '600'])\n"
        "    open(e['started'], 'w').write(str(child.pid))\n"
        "    child.wait()\n"
    )
    action = ExecuteScript()
    inputs = {"Runtime": "python3.11", "Handler": "main", "Script": script, "InputPayload": {"started": str(started)}}
    call, ended = a_call(action.name, inputs), []

    def run() -> None:
        try:
            action.begin(call)
        except ActionFailed as error:
            ended.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    child = int(started.read_text())
    if closed:
        action.close()
    else:
        action.cancel(call, None)
    thread.join(timeout=60)

    assert "was killed" in str(ended[0])
    assert _gone(child)


def _gone(pid: int) -> bool:
    """Whether the process is dead, or dies at once."""
    try:
        watched = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([watched], [], [], 5)[0])
    finally:
        os.close(watched)


def test_a_process_that_a_script_leaves_behind_does_not_hold_the_step_up() -> None:
    root = python("import subprocess\ndef main(e, c):\n    return subprocess.Popen(['sleep', '600']).pid\n")

    assert _gone(root["Payload"])


def test_lists_come_back_cut_after_a_hundred_elements() -> None:
    payload = python("def main(e, c):\n    return {'all': list(range(250)), 'in': [[0] * 101]}\n")["Payload"]

    assert payload == {"all": list(range(100)), "in": [[0] * 100]}


def test_more_than_100_kb_fail_the_step() -> None:
    assert "more than 102400 bytes" in str(failure("def main(e, c):\n    return 'x' * 102400\n"))


def test_the_environment_holds_nothing_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not for scripts")
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    around = FakeSurroundings(script_environment={"AWS_REGION": "eu-north-1"})

    seen = python("import os\ndef main(e, c):\n    return dict(os.environ)\n", around)["Payload"]

    assert seen["AWS_REGION"] == "eu-north-1"
    assert set(seen) == {"AWS_REGION", "HOME", "TMPDIR", "PATH", "LANG", "AWS_EC2_METADATA_DISABLED"}
    assert not Path(seen["HOME"]).exists()


def test_without_a_role_a_script_has_no_credentials() -> None:
    script = "import boto3\ndef main(e, c):\n    return boto3.Session().get_credentials() is None\n"

    assert python(script)["Payload"] is True


def test_script_text_is_literal() -> None:
    assert python("def main(e, c):\n    return '{{ global:REGION }}'\n")["Payload"] == "{{ global:REGION }}"


def attached(name: str, files: dict[str, str]) -> FakeSurroundings:
    if name.endswith(".py"):
        return FakeSurroundings(attachments={name: next(iter(files.values())).encode()})
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return FakeSurroundings(attachments={name: held.getvalue()})


TOOLS = "def double(events, context=None):\n    return 2 * events['n']\n"


@pytest.mark.parametrize(
    ("around", "attachment"),
    [
        (attached("tools.py", {"tools.py": TOOLS}), "tools.py"),
        (attached("kit.zip", {"tools.py": TOOLS}), "kit.zip"),
        (attached("kit.zip", {"tools/__init__.py": TOOLS}), "kit.zip"),
    ],
)
def test_a_handler_may_lie_in_an_attachment(around: FakeSurroundings, attachment: str) -> None:
    inputs = {"Runtime": "python3.11", "Handler": "tools.double", "Attachment": attachment, "InputPayload": {"n": 21}}

    assert finish(ExecuteScript(), inputs, around).root == {"Payload": 42}


def test_a_script_may_import_its_attachment() -> None:
    around = attached("kit.zip", {"tools.py": TOOLS})
    script = "from tools import double\ndef main(e, c):\n    return double(e) + 1\n"

    assert python(script, around, Attachment="kit.zip", InputPayload={"n": 4})["Payload"] == 9


@pytest.mark.parametrize(
    "inputs",
    [
        {"Handler": "main", "Script": "x"},
        {"Runtime": "python3.11", "Script": "x"},
        {"Runtime": "python3.11", "Handler": "main"},
        {"Runtime": "ruby3.3", "Handler": "main", "Script": "x"},
        {"Runtime": "python3.11", "Handler": "main", "Script": "x", "InputPayload": "{{ Step.NeverRan }}"},
        {"Runtime": "python3.11", "Handler": "main", "Attachment": "missing.py"},
        {"Runtime": "python3.11", "Handler": "main", "Script": "x", "Timeout": 5},
    ],
)
def test_inputs_that_make_no_script_are_refused(inputs: dict[str, Any]) -> None:
    with pytest.raises(ActionFailed) as caught:
        finish(ExecuteScript(), inputs)

    assert caught.value.stage is FailureStage.INPUT_VALIDATION


def test_powershell_is_refused_by_name_where_the_host_has_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(ActionFailed, match=r"PowerShell 7\.4, which this engine supports only with pwsh"):
        finish(ExecuteScript(), {"Runtime": "PowerShell 7.4", "Script": "return 1"})


def test_powershell_gets_its_input_in_a_variable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A stand-in for pwsh shows how the real one is called; it answers as our wrapper script lets pwsh answer."""
    pwsh = tmp_path / "pwsh"
    pwsh.write_text(
        '#!/bin/sh\nfor home; do :; done\n[ "$(cat "$home/script.ps1")" = "return 1" ] || exit 9\n'
        'printf \'{"payload": %s}\' "$InputPayload" > "$home/answer.json"\n'
    )
    pwsh.chmod(pwsh.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    inputs = {"Runtime": "PowerShell 7.4", "Script": "return 1", "InputPayload": {"n": 1}}

    assert finish(ExecuteScript(), inputs).root == {"Payload": {"n": 1}}
