"""Supervisor: the process that `./run.sh --workers N` is. It listens, and N mitmdumps accept at its socket.

SIGTERM and SIGINT are passed on, and end it when all workers have ended. SIGHUP replaces it by the program that is
installed now, as the same process, and then the workers one by one (on a terminal it says that the terminal has gone:
then it is a SIGTERM). Whoever hangs up the line to a worker ends it: no
worker outlives its parent. What is done when is decided in fleet.py.
"""

import os
import signal

if __name__ == "__main__":
    for early in (signal.SIGINT, signal.SIGTERM):
        signal.signal(early, lambda _number, _frame: os._exit(0))  # nothing has begun yet
    signal.signal(signal.SIGHUP, signal.SIG_IGN)

import argparse
import asyncio
import errno
import itertools
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from addons.process.hub import Hub
from addons.process.workers import fleet
from addons.process.workers.asking import Question
from addons.process.workers.balance import fewest
from addons.process.workers.cores import cores
from addons.process.workers.inheritance import HUB, Inheritance
from addons.process.workers.line import Line, Message, connected
from addons.process.workers.silence import Silence
from addons.process.workers.succession import HELD_BACK, Adopted, Child, Heir, Succession
from addons.wire import limits

LAUNCH: Final = Path(__file__).parents[1] / "launch.py"
CHECK: Final = "--check"
"""The argument with which this program only sees whether it can be started."""
ANSWERS_WITHIN: Final = 1.0
"""Seconds after which a worker that was asked is left out of the answer."""
NOBODY_ASKS: Final = 0
"""The number of a question that only wants any answer."""


class Process:
    """A worker that runs."""

    def __init__(self, worker: int, number: int, process: Child, line: Line) -> None:
        self.worker, self.number, self.process, self.line = worker, number, process, line
        self.is_ready = False
        self.clients = 0
        self.fewest: int | None = None
        """What it knows of the others' connections."""


