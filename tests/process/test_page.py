"""The page's addon on flows: what waits, what is answered at once, and what of a form stays in the flow."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import UTC
from functools import partial
from pathlib import Path

import pytest
from mitmproxy import http
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.test import taddons, tflow

from addons.config.config import Config
from addons.config.settings import Settings
from addons.process.page import Page, Work, is_secure, same_site, typed
from addons.state.control import Control
from addons.state.exchange import Exchange, Trying, exchange_of, remember
from addons.state.users import KnownUser, Roll, User
from addons.team import keys
from addons.team.allowances import allowances
from addons.team.budgets import Budgets
from addons.team.sign_in import SignIn
from addons.team.users import Users
from addons.team.windows import windows_at
from addons.team.wrong_keys import WrongKeys
from addons.wire.limits import WRONG_KEYS
from tests.finished import NOW

ADMIN = "admin-key-0123456789"
CONFIG = Config(providers={}, models=(), admin_key=ADMIN, static_token="static-token-0123456789")
KEY = f"gw-abcd2345-{'x' * 43}"


class Clock:
    now = 1_790_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def users() -> Users:
    known = Users()
    known.take(Roll(1, is_closed=True, users=(KnownUser(User("alice", "abcd2345"), keys.digest(KEY)),)))
    return known


@pytest.fixture
def page(users: Users) -> Page:
    settings = Settings(Path("routing.yaml"), Path(".env"), {})
    settings.current = CONFIG
    return Page(
        settings,
        Control(),
        SignIn(users, WrongKeys(), lambda: "secret"),
        users=partial(allowances, users, Budgets(), lambda: windows_at(NOW, UTC)),
        clock=Clock(),
    )


def asked(
    page: Page, method: str, path: str, body: bytes = b"", caller: str = "nobody", cookie: str = ""
) -> http.HTTPFlow:
    """The flow of a request, after the addon has seen it."""
    flow = tflow.tflow(req=http.Request.make(method, f"http://gateway{path}", body))
    made = Exchange(CONFIG, lambda: 100.0, 100.0, method, path, request_id="req_1")
    made.client.caller, made.client.address = caller, "192.0.2.1"
    remember(flow, made)
    page.request(flow)
    return flow


def attempt(page: Page, flow: http.HTTPFlow) -> Trying:
    """The stream asks for its answer."""
    made = exchange_of(flow)
    assert made
    trying = Trying(flow, made, made.begin())
    page.attempt(trying)
    return trying


def status(flow: http.HTTPFlow) -> int:
    assert flow.response
    return flow.response.status_code


@contextmanager
def options(tmp_path: Path) -> Iterator[None]:
    with taddons.context(Proxyserver()) as context:
        context.options.add_option("gateway_db", str, str(tmp_path / "gateway.sqlite"), "")
        yield


def test_a_page_is_waited_for(page: Page) -> None:
    flow = tflow.tflow()
    made = Exchange(CONFIG, lambda: 100.0, 100.0, "GET", "/gateway/", kind="page")
    remember(flow, made)
    written: Future[str] = Future()
    page.works[flow] = Work(written)
    assert attempt(page, flow).attempt.postponed
    written.set_result("<p>")
    assert not attempt(page, flow).attempt.postponed
    assert status(flow) == 200
    assert flow.response
    assert flow.response.headers["content-security-policy"].startswith("default-src 'none'")


def test_an_address_may_ask_for_what_it_likes(page: Page, tmp_path: Path) -> None:
    with options(tmp_path):
        flow = asked(page, "GET", "/gateway/?" + "&".join(f"{name}=1" for name in range(20)), caller="anyone")
    assert page.works[flow].written
    page.done()


def test_what_cannot_be_written_is_an_error(page: Page) -> None:
    flow = tflow.tflow()
    remember(flow, Exchange(CONFIG, lambda: 100.0, 100.0, "GET", "/gateway/", kind="page"))
    written: Future[str] = Future()
    written.set_exception(KeyError("sk-ant-secret"))
    page.works[flow] = Work(written)
    attempt(page, flow)
    assert status(flow) == 500
    assert flow.response
    assert b"sk-ant" not in (flow.response.content or b"")


def test_a_page_is_written_behind_the_event_loops_back(page: Page, tmp_path: Path) -> None:
    with options(tmp_path):
        flow = asked(page, "GET", "/gateway/?days=7", caller="anyone")
        assert flow.response is None
        work = page.works[flow]
        assert work.written
        assert "<b>alice</b>" in work.written.result(timeout=30)
        page.done()


@pytest.mark.parametrize(("key", "holder"), [(KEY, "abcd2345"), (ADMIN, "admin"), (CONFIG.static_token, "shared")])
def test_signing_in(page: Page, key: str, holder: str) -> None:
    flow = asked(page, "POST", "/gateway/login", f"key={key}".encode())
    made = exchange_of(flow)
    assert made
    assert status(flow) == 303
    assert made.set_cookie.startswith(f"gateway_session={holder}.")
    assert key.encode() not in (flow.request.content or b"")
    assert page.viewer(made) is None
    made.client.cookie = made.set_cookie.partition(";")[0]
    viewer = page.viewer(made)
    assert viewer
    assert (viewer.name, viewer.sees_all) == ({"abcd2345": "alice"}.get(holder, holder), holder == "admin")


def test_wrong_keys_are_slowed_and_right_ones_are_not(page: Page) -> None:
    for _ in range(WRONG_KEYS):
        assert status(asked(page, "POST", "/gateway/login", b"key=wrong-key-0123")) == 401
    flow = asked(page, "POST", "/gateway/login", b"key=wrong-key-0123")
    assert flow.response is None
    trying = attempt(page, flow)
    assert trying.attempt.postponed == pytest.approx(1, abs=0.01)
    page.works[flow].due = 100.0
    attempt(page, flow)
    assert status(flow) == 401
    assert status(asked(page, "POST", "/gateway/login", f"key={KEY}".encode())) == 303


def test_without_a_secret_of_its_own_nobody_signs_in(page: Page) -> None:
    page.sign_in.secret = lambda: ""
    assert status(asked(page, "POST", "/gateway/login", f"key={KEY}".encode())) == 401


def test_a_body_never_stays(page: Page) -> None:
    for method, path in (("POST", "/gateway/"), ("POST", "/gateway/logout"), ("PUT", "/gateway/login")):
        flow = asked(page, method, path, f"key={KEY}".encode())
        assert status(flow) in (303, 405)
        assert flow.request.content == b""


def test_other_paths_are_no_business_of_the_page(page: Page) -> None:
    for path in ("/gateway/control/pool", "/gateway/other", "/gatewayx", "/v1/messages"):
        flow = asked(page, "POST", path, b"{}")
        assert (flow.response, flow.request.content) == (None, b"{}")


def test_typed_keys() -> None:
    assert typed(b"key=a%2Db&other=1") == "a-b"
    assert typed(b"key=" + b"x" * 5000) == typed(b"\xff") == typed(b"") == ""
    assert typed(b"&".join([b"a=1"] * 50)) == ""


@pytest.mark.parametrize(
    ("headers", "host", "same"),
    [
        ({}, "team.test:4000", True),
        ({"origin": "http://team.test:4000"}, "team.test:4000", True),
        ({"origin": "https://team.test"}, "team.test:4000", True),
        ({"origin": "null"}, "team.test:4000", False),
        ({"origin": "http://evil.test"}, "team.test:4000", False),
        ({"sec-fetch-site": "same-origin", "origin": "http://other.test"}, "team.test:4000", True),
        ({"sec-fetch-site": "cross-site"}, "team.test:4000", False),
    ],
)
def test_whose_form_it_is(headers: dict[str, str], host: str, same: bool) -> None:
    flow = tflow.tflow(req=http.Request.make("POST", "http://gateway/"))
    flow.request.headers["host"] = host
    made = Exchange(CONFIG, lambda: 100.0, 100.0, "POST", "/gateway/login", headers=tuple(headers.items()))
    assert same_site(made, flow) is same


def test_tls() -> None:
    flow = tflow.tflow()
    flow.client_conn.timestamp_tls_setup = None
    made = Exchange(CONFIG, lambda: 100.0, 100.0, "POST", "/gateway/login")
    assert not is_secure(made, flow)
    flow.client_conn.timestamp_tls_setup = 1.0
    assert is_secure(made, flow)
