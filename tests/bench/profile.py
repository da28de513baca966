"""Where the gateway's time goes: py-spy (from PyPI, `pip install py-spy`) looks at it while it works."""

import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench.contenders import Contender
from tests.bench.rounds import load, task

SECONDS = 8
"""How long is looked at one task."""

SHOWN = 30
"""Lines of a profile."""

TASKS = {
    "200 KB × 16": ("loop", {"size": "200 KB", "connections": 16, "warm_up": 1.0, "seconds": SECONDS + 1.0}),
    "2 KB × 16": ("loop", {"size": "2 KB", "connections": 16, "warm_up": 1.0, "seconds": SECONDS + 1.0}),
    "100 streams": ("streams", {"size": "2 KB", "connections": 100, "stream_seconds": 4.0, "seconds": SECONDS - 2.0}),
}

EVENT_LOOP = "BaseEventLoop._run_once"

FRAME = re.compile(r"^(?P<function>.+) \((?P<file>.+?)(?::\d+)?\)$")


def py_spy() -> str | None:
    """The path of py-spy, beside this Python or on the PATH."""
    beside = Path(sys.executable).with_name("py-spy")
    return str(beside) if beside.exists() else shutil.which("py-spy")


def profile(program: str, contender: Contender) -> str:
    """Profiles of a running server at each of `TASKS`, as text."""
    assert contender.server and contender.server.process
    said = []
    for name, (kind, options) in TASKS.items():
        with TemporaryDirectory() as directory:
            output = Path(directory) / "stacks"
            arguments = [program, "record", "-p", str(contender.server.process.pid), "-d", str(SECONDS), "-r", "250"]
            arguments += ["-f", "raw", "-o", str(output)]
            recording = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            load(task(contender, kind, **options))  # type: ignore[arg-type]
            recording.wait(30)
            said.append(f"{contender.name}, {name}:\n{shares(output.read_text() if output.exists() else '')}")
    return "\n\n".join(said)


def shares(stacks: str) -> str:
    """Functions by their share of the samples with and without what they call, from py-spy's raw format.

    Only of the event loop: py-spy takes the thread of the store for busy while it waits for something to write.
    """
    inclusive: Counter[str] = Counter()
    own: Counter[str] = Counter()
    total = 0
    for line in stacks.splitlines():
        frames, _, count = line.rpartition(" ")
        if EVENT_LOOP not in frames:
            continue
        samples = int(count)
        total += samples
        names = [short(frame) for frame in frames.split(";")]
        own[names[-1]] += samples
        for name in set(names):
            inclusive[name] += samples
    lines = [
        f"{samples / total:6.1%} {own[name] / total:6.1%}  {name}"
        for name, samples in sorted(inclusive.items(), key=lambda item: -item[1])
        if samples < total  # what runs the loop says nothing
    ]
    return "\n".join(["  with  itself  function", *lines[:SHOWN]])


def short(frame: str) -> str:
    """`trigger_event (mitmproxy/addonmanager.py)`"""
    found = FRAME.match(frame)
    if not found:
        return frame
    file = found["file"].rpartition("site-packages/")[2]
    return f"{found['function']} ({file.rpartition('main/')[2]})"