class Supervisor:
    """Does what the fleet decides."""

    def __init__(self, size: int, command: Sequence[str], listening: Sequence[socket.socket], hub: Hub) -> None:
        self.fleet = fleet.Fleet(size)
        self.command, self.listening, self.hub = command, listening, hub
        self.processes: dict[int, Process] = {}
        self.tasks: set[asyncio.Task[None]] = set()
        self.happened = asyncio.Event()
        """Something that may change what is due."""
        self.ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.questions: dict[int, Question] = {}
        self.numbers = itertools.count(1)
        self.silence = Silence()
        self.has_welcomed = False
        self.is_succeeded = False
        """Whether this program is about to end, and another to go on."""

    async def run(self, before: Succession | None = None) -> int:
        """Serve, or go on; returns the exit status."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop, number)
        if os.isatty(0):
            loop.add_signal_handler(signal.SIGHUP, self.stop, signal.SIGTERM)
        else:
            loop.add_signal_handler(signal.SIGHUP, self.renew)
        if before:
            await self.adopt(before.workers)
        else:
            self.act(self.fleet.begin(time.monotonic()))
        self.keep(self.watch())
        while not self.ended.done():
            self.happened.clear()
            due = self.fleet.next_due()
            wait = None if due is None else max(0.0, due - time.monotonic())
            try:
                async with asyncio.timeout(wait):
                    await self.happened.wait()
            except TimeoutError:
                self.act(self.fleet.time_passed(time.monotonic()))
        return self.ended.result()

    def stop(self, number: int) -> None:
        """Have all workers end."""
        self.act(self.fleet.stop(number))

    def renew(self) -> None:
        """Replace all workers, and begin with this program."""
        if self.fleet.has_served and not self.fleet.is_ending and not self.is_succeeded:
            self.is_succeeded = True
            self.keep(self.succeed())

    async def succeed(self) -> None:
        """Go on as the program that is installed now, if that can be started."""
        trial = await asyncio.create_subprocess_exec(sys.executable, "-P", __file__, CHECK)
        if await trial.wait():
            self.is_succeeded = False
            self.say("nothing is replaced: what is installed can't be started")
            return
        while not await self.holds_still():  # noqa: ASYNC110  # nobody says when
            await asyncio.sleep(0.01)
        if self.fleet.is_ending:
            return
        going_on = Succession(
            listening=[one.fileno() for one in self.listening],
            hub=str(self.hub.path),
            hub_listening=self.hub.listening,
            workers=[self.heir(one) for one in self.processes.values()],
        )
        with suppress(OSError, ValueError):  # then it is counted anew
            self.hub.bequeath()
        for number in going_on.descriptors():
            os.set_inheritable(number, True)
        os.execve(sys.executable, [sys.executable, "-P", *sys.argv], {**os.environ, **going_on.written()})  # noqa: S606

    async def holds_still(self) -> bool:
        """Whether nothing is under way, and no signal either: from then on they are held back, for whoever goes on."""
        if self.is_quiet():
            signal.pthread_sigmask(signal.SIG_BLOCK, HELD_BACK)
            await asyncio.sleep(0.001)  # one that came before is heard
            if self.is_quiet() and not self.fleet.is_ending:
                return True
            signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD_BACK)
        return self.fleet.is_ending

    def is_quiet(self) -> bool:
        """Whether nothing is under way between workers, and none is being started."""
        known = self.processes.keys() == self.fleet.workers.keys()
        ready = all(one.is_ready and one.line.is_quiet for one in self.processes.values())
        return self.fleet.is_ending or (known and ready and not self.questions)

    def heir(self, one: Process) -> Heir:
        """What is to be known of a worker that runs on."""
        descriptor = one.line.writer.get_extra_info("socket").fileno()
        return Heir(one.number, one.process.pid, descriptor, one.clients, not self.fleet.stays(one.worker))

    async def adopt(self, heirs: Sequence[Heir]) -> None:
        """Take over the workers that run, and replace them; a signal that was held back is heard after that."""
        lines = [await connected(socket.socket(fileno=one.line)) for one in heirs]
        now = time.monotonic()
        self.has_welcomed = True
        for one, line in zip(heirs, lines, strict=True):
            worker = self.fleet.adopt(one.number, now, leaving=one.leaving)
            process = self.processes[worker] = Process(worker, one.number, Adopted(one.pid), line)
            process.is_ready, process.clients = True, one.clients
            self.keep(self.accompany(process))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD_BACK)  # before a worker inherits it
        self.act(self.fleet.go_on(now))

    def act(self, actions: Sequence[fleet.Action]) -> None:
        """Do what was decided."""
        for action in actions:
            match action:
                case fleet.Start(worker, number):
                    self.keep(self.start(worker, number))
                case fleet.Leave(worker):
                    self.processes[worker].line.say(leave=True)
                case fleet.Send(worker, number):
                    if one := self.processes.get(worker):
                        with suppress(ProcessLookupError):
                            one.process.send_signal(number)
                case fleet.Say(text):
                    self.say(text)
                case fleet.End(status):
                    if not self.ended.done():
                        self.ended.set_result(status)
        self.happened.set()

    def keep(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Have a task run, and keep it until it is done."""
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    def say(self, text: str) -> None:
        """Have a worker log a line, as its log is formed; without one, write it."""
        if speaker := min(self.answering(), key=by_number, default=None):
            speaker.line.say(log=text)
        else:
            sys.stderr.write(f"gateway: {text}\n")

    def answering(self) -> list[Process]:
        """The workers from which an answer may be expected."""
        return [one for one in self.processes.values() if one.is_ready and self.silence.answers(one.worker)]

    async def watch(self) -> None:
        """Have those killed that hang; `Siblings.answer` answers what nobody serves."""
        while True:
            await asyncio.sleep(self.silence.every)
            ready = [one for one in self.processes.values() if one.is_ready]
            for hanging in self.silence.look(one.worker for one in ready):
                self.act(self.fleet.hangs(hanging))
            for one in ready:
                one.line.say(ask=NOBODY_ASKS, name="alive", arguments={})

    async def start(self, worker: int, number: int) -> None:
        """Start a process, and wait until it has ended."""
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD_BACK)  # it would hold back what we do
        ours, its = socket.socketpair()
        inherited = Inheritance(
            number=number,
            count=self.fleet.size,
            listening=[one.fileno() for one in self.listening],
            line=its.fileno(),
            welcomes=number == 1 and not self.has_welcomed,
        )
        try:
            process = await asyncio.create_subprocess_exec(
                *self.command,
                env={**os.environ, HUB: str(self.hub.path), **inherited.written()},
                pass_fds=[*inherited.listening, inherited.line],
                process_group=0,  # what a terminal sends to all of a group is for the parent to pass on
            )
        except OSError as error:
            ours.close()
            self.say(f"worker {number} can't be started: {error.strerror}")
            self.act(self.fleet.ended(worker, 1, time.monotonic()))
            return
        finally:
            its.close()
        one = self.processes[worker] = Process(worker, number, process, await connected(ours))
        if self.fleet.is_ending:  # the signal came while it was being started
            process.send_signal(signal.SIGTERM)
        await self.accompany(one)

    async def accompany(self, one: Process) -> None:
        """Listen to a process until it has ended."""
        listening = self.keep(self.listen_to(one))
        status = await one.process.wait()
        await asyncio.wait([listening], timeout=ANSWERS_WITHIN)  # its last words
        del self.processes[one.worker]
        one.line.close()
        self.tell_fewest()
        for question in list(self.questions.values()):
            question.left(one.worker)
        self.act(self.fleet.ended(one.worker, status, time.monotonic()))

    async def listen_to(self, one: Process) -> None:
        """Take what a worker says, for as long as it lives."""
        async for message in one.line.messages():
            self.silence.heard(one.worker)
            if message.get("ready"):
                one.is_ready = self.has_welcomed = True
                self.act(self.fleet.became_ready(one.worker, time.monotonic()))
            elif "clients" in message:
                one.clients = message["clients"]
                self.tell_fewest()
            elif "estate" in message:
                one.is_ready = False  # it hears nothing any more
                self.bequeath(one, message)
            elif "ask" in message:
                self.keep(self.ask_others(one, message))
            elif (question := self.questions.get(message.get("answer", 0))) is not None:
                question.answered(one.worker, message.get("value"))

    def tell_fewest(self) -> None:
        """Tell each worker how many connections the others have."""
        staying = {one.worker: one for one in self.processes.values() if self.fleet.stays(one.worker)}
        for worker, count in fewest({worker: one.clients for worker, one in staying.items()}).items():
            one = staying[worker]
            if one.fewest != count:
                one.fewest = count
                one.line.say(fewest=count)

    def bequeath(self, one: Process, message: Message) -> None:
        """Hand what a worker leaves behind to one that stays."""
        heirs = [heir for heir in self.processes.values() if heir is not one and self.fleet.stays(heir.worker)]
        if heirs:
            heirs[0].line.say(**message)

    async def ask_others(self, asker: Process, message: Message) -> None:
        """Ask all other workers something for one of them, and tell it what they have answered in time."""
        others = [one for one in self.answering() if one is not asker]
        number = next(self.numbers)
        question = self.questions[number] = Question({one.worker for one in others})
        for one in others:
            one.line.say(ask=number, name=message["name"], arguments=message["arguments"])
        values = await question.answers(ANSWERS_WITHIN)
        del self.questions[number]
        asker.line.say(answers=message["ask"], values=values)


