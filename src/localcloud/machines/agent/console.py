"""What the agent prints and logs, in its own words."""

import sys
from datetime import UTC, datetime

from localcloud.machines.agent.places import CONFIGURATION, Configuration, Places


class Console:
    """Standard output, standard error and the agent's log file."""

    def __init__(self, places: Places, configuration: Configuration, *, quiet: bool = False) -> None:
        """`quiet`: only the log file is written."""
        self._places = places
        self._configuration = configuration
        self._quiet = quiet

    def open(self) -> None:
        """The lines before any work."""
        self._print("Error occurred fetching the seelog config file path:  ", end="")
        self._print("open /etc/amazon/ssm/seelog.xml: no such file or directory")
        self._print("Initializing new seelog logger")
        self._print("New Seelog Logger Creation Complete")
        if self._configuration.present:
            stamp = datetime.now(UTC).strftime("%Y/%m/%d %H:%M:%S")
            for prefix in (f"{stamp} ", ""):
                print(f"{prefix}Found config file at {CONFIGURATION}.", file=sys.stderr)  # noqa: T201
                print(f"{prefix}processing appconfig overrides", file=sys.stderr)  # noqa: T201
        self.configured()

    def configured(self) -> None:
        """Said each time the configuration is read."""
        if self._configuration.present:
            self._print(f"Applying config override from {CONFIGURATION}.")

    def say(self, level: str, text: str) -> None:
        """One log line, on the console and in the file."""
        now = datetime.now(UTC)
        line = f"{now.strftime('%Y-%m-%d %H:%M:%S')}.{now.microsecond // 100:04d} {level} {text}"
        self._print(line)
        try:
            self._places.log.mkdir(parents=True, exist_ok=True)
            with (self._places.log / "amazon-ssm-agent.log").open("a") as log:
                log.write(line + "\n")
        except OSError as error:
            print(f"cannot write the log: {error}", file=sys.stderr)  # noqa: T201

    def _print(self, text: str, end: str = "\n") -> None:
        if not self._quiet:
            print(text, end=end, flush=True)  # noqa: T201 - the agent's own console
