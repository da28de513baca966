"""Feeds mutated requests, answers, streams, configuration files and raw HTTP to the gateway: `./run.sh fuzz`.

Each target of `targets.py` gets the same share of the time, in a process of its own. Atheris (Google's libFuzzer for
Python) mutates what `seeds.py` gives it and goes on with whatever reached a line that nothing had reached before; the
target `gateway` writes to a running one, between a client and a provider that both do as the input says. An input that
raises, or that takes longer than it may, is saved once for each place in the code, in tests/fuzz/found/TARGET/;
`tests/fuzz/test_found.py` runs all that is there, so that what was mended stays mended.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import atheris  # type: ignore[import-not-found,import-untyped,unused-ignore]  # only `./run.sh fuzz` installs it

FOUND = Path(__file__).parent / "found"
LARGEST = 16 * 1024
"""Bytes of an input."""
SLOWEST = 1.0
"""Seconds of CPU time that one may take."""
PURE = ("request", "chat_request", "answer", "chat_answer", "error", "masking", "unpacking", "configuration", "heads")
NAMES = (*PURE, "views", "gateway")


def main() -> int:
    """Runs every target, and says what was found. 1 when something was."""
    parser = argparse.ArgumentParser(prog="./run.sh fuzz", description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10, help="in all (10)")
    parser.add_argument("--only", choices=NAMES, action="append", help="only this target; may be given more than once")
    parser.add_argument("--corpus", type=Path, help="a folder that keeps what was reached, for the next time")
    parser.add_argument("--target", choices=NAMES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.target:
        run(options.target, options.corpus, options.minutes * 60)
        return 0
    before = inputs()
    names = options.only or NAMES
    with TemporaryDirectory(prefix="fuzz-") as temporary:
        for name in names:
            corpus = (options.corpus or Path(temporary)) / name
            corpus.mkdir(parents=True, exist_ok=True)
            print(f"{name}: {options.minutes / len(names):.1f} minutes", flush=True)
            part = ["--minutes", str(options.minutes / len(names)), "--target", name, "--corpus", str(corpus)]
            subprocess.run([sys.executable, "-P", "-m", "tests.fuzz", *part], check=False)
    new = sorted(inputs() - before)
    print("\n".join(["", f"{len(new)} finds", *map(str, new)]))
    return int(bool(new))


def inputs() -> set[Path]:
    """All that was ever found."""
    return {path for path in FOUND.glob("*/*") if path.is_file()}


def run(name: str, corpus: Path, seconds: float) -> None:
    """Fuzzes one target; ends the process."""
    with atheris.instrument_imports(include=["addons"]):
        from tests.fuzz.seeds import seeds
        from tests.fuzz.targets import TARGETS
    for seed in seeds(name):
        (corpus / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)
    if name == "gateway":
        from tests.fuzz.wire import Fuzzed

        with Fuzzed() as fuzzed:
            ends = time.monotonic() + seconds
            fuzz(kept(name, fuzzed.exchange, lambda: time.monotonic() > ends), corpus, seconds)
    else:
        fuzz(kept(name, TARGETS[name], lambda: False), corpus, seconds)


def fuzz(target: Callable[[bytes], None], corpus: Path, seconds: float) -> None:
    limits = [f"-max_total_time={seconds:.0f}", f"-max_len={LARGEST}", "-rss_limit_mb=3000", "-timeout=120"]
    prefix = f"-artifact_prefix={FOUND.parent}/crash-"
    atheris.Setup([sys.argv[0], str(corpus), *limits, prefix, "-print_final_stats=1", "-verbosity=0"], target)
    atheris.Fuzz()


def kept(name: str, target: Callable[[bytes], None], is_over: Callable[[], bool]) -> Callable[[bytes], None]:
    """The target, with its finds saved, one for each place: the fuzzer goes on."""

    def fed(data: bytes) -> None:
        started = time.process_time()
        try:
            target(data)
        except Exception as error:  # noqa: BLE001  # any is a find
            save(name, data, place_of(error))
        if time.process_time() - started > SLOWEST:
            save(name, data, "slow")

    return fed


def place_of(error: BaseException) -> str:
    """The exception's type and the place where it was raised, as far as it is in the gateway's code."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "/addons/" in frame.filename]
    last = frames[-1] if frames else traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}-{Path(last.filename).stem}-{last.name}"


def save(name: str, data: bytes, place: str) -> None:
    """Keeps an input, unless there is one for the same place."""
    folder = FOUND / name
    if not any(folder.glob(f"{place}-*")):
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{place}-{hashlib.sha256(data).hexdigest()[:8]}"
        path.write_bytes(data)
        print(f"found: {path}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
