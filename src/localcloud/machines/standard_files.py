"""Standard input, output and error of one command inside a machine, kept in memory."""

import os


class StandardFiles:
    """Three open files without a name; hand `descriptors` to the command, read the results once it has ended."""

    def __init__(self, given: bytes | None) -> None:
        self.descriptors = [os.memfd_create(name, os.MFD_CLOEXEC) for name in ("stdin", "stdout", "stderr")]
        if given:
            os.write(self.descriptors[0], given)
            os.lseek(self.descriptors[0], 0, os.SEEK_SET)

    def __enter__(self) -> "StandardFiles":
        return self

    def __exit__(self, *_: object) -> None:
        for descriptor in self.descriptors:
            os.close(descriptor)

    @property
    def output(self) -> str:
        """What was written to standard output so far."""
        return self._text(1)

    @property
    def errors(self) -> str:
        """What was written to standard error so far."""
        return self._text(2)

    def _text(self, number: int) -> str:
        descriptor = self.descriptors[number]
        return os.pread(descriptor, os.fstat(descriptor).st_size, 0).decode(errors="replace")
