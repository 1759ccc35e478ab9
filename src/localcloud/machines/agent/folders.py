"""The folders and sockets that a running agent keeps, as recorded."""

import socket

from localcloud.machines.agent.places import Places, make_directory

NODE_FOLDERS = (
    "document/state/completed",
    "document/state/corrupt",
    "document/state/current",
    "document/state/pending",
    "idempotency",
    "inventory/custom",
    "inventory/file",
    "inventory/role",
    "longrunningplugins/datastore",
    "longrunningplugins/healthcheck",
    "replies",
    "replies_mgs",
)


def prepare_folders(places: Places, node_id: str) -> None:
    """Make everything below the data folder that the agent's start makes. Safe to repeat."""
    for name in ("daemons", "localcommands/completed", *(f"{node_id}/{folder}" for folder in NODE_FOLDERS)):
        path = places.data
        for part in name.split("/"):
            path = path / part
            make_directory(path, 0o700)
    make_directory(places.data / "ipc", 0o750)
    for name in ("health", "termination"):
        path = places.data / "ipc" / name
        path.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as channel:
            channel.bind(str(path))  # the file stays; nobody talks to it
        path.chmod(0o755)
