"""A real gateway for tests: mitmdump as a process of its own, with a configuration in a directory of its own.

Rules of this file:
- Nothing from outside gets in: no key of the environment, no proxy, no file of the home directory.
- Waiting is for a condition, with a time limit whose error says what the gateway has logged.
- A gateway that has logged a traceback fails its test when it is stopped, whatever was tested; so does one in whose
  log, files or answers a secret is found.
"""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Self

import anthropic
import httpx
import yaml
from mitmproxy.certs import CertStore

from tests.e2e.canaries import Secret, files, leaks
from tests.e2e.forked import Forked
from tests.e2e.overheard import SHORTEST, Heard, heard
from tests.e2e.sse import EventStream
from tests.fakes.launch import GATEWAY, SHORT_WAY, SUPERVISOR, command, saving
from tests.fakes.ports import port_of, reserve
from tests.fakes.provider import PATIENCE

PROBLEMS = re.compile(r"Traceback|Addon error|mitmproxy has crashed|was never awaited|never retrieved|ResourceWarning")
SESSION = re.compile(rb"^set-cookie: gateway_session=[^;\r\n]*", re.MULTILINE | re.IGNORECASE)
"""What a browser is told once, and shows from then on: the one secret that a client gets."""
NOWHERE = "http://127.0.0.1:9"
"""An upstream that refuses connections (the discard port)."""
SAVING = bool(os.environ.get("GATEWAY_CANARIES"))
"""Every gateway logs and saves all that can be: `./run.sh test` runs the end-to-end tests so a second time."""


@cache
def authority() -> dict[str, bytes]:
    """The files of a certificate authority, as mitmproxy makes them at its first start in a tenth of a second."""
    with TemporaryDirectory() as folder:
        CertStore.create_store(Path(folder), "mitmproxy", 2048)
        return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


type Routing = str | Mapping[str, Any]


def messages_body(model: str = "glm", *, text: str = "hi", stream: bool = False, **fields: Any) -> dict[str, Any]:
    """A small body for POST /v1/messages; the fields are added or put in place of the ones here."""
    messages = [{"role": "user", "content": text}]
    return {"model": model, "max_tokens": 100, "messages": messages, "stream": stream, **fields}


