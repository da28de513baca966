"""A real gateway for tests: mitmdump as a process of its own, with a configuration in a directory of its own.

Rules of this file:
- Nothing from outside gets in: no key of the environment, no proxy, no file of the home directory.
- Waiting is for a condition, with a time limit whose error says what the gateway has logged.
- A gateway that has logged a traceback or a secret fails its test when it is stopped, whatever was tested.
"""

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Self

import anthropic
import httpx
import yaml

from tests.e2e.sse import EventStream
from tests.fakes.launch import GATEWAY, command
from tests.fakes.ports import port_of, reserve

PROBLEMS = re.compile(r"Traceback|Addon error|mitmproxy has crashed|was never awaited|never retrieved|ResourceWarning")
NOWHERE = "http://127.0.0.1:9"
"""An upstream that refuses connections (the discard port)."""

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
    ) -> None:
        self._temporary = TemporaryDirectory(prefix="gateway-")
        self.directory = Path(self._temporary.name)
        self.upstream = upstream
        self.script = script
        self.options = tuple(options)
        self.check_log = True  # False: this gateway may log tracebacks
        self._reserved = reserve()
        self.port = port_of(self._reserved)
        self._log = self.directory / "log"
        self._process: subprocess.Popen[bytes] | None = None
        self._clients = ExitStack()
        self.rewrite_routing(routing)
        self.rewrite_env(env or {})

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
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.directory),
            "LANG": "C.UTF-8",
            "PYTHONUNBUFFERED": "1",  # the log is read while it is written
        }
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                [*args, *self.options],
                env=environment,
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            self.client = self._clients.enter_context(httpx.Client(base_url=self.url, trust_env=False, timeout=10))
            self.wait_until(lambda: self.client.get("/health").status_code == 200, timeout=20)
        except BaseException:
            self.kill()
            raise
        return self

    def stop(self) -> None:
        """Ends the process and the clients; AssertionError when it ends badly or has logged a problem."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            status = self._process.wait(10)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the gateway did not stop in 10 s\n{self.log()}") from None
        finally:
            self.kill()
        if self.check_log:
            assert status == 0, f"the gateway ended with status {status}\n{self.log()}"
            assert not PROBLEMS.search(self.log()), f"the gateway logged a problem\n{self.log()}"
            leaks = [secret for secret in self.secrets() if secret in self.log()]
            assert not leaks, f"the gateway logged {leaks}\n{self.log()}"

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

    # What it is told

    def rewrite_routing(self, routing: Routing) -> None:
        """Writes routing.yaml."""
        text = routing if isinstance(routing, str) else yaml.safe_dump(dict(routing), sort_keys=False)
        (self.directory / "routing.yaml").write_text(text)

    def rewrite_env(self, env: Mapping[str, str]) -> None:
        """Writes .env: exactly these variables."""
        self.env = dict(env)
        (self.directory / ".env").write_text("".join(f"{name}={value}\n" for name, value in env.items()))

    def secrets(self) -> list[str]:
        """The values of .env that must appear nowhere."""
        values = [part for name, value in self.env.items() if "MODE" not in name for part in value.split(",")]
        return [value for value in values if len(value) >= 8]

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

    def log(self) -> str:
        """All that it has written so far."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def wait_until(self, condition: Callable[[], object], timeout: float = 5) -> None:
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
