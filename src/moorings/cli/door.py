"""The outermost door: every way that a command can end becomes an exit code, and at most two lines on stderr.

Whoever asked for JSON gets an error as one object on one line, the last one on stderr; nothing is on stdout then.
"""

import errno
import json
import sys
from collections.abc import Callable, Mapping
from typing import Any

from typer.exceptions import Abort, Exit, TyperException

from moorings.cli.streams import drain, mute, says_everything
from moorings.errors import (
    NOT_WELL_EXIT,
    OK_EXIT,
    OUR_BUG,
    Busy,
    CloudFault,
    Misconfigured,
    MooringsError,
    family_of,
)
from moorings.settings import wants_colour

USAGE_EXIT = 2
INTERRUPTED_EXIT = 130  # 128 + SIGINT, as shells have it
BROKEN_PIPE_EXIT = 141  # 128 + SIGPIPE
EXITS: Mapping[int, str] = {
    OK_EXIT: "done",
    NOT_WELL_EXIT: "done, but not well: some of it did not work, and the output says what",
    USAGE_EXIT: "the command or a setting is wrong",
    3: "refused: you may not, you said no, or somebody else was faster",
    4: "busy: try again",
    5: "a cloud's API failed; the line names the call and its request id",
    OUR_BUG.exit_code: "a bug of ours; the line names the file with the trace",
    INTERRUPTED_EXIT: "stopped by Ctrl-C; run the same command again",
    BROKEN_PIPE_EXIT: "who read the output has gone, as `head` does",
}

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
_CLOSED = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})


def guarded(command: Callable[[], object], *, as_json: bool = False) -> int:
    """Run a command and answer its exit code, which it names by raising; nothing is raised from here."""
    try:
        code = _ended(command, as_json=as_json)
        sys.stdout.flush()  # here, where a reader that has gone can still be met
    except BrokenPipeError:
        # Whoever read our output has gone (`| head`); nothing may be written to it at exit either.
        mute(sys.stdout, sys.stderr)
        code = BROKEN_PIPE_EXIT
    except OSError as error:
        code = _told(_about_a_place(error), as_json=as_json)
    except KeyboardInterrupt:  # once more, while the line about the first was written
        code = INTERRUPTED_EXIT
    return code


def _ended(command: Callable[[], object], *, as_json: bool) -> int:
    try:
        command()
    except Exit as end:
        return end.exit_code
    except MooringsError as error:
        return _told(error, as_json=as_json)
    except TyperException as error:
        return _usage(error, as_json=as_json)
    except (KeyboardInterrupt, Abort):
        return _tell("stopped before it was done", "", "interrupted", code=INTERRUPTED_EXIT, as_json=as_json)
    except Exception as error:  # the outermost door
        if _is_of_a_place(error):
            raise
        return _bug(error, as_json=as_json)
    return OK_EXIT


def _is_of_a_place(error: Exception) -> bool:
    """Whether a place that is written to is full, closed, or has nobody reading: no bug of ours."""
    if not isinstance(error, OSError):
        return False
    refused = error.errno in _CLOSED and bool(error.filename)
    return isinstance(error, BrokenPipeError) or error.errno in _FULL or refused


def _about_a_place(error: OSError) -> Misconfigured:
    """The same in our words."""
    drain(sys.stdout)  # if it was that one, it would fail once more at exit
    remedy = "free some room there" if error.errno in _FULL else "name another place, or be allowed to use that one"
    return Misconfigured(
        f"{error.filename or 'standard output, or a file'}: {error.strerror}",
        remedy=f"{remedy}, then run the same command again",
    )


def _told(error: MooringsError, *, as_json: bool) -> int:
    family = family_of(error)
    more = _more(error) if as_json else {}
    return _tell(error.message, error.remedy, family.word, code=family.exit_code, as_json=as_json, **more)


def _more(error: MooringsError) -> dict[str, Any]:
    """What a program can make use of besides."""
    if isinstance(error, CloudFault):
        found = {"call": error.call, "request_id": error.request_id, "cloud_code": error.code}
        return {name: value for name, value in found.items() if value}
    return {"retry_after_seconds": error.retry_after.total_seconds()} if isinstance(error, Busy) else {}


def _usage(error: TyperException, *, as_json: bool) -> int:
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "moorings"
    if type(error).__name__ == "NoArgsIsHelpError":
        if context is not None:
            context.color = wants_colour(terminal=sys.stderr.isatty())
        brief = getattr(getattr(context, "command", None), "brief", None)
        sys.stderr.write((brief(context) if brief else error.format_message()) + "\n")
        return USAGE_EXIT
    # Whoever checks values says first that it is an error of values, which nobody needs to know.
    message, remedy = _of_usage(error, context).replace("Value error, ", ""), f"see `{path} --help`"
    return _tell(message.rstrip("."), remedy, "usage", code=USAGE_EXIT, as_json=as_json)


def _of_usage(error: TyperException, context: Any) -> str:
    """What is wrong, with the variable in the place of the option that it stands for: nobody typed that."""
    from moorings.cli.tree import from_surroundings

    message, param = error.format_message(), getattr(error, "param", None)
    if context is None or param is None or not from_surroundings(context, param):
        return message
    return f"Invalid value for {param.envvar}: {error.message}"


def _bug(error: Exception, *, as_json: bool) -> int:
    import tempfile
    import traceback

    message, more = f"unexpected {type(error).__name__}; this is a bug of ours", {}
    try:
        # Only the trace: values of variables, which could hold a secret, are not in it.
        with tempfile.NamedTemporaryFile("w", prefix="moorings-", suffix=".trace", delete=False) as file:
            file.writelines(traceback.format_exception(error))
    except OSError as unstored:
        message += f", and its trace cannot be stored: {unstored.strerror}"
        remedy = "let TMPDIR name a folder that has room, run it again, and report it with the file"
    else:
        message += f", its trace is in {file.name}"
        remedy, more = "report it with that file", {"trace": file.name}
    return _tell(message, remedy, OUR_BUG.word, code=OUR_BUG.exit_code, as_json=as_json, **more)


def _tell(message: str, remedy: str, word: str, *, code: int, as_json: bool, **more: Any) -> int:
    from moorings.cli.terminal import clean

    message, remedy = (" ".join(clean(each).split()) for each in (message, remedy))
    try:
        if as_json:
            told = {"error": word, "message": message, "remedy": remedy, "exit_code": code, **more}
            sys.stderr.write(json.dumps(told, ensure_ascii=not says_everything(sys.stderr)) + "\n")
        else:
            _say(message, remedy)
        sys.stderr.flush()
    except BrokenPipeError:
        raise
    except OSError:  # nobody can be told; the exit code still says it
        mute(sys.stderr)
    return code


def _say(message: str, remedy: str) -> None:
    from rich.text import Text

    from moorings.cli.terminal import console_on

    console = console_on(sys.stderr)
    console.print(Text.assemble(("moorings: ", "bold red"), message), soft_wrap=True)
    if remedy:
        console.print(Text.assemble(("  remedy: ", "bold"), remedy), soft_wrap=True)
