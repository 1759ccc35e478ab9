"""Package archives that come out the same every time: tar and ar without clock, user or order of a file system."""

import gzip
import io
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass

# 2026-01-01: some time after every tool's idea of a sensible one.
TIMESTAMP = 1767225600


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A file of an archive; its folders come of themselves."""

    path: str  # relative, without ./
    content: bytes
    mode: int = 0o644


def tar(entries: Iterable[Entry]) -> bytes:
    """A tar archive, owned by root."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as archive:
        folders: set[str] = set()
        for entry in sorted(entries, key=lambda entry: entry.path):
            for folder in _parents(entry.path):
                if folder not in folders:
                    folders.add(folder)
                    archive.addfile(_header(folder + "/", mode=0o755, kind=tarfile.DIRTYPE))
            header = _header(entry.path, mode=entry.mode, kind=tarfile.REGTYPE)
            header.size = len(entry.content)
            archive.addfile(header, io.BytesIO(entry.content))
    return out.getvalue()


def zipped(content: bytes) -> bytes:
    """gzip without a name or a time."""
    return gzip.compress(content, compresslevel=6, mtime=0)


def ar(members: Iterable[tuple[str, bytes]]) -> bytes:
    """An ar archive, the outer shape of a .deb."""
    out = [b"!<arch>\n"]
    for name, content in members:
        out.append(f"{name:<16}{TIMESTAMP:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n".encode())
        out.append(content + b"\n" * (len(content) % 2))
    return b"".join(out)


def _parents(path: str) -> list[str]:
    parts = path.split("/")[:-1]
    return ["./" + "/".join(parts[:length]) for length in range(1, len(parts) + 1)]


def _header(path: str, *, mode: int, kind: bytes) -> tarfile.TarInfo:
    header = tarfile.TarInfo(path if path.startswith("./") else f"./{path}")
    header.mode, header.type, header.mtime = mode, kind, TIMESTAMP
    header.uname = header.gname = "root"
    return header
