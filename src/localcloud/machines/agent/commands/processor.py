"""The node's queue of commands: at most five run, five wait, each id once; cancel, and what survives a restart."""

import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

from localcloud.machines.agent.commands import results as outcome
from localcloud.machines.agent.commands.documents import Document, parse
from localcloud.machines.agent.commands.execution import Execution, Surroundings
from localcloud.machines.agent.commands.plugin import AgentStopped, Place, Stop
from localcloud.machines.agent.commands.results import Reply
from localcloud.machines.agent.commands.states import CURRENT, PENDING, Record, States
from localcloud.machines.agent.commands.substitution import Lookup, Unreadable

WORKERS = 5
WAITING = 5
# A command that the machine's end interrupts again and again is given up.
MOST_RUNS = 3

# Sends a reply; `settled` is called once the service has it, or it lies on the disk.
Tell = Callable[[Reply, Callable[[], None]], None]


class Verdict(Enum):
    """What becomes of a message."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    FULL = "full"
    UNREADABLE = "unreadable"


@dataclass(slots=True)
class _Job:
    record: Record
    document: Document
    stop: Stop


class Processor:
    """All commands of one node. Threads may share it; `restart` is what to do when a script wants a reboot."""

    def __init__(
        self,
        states: States,
        surroundings: Surroundings,
        *,
        lookup: Lookup,
        tell: Mapping[str, Tell],
        restart: Callable[[], None],
    ) -> None:
        self._states = states
        self._around = surroundings
        self._lookup = lookup
        self._tell = tell
        self._restart = restart
        self._changed = threading.Condition()
        self._running: dict[str, _Job] = {}
        self._waiting: deque[_Job] = deque()
        self._threads: set[threading.Thread] = set()
        self._closed = False  # going down, or waiting for the reboot

    def offer(self, record: Record) -> tuple[Verdict, str]:
        """Look at a new command; an accepted one begins with `start`. The text: why it is unreadable."""
        command_id = record.command_id
        if self._states.seen("send", command_id):
            return Verdict.DUPLICATE, ""
        with self._changed:
            if self._closed or self._full():
                return Verdict.FULL, ""
        try:
            document = parse(record.content, self._lookup)
        except Unreadable as problem:
            return Verdict.UNREADABLE, str(problem)
        with self._changed:
            self._states.mark("send", command_id)
            self._states.save(record, PENDING)
            self._waiting.append(_Job(record, document, Stop()))
        return Verdict.ACCEPTED, ""

    def start(self) -> None:
        """Begin what waits, as far as there is room."""
        with self._changed:
            while not self._closed and self._waiting and len(self._running) < WORKERS:
                job = self._waiting.popleft()
                self._running[job.record.command_id] = job
                thread = threading.Thread(target=self._work, args=(job,), name="command", daemon=True)
                self._threads.add(thread)
                thread.start()

    def wait_for_room(self, stopping: threading.Event) -> None:
        """Block until another command would be taken, or `stopping`."""
        with self._changed:
            while not stopping.is_set() and (self._closed or self._full()):
                self._changed.wait(0.1)

    def cancel(self, command_id: str) -> bool:
        """End a command; whether it ran or waited. One that waits is taken out without a word, and its file stays.

        As the real agent: it runs after all when the agent starts the next time.
        """
        with self._changed:
            job = self._running.get(command_id)
            waiting = [each for each in self._waiting if each.record.command_id == command_id]
            for each in waiting:
                self._waiting.remove(each)
        if job is not None:
            job.stop.cancel()
        return job is not None or bool(waiting)

    def resume(self) -> None:
        """Take up what an earlier agent, or the machine before its restart, has left."""
        for record in [*self._states.left(CURRENT), *self._states.left(PENDING)]:
            try:
                document = parse(record.content, self._lookup)
            except Unreadable:
                self._states.forget(record)
                continue
            if record.runs >= MOST_RUNS and not _asked_for(record):
                self._give_up(record, document)
                continue
            with self._changed:
                self._waiting.append(_Job(record, document, Stop()))
        self.start()

    def close(self) -> None:
        """Stop taking up commands; scripts that run are left running. Returns once no reply will come any more."""
        with self._changed:
            self._closed = True
            jobs, threads = list(self._running.values()), list(self._threads)
        for job in jobs:
            job.stop.leave()
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join(1)

    def _full(self) -> bool:
        return len(self._running) + len(self._waiting) >= WORKERS + WAITING

    def _work(self, job: _Job) -> None:
        record = job.record
        try:
            status = self._execution(job).run(job.stop)
        except AgentStopped:
            return
        finally:
            with self._changed:
                self._running.pop(record.command_id, None)
                self._threads.discard(threading.current_thread())
                self._changed.notify_all()
        if status == outcome.REBOOT:
            with self._changed:
                self._closed = True
            self._restart()
        else:
            self.start()

    def _execution(self, job: _Job) -> Execution:
        record = job.record
        record.runs += 1
        self._states.save(record, CURRENT)
        environment = {**self._around.environment, "SSM_COMMAND_ID": record.command_id}
        place = Place(
            document=job.document,
            folder=self._states.orchestration(record.command_id),
            environment=environment,
            time_scale=self._around.time_scale,
        )

        def tell(reply: Reply) -> None:
            over = reply.status not in {outcome.IN_PROGRESS, outcome.REBOOT}
            self._tell[record.channel](reply, (lambda: self._states.forget(record)) if over else _nothing)

        return Execution(
            job.document,
            record,
            self._around,
            place=place,
            tell=tell,
            keep=lambda: self._states.save(record, CURRENT),
        )

    def _give_up(self, record: Record, document: Document) -> None:
        for step in document.steps:
            if step.name not in record.results:
                text = "The step was interrupted too often by the machine's end."
                record.results[step.name] = outcome.without_run(step.action, outcome.FAILED, text, code=1)
        job = _Job(record, document, Stop())
        with self._changed:
            self._waiting.append(job)


def _asked_for(record: Record) -> bool:
    return any(result.status == outcome.REBOOT for result in record.results.values())


def _nothing() -> None:
    """More replies will follow."""