class Gateway:
    """One gateway, in a `with` block (which also removes its files).

    routing: what routing.yaml says (text, or data for YAML). env: what .env says.
    upstream: where unknown paths go (a base URL).
    script: the addon script. options: more options of mitmdump.
    saving: log and save all that can be.
    forked: from a process that has imported everything (see tests/e2e/forked.py), not a new one.
    workers: how many processes serve; it answers as soon as the first does.
    """

    program = "mitmdump"

    def __init__(
        self,
        routing: Routing,
        env: Mapping[str, str] | None = None,
        *,
        upstream: str = NOWHERE,
        script: Path = GATEWAY,
        options: Sequence[str] = (),
        saving: bool = SAVING,
        forked: bool = True,
        workers: int = 1,
    ) -> None:
        self._temporary = TemporaryDirectory(prefix="gateway-")
        self.directory = Path(self._temporary.name)
        self.upstream = upstream
        self.script = script
        self.options = tuple(options)
        self.saving = saving
        self.workers = workers
        self.forked = forked and workers == 1 and not any(name.startswith("COVERAGE_") for name in os.environ)
        self.check_log = True  # False: this gateway may log tracebacks
        self.ends_within = PATIENCE  # seconds after it was told to stop
        self._reserved = reserve()
        self.port = port_of(self._reserved)
        self._log = self.directory / "log"
        self._process: subprocess.Popen[bytes] | Forked | None = None
        self._clients = ExitStack()
        self._secrets: dict[str, Secret] = {}
        self.heard = heard[self.port] = Heard()
        self.rewrite_routing(routing)
        self.rewrite_env(env or {})
        if self.forked:
            (self.directory / ".mitmproxy").mkdir(0o700)
            for name, data in authority().items():
                (self.directory / ".mitmproxy" / name).write_bytes(data)

    # Life

    def start(self) -> Self:
        """Returns when the gateway answers GET /health; AssertionError with the log when it does not."""
        args = command(
            program=self.program,
            script=self.script,
            upstream=self.upstream,
            port=self.port,
            directory=self.directory,
        )
        if self.saving:
            args += saving(self.program, self.directory)
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.directory),
            "LANG": "C.UTF-8",
            "PYTHONUNBUFFERED": "1",  # the log is read while it is written
            **{name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")},
        }
        if not SHORT_WAY:
            args += ["--set", "gateway_short_way=false"]
        args += self.options
        if self.workers != 1:
            args = [sys.executable, "-P", str(SUPERVISOR), str(self.workers), self.program, *args[1:]]
        if self.forked:
            self._process = Forked(args, environment=environment, directory=self.directory, log=self._log)
        else:
            with self._log.open("ab") as output:
                self._process = subprocess.Popen(
                    args,
                    env=environment,
                    cwd=self.directory,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                )
        try:
            self.client = self._clients.enter_context(
                httpx.Client(base_url=self.url, trust_env=False, timeout=PATIENCE, verify=False)
            )
            self.wait_until(lambda: self.client.get("/health").status_code == 200)
        except BaseException:
            self.kill()
            raise
        return self

    def stop(self) -> None:
        """Ends the process and the clients; AssertionError when that goes wrong, or a problem or a secret was seen."""
        if self._process is None:
            return
        try:
            shown = list(self.shown())
            self._process.send_signal(signal.SIGTERM)
            status = self._process.wait(self.ends_within)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the gateway did not stop in {self.ends_within} s\n{self.log()}") from None
        finally:
            self.kill()
        if self.check_log:
            assert status == 0, f"the gateway ended with status {status}\n{self.log()}"
            assert not PROBLEMS.search(self.log()), f"the gateway logged a problem\n{self.log()}"
        self.assert_discreet(shown)

    @property
    def status(self) -> int | None:
        """What its process has ended with, by itself; None: it runs, or was told to stop."""
        return self._process.poll() if self._process else None

    def restart(self) -> None:
        """Another process with the same files, on the same port. Clients made by `anthropic()` are closed."""
        self.stop()
        self.start()

    def kill(self) -> None:
        """Ends the process the hard way."""
        self._clients.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self._discard()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self.stop()
            else:
                self.kill()  # the test has failed already: its own error is the one to be seen
        finally:
            self._discard()

    def _discard(self) -> None:
        self._temporary.cleanup()
        self._reserved.close()
        del heard[self.port]

    # What it is told

    def rewrite_routing(self, routing: Routing) -> None:
        """Writes routing.yaml."""
        text = routing if isinstance(routing, str) else yaml.safe_dump(dict(routing), sort_keys=False)
        (self.directory / "routing.yaml").write_text(text)

    def rewrite_env(self, env: Mapping[str, str]) -> None:
        """Writes .env: exactly these variables."""
        self.env = dict(env)
        for name, value in env.items():
            if "MODE" not in name and name != "CLAUDE_CREDENTIALS":
                self._keep_secrets(name, value.split(","))
        file = self.directory / ".env"
        file.touch(0o600)
        file.write_text("".join(f"{name}={value}\n" for name, value in env.items()))

    def secrets(self) -> list[Secret]:
        """What must appear nowhere: the values that .env has had, and the credentials that clients have sent."""
        self._keep_secrets("sent by a client", self.heard.sent)
        return list(self._secrets.values())

    def _keep_secrets(self, where: str, values: Iterable[str]) -> None:
        for value in values:
            if len(value) >= SHORTEST:
                self._secrets.setdefault(value, Secret(f"{where} (…{value[-4:]})", value))

    def look_for(self, secrets: Iterable[Secret]) -> None:
        """These too must appear nowhere."""
        self._secrets |= {secret.value: secret for secret in secrets}

    # What it is asked

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def post(
        self,
        model: str = "glm",
        *,
        path: str = "/v1/messages",
        headers: Mapping[str, str] | None = None,
        **body: Any,
    ) -> httpx.Response:
        """The whole answer to a small request (see `messages_body`), also when it is a stream."""
        return self.client.post(path, json=messages_body(model, **body), headers=headers)

    @contextmanager
    def stream(
        self,
        model: str = "glm",
        *,
        path: str = "/v1/messages",
        headers: Mapping[str, str] | None = None,
        **body: Any,
    ) -> Iterator[EventStream]:
        """The answer to the same request as a stream, event by event. Leaving the block hangs up."""
        started = time.monotonic()
        content = messages_body(model, **{"stream": True, **body})
        with self.client.stream("POST", path, json=content, headers=headers) as response:
            yield EventStream(response, started)

    def anthropic(self, **options: Any) -> anthropic.Anthropic:
        """A client of the Anthropic SDK that asks once; the options are the SDK's."""
        http_client = anthropic.DefaultHttpxClient(trust_env=False)
        defaults = {"api_key": "client-key", "max_retries": 0, "http_client": http_client}
        return self._clients.enter_context(anthropic.Anthropic(base_url=self.url, **{**defaults, **options}))

    # What it did

    @property
    def pid(self) -> int:
        """The number of its process, which must be running."""
        assert self._process
        return self._process.pid

    def log(self) -> str:
        """All that it has written so far."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def shown(self, *, running: bool = False) -> Iterator[tuple[str, bytes]]:
        """All that it shows only while it runs, by name; of requests that are running, or of all."""
        yield from ()

    def produced(self) -> Iterator[tuple[str, bytes]]:
        """All that it has written and told so far, by name."""
        yield "what clients were told", SESSION.sub(b"", bytes(self.heard.told))
        elsewhere = [self.directory / path for name, path in pairwise(self.options) if name == "-w"]
        yield from files(self.directory, *elsewhere)

    def assert_discreet(self, shown: Iterable[tuple[str, bytes]] = ()) -> None:
        """No secret is in what it has shown, written or told."""
        found = leaks(self.secrets(), [*shown, *self.produced()])
        assert not found, "secrets were seen:\n" + "\n".join(found)

    def wait_until(self, condition: Callable[[], object], timeout: float = PATIENCE) -> None:
        """Returns when the condition holds; AssertionError with the log if it doesn't within `timeout` seconds.

        A condition may ask the gateway: connections that are refused or closed count as "not yet".
        """
        deadline = time.monotonic() + timeout
        while True:
            try:
                if condition():
                    return
            except httpx.TransportError:
                pass
            status = self._process.poll() if self._process else None
            assert status is None, f"the gateway ended with status {status}\n{self.log()}"
            assert time.monotonic() < deadline, f"not within {timeout} s\n{self.log()}"
            time.sleep(0.01)
