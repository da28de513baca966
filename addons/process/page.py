"""Page: `GET /gateway/`, usage and health for people: their own for users, everything for the administrator.

One signs in with a key (`POST /gateway/login`) and stays signed in by a cookie; a key in a header opens the page too,
and while the gate is open none is needed. What runs is looked at on the event loop; the ledger is read, and the page
written, by one thread of its own, while the stream waits as it waits for a credential (`attempt.postponed`): nobody
else is kept waiting.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs
from weakref import WeakKeyDictionary

import msgspec
from mitmproxy import ctx, http

from addons.config.config import Config
from addons.config.routing import UserSettings
from addons.config.settings import Settings
from addons.proxy.browsers import host_of
from addons.proxy.replies import error_response
from addons.proxy.request_head import hosts_named_by_client
from addons.state.control import CALLER, Control
from addons.state.exchange import Exchange, Trying, exchange_of
from addons.state.pool_report import merged
from addons.team.daily_sums import Reader
from addons.team.page_report import (
    Asked,
    Present,
    Viewer,
    accounts,
    asked,
    avoided,
    providers,
    report,
    running,
)
from addons.team.report import Report, Running, User
from addons.team.session_cookie import set_cookie
from addons.team.sign_in import PAGE_PATHS, SignIn
from addons.wire import limits
from addons.wire.masking import mask

logger = logging.getLogger(__name__)

Part = Mapping[str, Any]
"""What one process contributes: `running`, `pool`."""

HTML = "text/html; charset=utf-8"
LOOK_AGAIN = 0.01
"""Seconds between looks at whether a page is written."""

HEADERS = {
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


class Work(msgspec.Struct):
    """A page that is being written."""

    written: Future[str] | None
    """None: it is an answer to a wrong key, which waits."""
    due: float = 0.0
    """When that goes out (monotonic seconds)."""


class Page:
    """Answers what is asked under `/gateway/`, but for commands."""

    def __init__(
        self,
        settings: Settings,
        control: Control,
        sign_in: SignIn,
        flows: Iterable[http.HTTPFlow] = (),
        users: Callable[[UserSettings], list[User]] = lambda _settings: [],
        clock: Callable[[], float] = time.time,
        shared: Callable[[], str] = lambda: "local",
    ) -> None:
        """`flows`: of the requests that are running. `users`: all users with their budgets, at a time. `shared`: with
        whom limits and sums are, as `/health` says it."""
        self.settings, self.control, self.sign_in = settings, control, sign_in
        control.siblings.serve("page", lambda _arguments: self.part())
        self.flows, self.users, self.clock, self.shared = flows, users, clock, shared
        self.works: WeakKeyDictionary[http.HTTPFlow, Work] = WeakKeyDictionary()
        self.writer: ThreadPoolExecutor | None = None
        self.sums = Reader()
        """For that one thread."""

    def done(self) -> None:
        if self.writer:
            self.writer.shutdown(wait=False, cancel_futures=True)

    def request(self, flow: http.HTTPFlow) -> None:
        exchange = exchange_of(flow)
        if exchange is None or not exchange.path.startswith("/gateway"):
            return
        path = exchange.path.partition("?")[0]
        if path not in PAGE_PATHS:
            return
        body, flow.request.content = flow.request.raw_content or b"", b""
        if flow.response:
            return
        exchange.kind = "page"
        if path == "/gateway":
            flow.response = redirect("/gateway/")
        elif path == "/gateway/login" and exchange.method == "POST":
            flow.response = self.signed_in(exchange, flow, body)
        elif path == "/gateway/logout" and exchange.method == "POST":
            exchange.set_cookie = set_cookie("", secure=is_secure(exchange, flow))
            flow.response = redirect("/gateway/")
        elif path == "/gateway/login" and exchange.method in ("GET", "HEAD"):
            flow.response = door(200)
        elif path in ("/gateway/login", "/gateway/logout") or exchange.method not in ("GET", "HEAD"):
            flow.response = not_here(exchange)
        elif (viewer := self.viewer(exchange)) is None:
            flow.response = door(401)
        else:
            self.begin(flow, exchange, viewer, path)

    # Who looks

    def viewer(self, exchange: Exchange) -> Viewer | None:
        """As whom a request looks at the page; None: it has to sign in."""
        client = exchange.client
        if client.cookie and (holder := self.sign_in.holder(client.cookie, exchange.config, self.clock())):
            return Viewer(holder.name, holder.is_admin)
        if client.caller == "nobody":
            return None
        if client.caller == "anyone":
            return Viewer("", sees_all=True)
        return Viewer(client.billed, sees_all=client.is_admin or client.caller == CALLER)

    def signed_in(self, exchange: Exchange, flow: http.HTTPFlow, body: bytes) -> http.Response | None:
        """The answer to a key that somebody has typed; None: it is a wrong one too many, and waits."""
        if not same_site(exchange, flow):
            return door(403, "This form was sent by another web page. Open this one, and sign in here.")
        key = typed(body)
        flow.request.content = b"key=" + mask(key).encode() if key else b""
        value = self.sign_in.cookie(key, exchange.config, self.clock()) if key else ""
        if value:
            exchange.set_cookie = set_cookie(value, secure=is_secure(exchange, flow))
            return redirect("/gateway/")
        wait = self.sign_in.wrong(exchange.client.address, exchange.started)
        if wait:
            self.works[flow] = Work(None, exchange.started + wait)
            return None
        return wrong_key()

    # Writing it

    def begin(self, flow: http.HTTPFlow, exchange: Exchange, viewer: Viewer, path: str) -> None:
        """Have the page written."""
        wanted = asked(parse_qs(exchange.path.partition("?")[2]), viewer)
        found = self.reporter(exchange.config, wanted, viewer)

        def written() -> str:
            from addons.team import page  # a start doesn't need it

            return str((page.page if path == "/gateway/" else page.content)(found()))

        self.works[flow] = Work(self.thread.submit(written))

    @property
    def thread(self) -> ThreadPoolExecutor:
        """The one in which the ledger is read."""
        if self.writer is None:
            self.writer = ThreadPoolExecutor(1, "page")
        return self.writer

    def reporter(self, config: Config, wanted: Asked, viewer: Viewer) -> Callable[[], Report]:
        """What puts together all that `viewer` may see, from what is going on now. To be called in the thread: it waits
        for the file and for other workers."""
        present = self.control.siblings.gathered("page", self.part(), partial(everywhere, self.present(config)))
        database = Path(ctx.options.gateway_db).expanduser()
        return lambda: report(database, viewer, wanted, present() if callable(present) else present, self.sums)

    def part(self) -> Part:
        """What is going on in this process."""
        ours = running(filter(None, map(exchange_of, list(self.flows))), self.clock())
        return {"running": [msgspec.structs.asdict(one) for one in ours], "pool": self.control.pool()}

    def present(self, config: Config) -> Present:
        """What is the same for all processes."""
        now, users = self.clock(), config.users
        return Present(
            now=now, zone=users.timezone, providers=providers(config), users=self.users(users), shared=self.shared()
        )

    def attempt(self, trying: Trying) -> None:
        exchange = trying.exchange
        if exchange.kind != "page" or (work := self.works.get(trying.flow)) is None:
            return
        if work.written is None:
            if exchange.clock() < work.due:
                trying.attempt.postponed = work.due - exchange.clock()
            else:
                trying.flow.response = wrong_key()
        elif work.written.done():
            trying.flow.response = self.written(work.written, exchange)
        else:
            trying.attempt.postponed = LOOK_AGAIN

    def written(self, work: Future[str], exchange: Exchange) -> http.Response:
        """The page, now that it is written."""
        try:
            return html(200, work.result())
        except Exception as error:  # noqa: BLE001  # of the thread that wrote it
            logger.error("page: %s while it was written", type(error).__name__)
            return error_response(500, "the page can't be written, see the gateway's log", exchange.request_id)


def everywhere(present: Present, parts: Sequence[Part]) -> Present:
    """What is going on now, in all processes."""
    found = merged([part["pool"] for part in parts])
    requests = [Running(**one) for part in parts for one in part["running"]]
    return msgspec.structs.replace(
        present,
        running=sorted(requests, key=lambda one: one.since),
        accounts=accounts(found["accounts"]),
        avoided=avoided(found["avoided"]),
    )


def typed(body: bytes) -> str:
    """The key in a form; empty when there is none."""
    if len(body) > limits.SIGN_IN:
        return ""
    try:
        fields = parse_qs(body.decode("ascii"), max_num_fields=10)
    except (UnicodeDecodeError, ValueError):
        return ""
    return fields.get("key", [""])[-1].strip()


def same_site(exchange: Exchange, flow: http.HTTPFlow) -> bool:
    """Whether a form was sent by our own page, as far as the browser says: another one could sign its visitors in as
    somebody else."""
    if site := exchange.header("sec-fetch-site"):
        return site.strip().lower() in ("same-origin", "none")
    origin = exchange.header("origin")
    return not origin or host_of(origin.partition("://")[2]) in map(host_of, hosts_named_by_client(flow.request))


def is_secure(exchange: Exchange, flow: http.HTTPFlow) -> bool:
    """Whether the browser is connected over TLS, by us or by a proxy before us. Who lies about it only keeps its own
    cookie to itself."""
    return flow.client_conn.tls_established or exchange.header("x-forwarded-proto").strip().lower() == "https"


def html(status: int, text: str) -> http.Response:
    """A page, with what browsers may do with it."""
    from addons.team import page

    policy = {"content-security-policy": page.security_policy()}
    return http.Response.make(status, text.encode("utf-8", "replace"), {"content-type": HTML, **policy, **HEADERS})


def door(status: int, said: str = "") -> http.Response:
    """The page on which one signs in."""
    from addons.team import page

    return html(status, page.door(said))


def wrong_key() -> http.Response:
    return door(401, "This key isn't known here.")


def redirect(path: str) -> http.Response:
    """Send the browser elsewhere, with GET."""
    return http.Response.make(303, b"", {"location": path, **HEADERS})


def not_here(exchange: Exchange) -> http.Response:
    message = f"the gateway does not serve {exchange.method} {exchange.path.partition('?')[0]}"
    return error_response(405, message, exchange.request_id)
