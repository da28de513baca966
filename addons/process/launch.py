"""Starts mitmdump or mitmweb so that a signal which comes early ends it as properly as a late one: for run.sh.

mitmproxy handles SIGTERM and SIGINT from its event loop on. Until then it takes a second or two, in which a SIGTERM
kills the process (a failure, to whoever supervises it), and a Ctrl-C prints a long traceback, or is lost where Python
ignores exceptions, and nothing ends. This file is run by its path, so that nothing is imported before its handlers
are there.

Nothing that is imported is garbage: Python looks for none until all is there (Tuning switches that on). Measured: 60 ms
of CPU time of a start.
"""

import gc
import os
import signal
import sys

EARLY = (signal.SIGINT, signal.SIGTERM)

AGAIN_AFTER = 0.1
"""Seconds."""


def end(number: int, frame: object) -> None:
    """Nothing has begun yet."""
    os._exit(0)


def again(number: int, frame: object) -> None:
    """The options are being read, files may be open: whoever handles signals in a moment shall have it."""
    timer = threading.Timer(AGAIN_AFTER, os.kill, (os.getpid(), number))
    timer.daemon = True
    timer.start()


for early in EARLY:
    signal.signal(early, end)
gc.disable()

import threading  # noqa: E402

from mitmproxy.tools import main  # noqa: E402

from addons.process.workers.inheritance import inherited, listen_on  # noqa: E402

if __name__ == "__main__":
    del sys.argv[0]
    if inherited:
        listen_on(inherited.listening)
        sys.stdout.reconfigure(line_buffering=True, write_through=False)  # type: ignore[union-attr]  # whole lines
    for early in EARLY:
        signal.signal(early, again)
    sys.exit(getattr(main, sys.argv[0])())
