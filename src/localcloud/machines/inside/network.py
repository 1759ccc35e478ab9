"""A machine's network: only `lo`, with the machine's own address and those of the services that it may reach.

There is no wire: what listens on a service address inside is a socket handed out to the one server process.
"""

import fcntl
import ipaddress
import socket
import struct

_SIOCSIFFLAGS = 0x8914
_IFF_UP_RUNNING = 0x1 | 0x40
_RTM_NEWADDR = 20
_NLM_REQUEST_ACK_CREATE = 0x1 | 0x4 | 0x400
_NLMSG_ERROR = 2
_IFA_ADDRESS = 1
_IFA_LOCAL = 2
BACKLOG = 128


def bring_up(addresses: tuple[str, ...]) -> None:
    """Start `lo` and put the addresses on it, in this process's network namespace."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        fcntl.ioctl(probe, _SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", _IFF_UP_RUNNING))
    index = socket.if_nametoindex("lo")
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as link:
        link.bind((0, 0))
        for sequence, address in enumerate(addresses, start=1):
            _add_address(link, index=index, address=address, sequence=sequence)


def listen(address: str, port: int) -> socket.socket:
    """A listening socket inside the machine; it stays bound to the machine's network wherever it is handed."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((address, port))
    sock.listen(BACKLOG)
    return sock


def _add_address(link: socket.socket, *, index: int, address: str, sequence: int) -> None:
    packed = ipaddress.IPv4Address(address).packed
    attributes = b"".join(struct.pack("HH4s", 8, kind, packed) for kind in (_IFA_LOCAL, _IFA_ADDRESS))
    body = struct.pack("BBBBI", socket.AF_INET, 32, 0, 0, index) + attributes
    header = struct.pack("IHHII", 16 + len(body), _RTM_NEWADDR, _NLM_REQUEST_ACK_CREATE, sequence, 0)
    link.send(header + body)
    answer = link.recv(4096)
    kind = struct.unpack_from("H", answer, 4)[0]
    code = struct.unpack_from("i", answer, 16)[0] if kind == _NLMSG_ERROR else 0
    if code != 0:
        raise OSError(-code, f"cannot put {address} on lo")
