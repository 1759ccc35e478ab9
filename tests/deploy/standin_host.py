"""One process that has boto3 loaded and forks for every `aws` of a script: loading it takes longer than most calls.

`running` starts it and writes the program `aws`, which hands its words, surroundings and streams over.
"""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import FrameType

LOADED = ("cloudformation", "s3", "ssm", "sts")  # what scripts call most
MOST = 1 << 20  # bytes of words and surroundings
AWS = """#!{python} -IS
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as host:
    host.connect({address!r})
    asked = json.dumps([sys.argv[1:], dict(os.environ), os.getcwd()]).encode()
    socket.send_fds(host, [len(asked).to_bytes(4, "big")], [0, 1, 2])
    host.sendall(asked)
    sys.exit(int(host.recv(8) or b"70"))
"""


@contextmanager
def running(directory: Path) -> Iterator[Path]:
    """The folder with `aws`, to be put first on PATH."""
    address = str(directory / "host")
    (directory / "bin").mkdir()
    program = directory / "bin" / "aws"
    program.write_text(AWS.format(python=sys.executable, address=address))
    program.chmod(0o755)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, "-m", "tests.deploy.standin_host", address]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as host:
        assert host.stdout is not None
        assert host.stdout.readline() == "listens\n"
        yield program.parent
        host.terminate()


def serve(address: str) -> None:
    """Fork for whoever connects, until terminated."""
    import boto3
    import botocore.loaders
    from tests.deploy import standin

    botocore.loaders.create_loader = cache(botocore.loaders.create_loader)
    for service in LOADED:
        boto3.Session("x", "x", region_name="us-east-1").client(service)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how they ended: they have told it themselves
    signal.signal(signal.SIGTERM, _leave)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        print("listens", flush=True)  # noqa: T201 - read by `running`
        while True:
            asking, _ = listener.accept()
            with asking:
                if os.fork() == 0:
                    os._exit(_answer(asking, standin.main))


def _answer(asking: socket.socket, main: object) -> int:
    head, streams, _, _ = socket.recv_fds(asking, 4, 3)
    text = b""
    while len(text) < int.from_bytes(head, "big"):
        text += asking.recv(MOST)
    words, surroundings, place = json.loads(text)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    os.chdir(place)
    os.environ.clear()
    os.environ.update(surroundings)
    assert callable(main)
    try:
        code = main(words)
    except SystemExit as left:
        code = left.code
    sys.stdout.flush()
    sys.stderr.flush()
    asking.sendall(str(code).encode())
    return 0


def _leave(_number: int, _frame: FrameType | None) -> None:
    os._exit(0)


if __name__ == "__main__":
    serve(sys.argv[1])
