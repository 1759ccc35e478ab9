"""Where publishers keep the authorities of Azure's attested documents, and how one is fetched.

What comes from there is not trusted for where it comes from: a root must be the pinned one to the byte, everything else
must lead to such a root. So plain HTTP, a proxy or a mirror can withhold an authority, and never slip one in.
Source: reference/node-attestation, section 3; Azure certificate authority details; the IMDS certificate pages of Azure.
"""

import urllib.error
import urllib.request
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPException
from urllib.parse import quote

from moorings.attestation.authorities import Authority, read
from moorings.errors import CloudFault, Invalid

LARGEST = 64 * 1024  # bytes; a certificate has about two thousand
SECONDS = 15.0
_MICROSOFT = "https://www.microsoft.com/pkiops/certs"
_AIA = "http://caissuers.microsoft.com/pkiops/certs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One authority: where it lies, and, of a root, the SHA-256 of its certificate."""

    name: str
    addresses: tuple[str, ...]  # tried in this order
    pin: str = ""

    @property
    def file(self) -> str:
        """What it is called in a mirror."""
        return self.addresses[0].rpartition("/")[2]


def _of_microsoft(name: str, *, file: str = "", pin: str = "") -> Source:
    path = quote(f"{file or name}.crt")
    return Source(name=name, addresses=(f"{_MICROSOFT}/{path}", f"{_AIA}/{path}"), pin=pin)


# Pins were computed from certifi's bundle, and tests hold them to it. Any other root is its operator's to confirm;
# `Microsoft TLS RSA Root G2` needs no trust of its own, because the first of these has signed it too.
ROOTS = (
    Source(
        name="DigiCert Global Root G2",
        addresses=("https://cacerts.digicert.com/DigiCertGlobalRootG2.crt",),
        pin="cb3ccbb76031e5e0138f8dd39a23f9de47ffc35e43c1144cea27d46a5ab1cb5f",
    ),
    _of_microsoft(
        "Microsoft RSA Root Certificate Authority 2017",
        pin="c741f70f4b2a8d88bf2e71c14122ef53ef10eba0cfa5e64cfa20f418853073e0",
    ),
)
ISSUERS = (
    *(_of_microsoft(f"Microsoft Azure RSA TLS Issuing CA {number:02}") for number in (3, 4, 7, 8)),
    _of_microsoft("Microsoft TLS RSA Root G2", file="Microsoft TLS RSA Root G2 - xsign"),
    *(_of_microsoft(f"Microsoft TLS G2 RSA CA OCSP {number:02}") for number in range(2, 17, 2)),
)
PUBLISHED = (*ROOTS, *ISSUERS)


def fetch(source: Source, *, mirror: str = "") -> Authority:
    """The authority as its publisher has it, or as `mirror` (a URL, the files below it) has it.

    CloudFault if none of the addresses has a certificate; Invalid if a root is another than the pinned one.
    """
    addresses = (f"{mirror.rstrip('/')}/{source.file}",) if mirror else source.addresses
    refused: list[str] = []
    for address in addresses:
        try:
            (found,) = read(_downloaded(address))
        except (OSError, HTTPException, ValueError) as error:
            refused.append(f"{address}: {_told(error)}")
            continue
        if source.pin and found.fingerprint != source.pin:
            raise Invalid(
                f"{address} holds another certificate than {source.name}: SHA-256 {found.fingerprint}",
                remedy="find out who answers there; nothing of it was kept",
            )
        return found
    raise CloudFault(
        "; ".join(refused), call="anchors:Fetch", remedy="check network and proxy, or give files by --from"
    )


def _downloaded(address: str) -> bytes:
    if not address.lower().startswith(("https://", "http://")):
        raise ValueError("is no address of the web")
    with urllib.request.urlopen(address, timeout=SECONDS) as answer:  # noqa: S310 - only the web, see above
        content: bytes = answer.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise ValueError("is longer than any certificate")
    return content


def _told(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"{error.code} {HTTPStatus(error.code).phrase if error.code in set(HTTPStatus) else ''}".strip()
    if isinstance(error, urllib.error.URLError):
        return str(error.reason)
    return str(error) or type(error).__name__
