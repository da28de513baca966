"""The request for new tokens over the wire: what is sent, every kind of answer, and that no redirect is followed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from addons.state.token_endpoint import post
from addons.wire import limits
from tests.fakes.ports import port_of, reserve

BODY = json.dumps({"refresh_token": "refresh-0"}).encode()


class Handler(BaseHTTPRequestHandler):
    """Answers by the path: `/200` with that status; `/nonsense` with what is no HTTP."""

    seen: list[tuple[str, str | None, bytes]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.seen.append((self.path, self.headers["content-type"], body))
        if self.path == "/nonsense":
            self.wfile.write(b"nonsense\r\n\r\n")
            return
        self.send_response(int(self.path[1:]))
        self.send_header("Retry-After", "7")
        self.send_header("Location", "/200")
        self.end_headers()
        self.wfile.write(b"x" * (limits.TOKEN_ANSWER + 1) if self.path == "/200" else b"no")

    do_GET = do_POST

    def log_message(self, *_arguments: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Handler) as made:
        thread = Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{made.server_port}"
        made.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def seen(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str | None, bytes]]:
    monkeypatch.setattr(Handler, "seen", [], raising=False)
    return Handler.seen


def test_a_success_is_read_up_to_a_limit(server: str, seen: list[tuple[str, str | None, bytes]]) -> None:
    answer = post(f"{server}/200", BODY)
    assert (answer.status, len(answer.body), answer.headers["retry-after"]) == (200, limits.TOKEN_ANSWER, "7")
    assert seen == [("/200", "application/json", BODY)]


@pytest.mark.parametrize("status", [307, 302, 400, 429, 503])
def test_any_other_status_is_an_answer_too(server: str, seen: list[object], status: int) -> None:
    answer = post(f"{server}/{status}", BODY)
    assert (answer.status, answer.body, answer.headers["retry-after"]) == (status, b"no", "7")
    assert len(seen) == 1, "no redirect is followed"


def test_no_answer_is_an_oserror(server: str) -> None:
    with pytest.raises(OSError, match="no HTTP came back"):
        post(f"{server}/nonsense", BODY)
    with reserve() as nobody, pytest.raises(OSError, match="refused"):
        post(f"http://127.0.0.1:{port_of(nobody)}/", BODY)
