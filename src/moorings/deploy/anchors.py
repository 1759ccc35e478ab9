"""Trust anchors as files of a layer: which authorities may have signed what a node or a cloud shows.

The directory is the operator's, filled by `moorings anchors update`; nothing of it is shipped with the project.
Functions find it as the package `moorings_anchors`; without it they refuse what they cannot verify.
"""

from collections.abc import Mapping
from pathlib import Path

from moorings.errors import Misconfigured

PACKAGE = "moorings_anchors"
# File → what it holds.
FILES: Mapping[str, str] = {
    "roots.pem": "roots that attested documents may chain to, beside those that certifi has",
    "issuers.pem": "issuing authorities of attested documents",
    "tls.pem": "authorities of the cloud's own endpoints, in place of certifi's",
}
_INIT = b'"""Trust anchors, bundled when the stack was deployed."""\n'
_CERTIFICATE = "-----BEGIN CERTIFICATE-----"


def anchor_files(directory: Path) -> dict[str, bytes]:
    """The package of anchors: path in the zip → content.

    Misconfigured if the directory holds none of `FILES`, or one that is no list of certificates.
    """
    contents = {name: (directory / name).read_bytes() for name in FILES if (directory / name).is_file()}
    if not contents:
        raise Misconfigured(
            f"{directory} holds no trust anchors",
            remedy=f"put {', '.join(FILES)} there (PEM), or leave the setting empty",
        )
    for name, content in contents.items():
        text = content.decode("ascii", errors="replace")
        # A layer can be read by whoever may read the function: certificates alone belong there.
        if _CERTIFICATE not in text or "PRIVATE KEY" in text:
            raise Misconfigured(
                f"{directory / name} does not hold certificates, or not certificates alone",
                remedy=f"put PEM certificates there: {FILES[name]}",
            )
    return {f"{PACKAGE}/__init__.py": _INIT, **{f"{PACKAGE}/{name}": content for name, content in contents.items()}}
