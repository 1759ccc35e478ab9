"""All machines of one local cloud: made, booted a bounded number at a time, and gone without a trace at its end."""

import ipaddress
import itertools
import os
import shutil
import socket
import tempfile
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from localcloud.errors import CannotRun
from localcloud.machines import disk, host, unprivileged
from localcloud.machines.agent.places import AGENT_VERSION
from localcloud.machines.inside.configuration import Boot
from localcloud.machines.machine import Machine
from localcloud.machines.replayed import ReplayedMachine
from localcloud.machines.services import ServiceListeners, host_names
from localcloud.machines.spec import FIRMWARE, MachineSpec
from localcloud.machines.warm import Zygote
from localcloud.watchdog import Watchdog
from localcloud.world import World

FIRST_ADDRESS = ipaddress.IPv4Address("10.20.0.10")
# As many as two processors can boot without slowing each other to a crawl; the others wait for their turn.
BOOTS_AT_ONCE = 32
SEED = ".seed"  # no machine can have this name
# Disks live beside the cloud's state, or here in memory: a container's own files are an overlay, which bears no other.
FALLBACK_DISK_HOME = Path("/dev/shm")  # noqa: S108 - only a private folder in it is used


class Machines:
    """The servers of a world: `world.part(Machines)`. The first one costs a check of the host and a warm process."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._lock = threading.RLock()
        self._machines: dict[str, Machine] = {}
        self._addresses = itertools.count()
        self._turns = threading.BoundedSemaphore(BOOTS_AT_ONCE)
        self._zygote: Zygote | None = None
        self._home: Path | None = None
        self._services = ServiceListeners(world)
        self._closed = False

    @property
    def signing_key(self) -> str:
        """The armoured public key that signs the local packages."""
        host.requirements()
        return self._services.source.public_key

    @property
    def package_source(self) -> str:
        """The base URL of the local packages, as machines reach it."""
        region = self._world.region
        return f"https://s3.{region}.amazonaws.com/amazon-ssm-{region}/latest"

    @property
    def home(self) -> Path:
        """The folder that disks lie in. CannotRun as `create`."""
        return self._prepared()[1]

    @property
    def warm_process(self) -> int:
        """The process that forks machines; 0 before the first machine and after the end."""
        return self._zygote.pid if self._zygote is not None else 0

    @property
    def user_namespaces(self) -> bool:
        """Whether machines have users of their own, because we are not root."""
        return os.geteuid() != 0

    def prepare(self) -> None:
        """Check the host and start the warm process now, not with the first machine. CannotRun as `create`."""
        self._prepared()

    def create(self, spec: MachineSpec) -> Machine:
        """Make a machine; it is off. CannotRun if this host cannot run machines, ValueError if the name is taken."""
        zygote, home = self._prepared()
        with self._lock:
            if spec.name in self._machines:
                raise ValueError(f"there is a machine {spec.name!r} already")
            spec = self._with_address(spec)
            machine = self._make(spec, home / spec.name, zygote)
            self._machines[spec.name] = machine
        try:
            machine.directory.mkdir()
            machine.temporary_disk.mkdir()
            if isinstance(machine, ReplayedMachine):
                machine.make_disk()
            else:
                disk.make(machine.disk, spec, authority=self._world.authority.pem, agent_version=AGENT_VERSION)
            (machine.directory / "instance-id").write_text(uuid.uuid4().hex)
        except BaseException:
            self.destroy(machine)
            raise
        return machine

    def get(self, name: str) -> Machine:
        """The machine of that name; KeyError if there is none."""
        with self._lock:
            return self._machines[name]

    def all(self) -> list[Machine]:
        """Every machine that is not destroyed, the oldest first."""
        with self._lock:
            return list(self._machines.values())

    def destroy(self, machine: Machine) -> None:
        """Cut a machine's power and delete its disk. Safe to repeat."""
        machine.cut_power()
        with self._lock:
            self._machines.pop(machine.name, None)
        disk.remove(machine.directory)
        machine.destroyed()

    def refresh_names(self) -> None:
        """Let every machine know the APIs that exist now; each boot does so for its machine."""
        for machine in self.all():
            self._write_names(machine)

    def close(self) -> None:
        """Destroy every machine and end the warm process. Safe to repeat."""
        with self._lock:
            self._closed = True
            machines = list(self._machines.values())
        if machines:
            with ThreadPoolExecutor(max_workers=8) as pool:
                list(pool.map(self.destroy, machines))
        with self._lock:
            zygote, self._zygote = self._zygote, None
            home, self._home = self._home, None
        if zygote is not None:
            zygote.close()
        if home is not None:
            disk.remove(home)

    def _make(self, spec: MachineSpec, directory: Path, zygote: Zygote) -> Machine:
        if spec.image.replayed:
            return ReplayedMachine(spec, directory=directory, world=self._world)
        return Machine(
            spec,
            directory=directory,
            start=self._starter(zygote),
            serve=self._services.serve,
            turns=self._turns,
        )

    # -- the first machine

    def _prepared(self) -> tuple[Zygote, Path]:
        with self._lock:
            if self._closed:
                raise CannotRun("this local cloud has stopped")
            if self._zygote is None or self._home is None:
                host.requirements()
                zygote = Zygote()
                try:
                    self._home = self._choose_home(zygote)
                except BaseException:
                    zygote.close()
                    raise
                self._zygote = zygote
                if self.user_namespaces:
                    unprivileged.seed(self._home / SEED)
            return self._zygote, self._home

    def _choose_home(self, zygote: Zygote) -> Path:
        """A folder in which an overlay's upper layer works."""
        why = ""
        for parent in (self._world.state_dir, FALLBACK_DISK_HOME):
            home = Path(tempfile.mkdtemp(prefix="machines-", dir=parent))
            trial = home / "trial"
            trial.mkdir()
            reason = zygote.probe(trial, user_namespace=self.user_namespaces)
            disk.remove(trial)
            if not reason:
                self._world.part(Watchdog).watch(home)
                return home
            why = why or reason
            shutil.rmtree(home)
        raise host.refusal(why, root=not self.user_namespaces)

    def _with_address(self, spec: MachineSpec) -> MachineSpec:
        if spec.ip:
            return spec
        return replace(spec, ip=str(FIRST_ADDRESS + next(self._addresses)))

    # -- each boot

    def _starter(self, zygote: Zygote) -> Callable[[Machine, socket.socket, int], None]:
        def start(machine: Machine, control: socket.socket, console: int) -> None:
            self._write_names(machine)
            boot_file = machine.directory / "boot.json"
            self._boot(machine).write(boot_file)
            zygote.boot(boot_file, control=control, console=console)

        return start

    def _boot(self, machine: Machine) -> Boot:
        spec = machine.spec
        return Boot(
            name=spec.name,
            instance_id=(machine.directory / "instance-id").read_text(),
            boot_id=str(uuid.uuid4()),
            directory=str(machine.directory),
            disk=str(machine.disk),
            temporary=str(machine.temporary_disk) if spec.cloud == "azure" else "",
            addresses=(spec.ip, *self._services.addresses),
            listeners=self._services.listeners(spec),
            user_namespace=self.user_namespaces,
            seed=str(machine.directory.parent / SEED) if self.user_namespaces else "",
            overlays=disk.overlays(),
            own=disk.OWN,
            firmware=FIRMWARE[spec.cloud],
            user_data=spec.user_data,
            time_scale=self._world.clock.scaled(timedelta(seconds=1)).total_seconds(),
        )

    def _write_names(self, machine: Machine) -> None:
        spec = machine.spec
        lines = ["127.0.0.1 localhost", f"{spec.ip} {spec.name}.{spec.cloud}.internal {spec.name}"]
        lines += [f"{address} {name}" for address, name in host_names(self._world, spec.vpce_id)]
        # In place: a running machine has this very file mounted.
        (machine.directory / "hosts").write_text("".join(f"{line}\n" for line in lines))
