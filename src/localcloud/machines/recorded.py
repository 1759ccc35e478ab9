"""What a Windows machine, whose programs cannot run here, answers to a script: recorded output, given by hand."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

# Said on standard error of everything that is replayed; standard output may have to be parsed.
NOTICE = "This Windows server is simulated: its output was recorded, no script was run.\n"
BOOT_ID = "{boot_id}"  # in an output: the present boot's id


Ask = Callable[[str], str]  # what the metadata service answers to a URL; empty where there is none


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """The answer to scripts that hold the text `contains`; the first that fits counts.

    `after`: only once the update of this id is installed. `metadata`: the output is what the metadata service answers
    to the first URL of it in the script. `live`: the output is what this function makes of the script, for what no
    recording can hold, such as a document signed anew each time.
    """

    contains: str
    output: str = ""
    errors: str = ""
    exit_code: int = 0
    after: str = ""
    metadata: bool = False
    live: Callable[[str, Ask], str] | None = None

    def fits(self, script: str, installed: Iterable[str]) -> bool:
        """Whether this is the answer to `script` on a disk with these updates."""
        return self.contains in script and (not self.after or self.after in installed)
