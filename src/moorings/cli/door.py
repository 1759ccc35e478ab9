"""The outermost door: every way that a command can end becomes an exit code, and at most two lines on stderr."""

import os
import sys
import tempfile
import traceback
from collections.abc import Callable

from rich.console import Console
from rich.text import Text
from typer.exceptions import Abort, Exit, TyperException

from moorings.cli.terminal import clean
from moorings.errors import OK_EXIT, OUR_BUG, MooringsError, family_of

USAGE_EXIT = 2
INTERRUPTED_EXIT = 130  # 128 + SIGINT, as shells have it
BROKEN_PIPE_EXIT = 141  # 128 + SIGPIPE


def guarded(command: Callable[[], object]) -> int:
    """Run a command and answer its exit code, which it names by raising; nothing is raised from here."""
    try:
        command()
    except Exit as end:
        code = end.exit_code
    except MooringsError as error:
        code = _tell(error.message, error.remedy, code=family_of(error).exit_code)
    except TyperException as error:
        code = _usage(error)
    except (KeyboardInterrupt, Abort):
        code = _tell("stopped before it was done", "", code=INTERRUPTED_EXIT)
    except BrokenPipeError:
        # Whoever read our output has gone (`| head`); nothing may be written to it at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = BROKEN_PIPE_EXIT
    except Exception as error:  # the outermost door
        code = _bug(error)
    else:
        code = OK_EXIT
    return code


def _usage(error: TyperException) -> int:
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "moorings"
    if type(error).__name__ == "NoArgsIsHelpError":
        Console(stderr=True, highlight=False, markup=False).print(error.format_message(), soft_wrap=True)
        return USAGE_EXIT
    return _tell(error.format_message(), f"see `{path} --help`", code=USAGE_EXIT)


def _bug(error: Exception) -> int:
    # Only the trace: values of variables, which could hold a secret, are not in it.
    with tempfile.NamedTemporaryFile("w", prefix="moorings-", suffix=".trace", delete=False) as file:
        file.writelines(traceback.format_exception(error))
    message = f"unexpected {type(error).__name__}; this is a bug of ours, its trace is in {file.name}"
    return _tell(message, "report it with that file", code=OUR_BUG.exit_code)


def _tell(message: str, remedy: str, *, code: int) -> int:
    console = Console(stderr=True, highlight=False, markup=False, emoji=False)
    line = " ".join(clean(message).split())
    console.print(Text.assemble(("moorings: ", "bold red"), line), soft_wrap=True)
    if remedy:
        console.print(Text.assemble(("  remedy: ", "bold"), " ".join(clean(remedy).split())), soft_wrap=True)
    return code
