"""`moorings local automation …`: anybody's runbook, run or checked by the local cloud's engine, without the service."""

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from moorings.cli.automation_text import Screen, as_json, outputs_of, row_of
from moorings.cli.options import Json, Profile, Region, unreadable
from moorings.cli.output import Results, counted
from moorings.cli.signals import stop_politely
from moorings.cli.talk import Talk
from moorings.cli.tree import Noun
from moorings.errors import NOT_WELL_EXIT, Invalid, Misconfigured

if TYPE_CHECKING:
    from localcloud.automation.alone import Alone

app = Noun(
    help="""Anybody's runbooks, run or checked without the service.

    \b
    Examples:
      moorings local automation validate runbooks/*.yaml
      moorings local automation run restart.yaml --param InstanceId=mi-0123456789abcdef0 --watch
    """
)

_COLUMNS = ("STEP", "ACTION", "STATUS", ">SECONDS", "WHAT HAPPENED")
_LOOK = 0.2  # seconds between two looks at a running execution


@app.command("run")
def run(
    file: Annotated[Path, typer.Argument(help="The runbook, YAML or JSON.", metavar="FILE")],
    *,
    param: Annotated[
        list[str] | None,
        typer.Option("--param", help="A parameter; once more for a list's next element.", metavar="NAME=VALUE"),
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Show the steps while they run.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Approve and resume without asking.")] = False,
    scale: Annotated[
        float,
        typer.Option("--scale", help="Time scale of waits: 0.01 makes 5 minutes 3 seconds.", metavar="FACTOR", max=1.0),
    ] = 1.0,
    json: Json = False,
    region: Region = "",
    profile: Profile = "",
) -> None:
    """Run a runbook on this computer.

    It calls the AWS endpoint, with the credentials, that boto3 finds. Documents that it calls are looked for beside
    FILE, then in Systems Manager; so are attachments, by their names. Its role is not assumed: it acts as you. Exit
    code 0 only if the execution ends with Success. Ctrl-C cancels it, and what its onCancel says is done.

    \b
    Examples:
      moorings local automation run restart.yaml --param InstanceId=mi-0123456789abcdef0
      moorings local automation run restart.yaml --param Hosts=a --param Hosts=b --watch --json
    """
    results, talk = Results(as_json=json), Talk()
    if not scale > 0:
        raise Misconfigured(f"--scale {scale} is no time scale", remedy="give a number above 0, at most 1")
    with _engine(file, scale=scale, region=region, profile=profile) as alone:
        execution = _started(alone, _parameters(param or []), talk)
        _follow(alone, execution, talk, watch=watch, yes=yes)
        ended, steps = alone.engine.get(execution), alone.engine.steps(execution)
    if json:
        results.json(as_json(ended, steps))
    else:
        results.table(_COLUMNS, [row_of(step, ended) for step in steps])
        for name, value in outputs_of(ended):
            results.line(f"{name} = {value}")
        results.prose(
            f"{ended.status.value}  {ended.id}" + (f"  {ended.failure_message}" if ended.failure_message else "")
        )
    if ended.status.value != "Success":
        raise typer.Exit(NOT_WELL_EXIT)


@app.command("validate")
def validate(
    files: Annotated[list[Path], typer.Argument(help="Runbooks, YAML or JSON.", metavar="FILE")],
    json: Json = False,
) -> None:
    """Check runbooks as CreateDocument does.

    All that is wrong is told, not the first thing only. Also told, but no fault of the document: steps that this engine
    cannot carry out, and what is legal and hardly meant. Exit code 1 if a document is refused.

    \b
    Examples:
      moorings local automation validate restart.yaml
      moorings local automation validate runbooks/*.yaml --json
    """
    results, talk = Results(as_json=json), Talk()
    checked = [_checked(file) for file in files]
    if json:
        results.json({"files": checked})
    else:
        for each in checked:
            results.prose(f"{each['file']}: {'valid' if each['valid'] else counted(len(each['problems']), 'problem')}")
            for mark, key in (("error", "problems"), ("unsupported here", "unsupported"), ("advice", "advice")):
                for text in each[key]:
                    results.prose(f"  {mark}: {text}")
    refused = [each["file"] for each in checked if not each["valid"]]
    if refused:
        talk.say(f"{counted(len(refused), 'document')} of {len(checked)} would be refused", mark="failed")
        raise typer.Exit(NOT_WELL_EXIT)


def _checked(file: Path) -> dict[str, Any]:
    _require_engine()
    from localcloud.automation import validation
    from localcloud.automation.advice import advice
    from localcloud.automation.refusals import InvalidDocument
    from localcloud.automation.shelf import read_content
    from localcloud.automation.support import unsupported

    said: dict[str, Any] = {"file": str(file), "valid": False, "problems": [], "unsupported": [], "advice": []}
    try:
        content = read_content(file)
    except InvalidDocument as error:
        return {**said, "problems": [str(error)]}
    problems = validation.problems(content)
    if problems:
        return {**said, "problems": problems}
    runbook = validation.runbook(content)
    return {**said, "valid": True, "unsupported": unsupported(runbook), "advice": advice(runbook)}


def _require_engine() -> None:
    try:
        import localcloud.automation.engine  # noqa: F401 - an optional extra
    except ImportError as error:
        raise Misconfigured(
            f"the local cloud is not installed: {error}", remedy="install it with: pip install 'moorings[local]'"
        ) from error


def _engine(file: Path, *, scale: float, region: str, profile: str) -> "Alone":
    _require_engine()
    from localcloud.automation.alone import Alone
    from localcloud.automation.refusals import InvalidDocument
    from localcloud.clock import SystemClock
    from moorings.clouds.aws import session_of

    try:
        file.read_bytes()
    except OSError as error:
        raise Invalid(f"{file} cannot be read: {unreadable(error)}", remedy="name a runbook, YAML or JSON") from error
    try:
        return Alone(file, session=session_of(region=region, profile=profile), clock=SystemClock(scale=scale))
    except InvalidDocument as error:
        raise Invalid(str(error), remedy=f"see all that is wrong: moorings local automation validate {file}") from error


def _parameters(given: Sequence[str]) -> dict[str, list[str]]:
    """Name → its values, as the API has parameters."""
    found: dict[str, list[str]] = {}
    for each in given:
        name, equals, value = each.partition("=")
        if not equals or not name:
            raise Invalid(f"--param {each!r} is no parameter", remedy="write it as NAME=VALUE")
        found.setdefault(name, []).append(value)
    return found


def _started(alone: "Alone", given: Mapping[str, list[str]], talk: Talk) -> str:
    from localcloud.automation.errors import AutomationError
    from localcloud.automation.refusals import InvalidParameters
    from localcloud.automation.support import unsupported

    runbook = alone.document.runbook
    for text in unsupported(runbook):
        talk.say(f"not supported here, and fails if it is reached: {text}")
    if runbook.assume_role:
        talk.say("the runbook's role is not assumed: it acts as you, and its scripts do too")
    try:
        return alone.start(given)
    except InvalidParameters as error:
        declared = ", ".join(runbook.parameters) or "none"
        raise Invalid(str(error), remedy=f"the runbook's parameters: {declared}") from error
    except AutomationError as error:
        raise Invalid(str(error)) from error


def _follow(alone: "Alone", execution: str, talk: Talk, *, watch: bool, yes: bool) -> None:
    """Return once the execution is over; Ctrl-C cancels it."""
    stop_politely()
    screen = Screen(talk, watch=watch)
    with screen:
        while True:
            try:
                _look_until_over(alone, execution, screen, yes=yes)
                return
            except KeyboardInterrupt:
                if alone.engine.get(execution).status.value == "Cancelling":
                    raise  # the second time: out
                talk.say("cancelling; once more to leave it as it is")
                _cancel(alone, execution)


def _look_until_over(alone: "Alone", execution: str, screen: Screen, *, yes: bool) -> None:
    pause = threading.Event()
    while True:
        now, steps = alone.engine.get(execution), alone.engine.steps(execution)
        screen.show(now, steps)
        if now.status.over:
            return
        if now.status.value == "Waiting":
            _decide(alone, execution, screen, yes=yes)
        pause.wait(_LOOK)


def _decide(alone: "Alone", execution: str, screen: Screen, *, yes: bool) -> None:
    """Somebody is waited for: ask the person at the terminal, or cancel if there is none."""
    from localcloud.automation.errors import SignalRefused
    from localcloud.automation.signals import Signal, SignalType

    waiting = [step for step in alone.engine.steps(execution) if step.status.value == "Waiting"]
    for step in waiting:
        approval = step.step.action == "aws:approve"
        message = str(step.inputs.get("Message") or "")
        question = f"Step {step.name} waits{': ' + message if message else ''}. {'Approve' if approval else 'Resume'}?"
        agreed = yes or screen.ask(question)
        if agreed is None or (not agreed and not approval):
            screen.talk.say(f"step {step.name} waits for a person, and nobody is there to say yes: cancelling")
            _cancel(alone, execution)
            return
        kind = SignalType.RESUME if not approval else SignalType.APPROVE if agreed else SignalType.REJECT
        me = alone.account.arn or "operator"
        try:
            alone.engine.signal(execution, Signal(type=kind, step_name=step.name, sender_arn=me, sender_may_all=True))
        except SignalRefused:
            continue  # it was over first


def _cancel(alone: "Alone", execution: str) -> None:
    from localcloud.automation.errors import CannotStop

    try:
        alone.engine.stop(execution)
    except CannotStop:
        return  # it was over first