def by_number(one: Process) -> int:
    return one.number


def listen_at(arguments: Sequence[str]) -> tuple[str, int]:
    """The address that options of mitmdump name."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--listen-host", default="")
    parser.add_argument("--listen-port", "-p", type=int, default=8080)
    parser.add_argument("--set", action="append", default=[])
    options, _ = parser.parse_known_args(list(arguments))
    host, port = str(options.listen_host), int(options.listen_port)
    for setting in options.set:
        name, _, value = setting.partition("=")
        host = value if name == "listen_host" else host
        port = int(value) if name == "listen_port" else port
    return host, port


async def listening_sockets(host: str, port: int) -> list[socket.socket]:
    """Sockets that listen there: as those that mitmproxy would open."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(asyncio.Protocol, host, port, start_serving=False)
    sockets = [socket.socket(fileno=os.dup(one.fileno())) for one in server.sockets]
    server.close()
    for one in sockets:
        one.listen(limits.BACKLOG)
    return sockets


async def serve(size: int, program: str, arguments: Sequence[str], before: Succession | None = None) -> int:
    """Listen, and have workers serve, or go on with those that do; returns the exit status."""
    host, port = listen_at(arguments)
    try:
        listening = sockets_of(before.listening) if before else await listening_sockets(host, port)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            why = f"is taken, by another gateway? GATEWAY_PORT={port + 1} takes another"
        else:
            why = f"can't be listened on: {error.strerror or error}"
        sys.stderr.write(f"run.sh: port {port} of {host or 'every address'} {why}\n")
        return 1
    command = [sys.executable, "-P", str(LAUNCH), program, *arguments]
    folder = Path(before.hub).parent if before else Path(tempfile.mkdtemp(prefix="gateway-"))
    hub = Hub(folder / "hub")
    await hub.start(before.hub_listening if before else None)
    try:
        return await Supervisor(size, command, listening, hub).run(before)
    finally:
        hub.close()
        shutil.rmtree(folder, ignore_errors=True)


def sockets_of(descriptors: Sequence[int]) -> list[socket.socket]:
    """The sockets of these descriptors, which no program inherits unless it is meant to."""
    for number in descriptors:
        os.set_inheritable(number, False)
    return [socket.socket(fileno=number) for number in descriptors]


def wanted(count: str) -> int | None:
    """How many workers that is; None: it is no number of workers."""
    return int(count) if count.isascii() and count.isdigit() and 1 <= int(count[:9]) <= limits.WORKERS else None


def main(arguments: Sequence[str]) -> int:
    """Start `COUNT PROGRAM OPTIONS…`; returns the exit status."""
    if list(arguments) == [CHECK]:
        return 0  # all that is needed could be imported
    before = Succession.read(os.environ)
    count, program, *options = arguments
    size = min(cores(), limits.WORKERS) if count == "auto" else wanted(count)
    if size is None:
        sys.stderr.write(f"run.sh: --workers takes a number from 1 to {limits.WORKERS}, or auto\n")
        return 2
    if size == 1 and not before:
        os.execv(sys.executable, [sys.executable, "-P", str(LAUNCH), program, *options])  # noqa: S606
    return asyncio.run(serve(size, program, options, before))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
