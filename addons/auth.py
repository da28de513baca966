"""AuthGate: who may come in, and as whom. Decides before the body is read, and takes every credential off the flow.

From here on the flow shows credentials masked; the real ones live in the exchange, which is never saved or printed.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from secrets import token_hex

from mitmproxy import ctx, exceptions, http
from mitmproxy.addonmanager import Loader

from addons.config.config import token_mode
from addons.config.settings import Settings
from addons.proxy.browsers import Origins, address, foreign, host_of, own_names, read_origins
from addons.proxy.client_address import client_address, plain
from addons.proxy.connections import EVERYWHERE, proxyserver
from addons.proxy.header_lines import headers_of
from addons.proxy.replies import error_response, too_large
from addons.proxy.request_head import (
    HOP_BY_HOP,
    KEY_HEADER,
    MODE_HEADER,
    as_bytes,
    hosts_named_by_client,
    kind_of,
    unpacked,
)
from addons.proxy.trusted_proxies import TrustedProxies
from addons.state.control import CALLER as CONTROL
from addons.state.control import HEADER as CONTROL_HEADER
from addons.state.control import PATH as CONTROL_PATH
from addons.state.control import Control
from addons.state.exchange import Client, ClientCredential, Exchange, exchange_of, remember
from addons.state.replay_tickets import TICKET_HEADER, Tickets
from addons.team.admission import admit, read_gateway_headers, refusal
from addons.team.limits import Terms
from addons.team.sign_in import PAGE_PATHS
from addons.team.users import Users
from addons.team.wrong_keys import WrongKeys
from addons.wire import limits
from addons.wire.masking import mask

logger = logging.getLogger(__name__)


TELL_EVERY = 60.0
"""Seconds between lines of the log about requests that were refused."""

OPEN_PATHS = frozenset({"/", "/health", "/api/hello"})
"""Probes: they tell nothing about anybody, and Claude Code sends them without a credential (recorded)."""


class AuthGate:
    """Lets a client in as somebody, or answers that it may not; makes the state of the request."""

    def __init__(
        self,
        settings: Settings,
        tickets: Tickets | None = None,
        control: Control | None = None,
        trusted: TrustedProxies | None = None,
        users: Users | None = None,
        wrong_keys: WrongKeys | None = None,
    ) -> None:
        self.settings = settings
        self.users = users or Users()
        self.terms = Terms()
        self.wrong_keys = wrong_keys or WrongKeys()
        self.control = control or Control()
        self.tickets = tickets or Tickets()
        self.origins = Origins()
        self.names = own_names()
        self.trusted = trusted or TrustedProxies()
        self.refused, self.say_at = 0, 0.0
        """Requests without the token that the log hasn't told of, and when it will (monotonic seconds)."""

    def load(self, loader: Loader) -> None:
        loader.add_option(
            "gateway_origins",
            str,
            "",
            "Hosts (separated by commas) whose web pages may use a gateway that is open to everybody, besides this "
            "machine's own.",
        )

    def configure(self, updated: set[str]) -> None:
        if "gateway_origins" in updated:
            try:
                self.origins = read_origins(ctx.options.gateway_origins)
            except ValueError as error:
                raise exceptions.OptionsError(
                    f"gateway_origins: {str(error)!r} is not a host (without a port) or an origin"
                ) from None
        if "listen_host" in updated:
            self.names = own_names() | {host_of(ctx.options.listen_host or "") or "localhost"}

    def running(self) -> None:
        if self.settings.current.static_token or self.users.is_closed:
            return
        server = proxyserver()
        hosts = [host for host, *_ in server.listen_addrs()] if server else []
        beyond = dict.fromkeys(
            "every address" if host in EVERYWHERE else host
            for host in hosts or [ctx.options.listen_host]
            if host != "localhost" and not ((found := address(host)) and found.is_loopback)
        )
        if beyond:
            logger.warning(
                "gate: OPEN on %s: there is no PROXY_STATIC_TOKEN and no user, so everybody who reaches this port can "
                "use your keys. Make a token with: openssl rand -hex 32; or a user with: ./run.sh user add NAME",
                " and ".join(beyond),
            )

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        if (known := exchange_of(flow)) and known.own and not flow.is_replay:
            return  # the gateway's own: it comes in as who has asked
        if flow.is_replay or not flow.live:
            return  # it comes in again as a client's request, with a ticket; or it was read from a file
        request, config = flow.request, self.settings.current
        values: dict[str, list[str]] = {}
        passed, shown = [], []
        for line in unpacked(request.headers.fields):
            name, lower, secret, stays = kind_of(line[0])
            value = line[1].decode("utf-8", "surrogateescape")
            if lower in values:
                values[lower].append(value)
            else:
                values[lower] = [value]
            if secret:
                shown.append((line[0], as_bytes(mask(value))))
            elif lower != TICKET_HEADER:
                shown.append(line)
                if not stays:
                    passed.append((name, value))
        presented = read_gateway_headers(values)
        admitted = admit(config, self.users, presented, values.get("authorization", []), values.get("x-api-key", []))
        caller = admitted.caller
        if CONTROL_HEADER in values and request.path.startswith(CONTROL_PATH):
            caller = CONTROL if self.control.admits(values[CONTROL_HEADER][-1]) else None
            admitted = admitted._replace(user=None, key="")
        if named := values.get("connection"):
            others = {name.strip().lower() for name in ",".join(named).split(",")} - HOP_BY_HOP
            passed = [line for line in passed if line[0].lower() not in others] if others else passed
        exchange = Exchange(
            config=config,
            clock=time.monotonic,
            started=time.monotonic(),
            method=request.method,
            path=request.path,
            headers=tuple(passed),
            client=Client(
                credential=admitted.credential,
                token_mode=token_mode(config, presented.mode),
                address=self.address(flow, values),
                user=admitted.user and self.terms.of(admitted.user, config.users),
                key=admitted.key,
            ),
            request_id=f"req_gw_{token_hex(12)}",
        )
        remember(flow, exchange)
        if ticket := self.tickets.redeem(values.get(TICKET_HEADER, [""])[-1]):
            caller, ticket.exchange, ticket.flow = "replay", exchange, flow
            if ticket.client:
                caller, exchange.client = ticket.client.caller, replace(ticket.client, session=None)
            else:
                exchange.client.credential = ClientCredential()
        request.data.headers = headers_of(shown)
        if MODE_HEADER in values:
            request.headers[MODE_HEADER] = exchange.client.token_mode  # whatever it was: it may have been a token

        if request.data.authority and not request.is_http2:
            # The absolute form is for proxies; we are the server, whatever host it names.
            refuse(exchange, flow, 400, "this is a gateway, not a proxy: send the path only")
        elif caller is None and is_for_page(request.path, values):
            if not is_short(values):
                refuse(exchange, flow, 413, f"a form of this page has at most {limits.SIGN_IN} bytes")
        elif caller is None and not is_probe(request):
            self.tell_of_refusal(exchange.client.address, exchange.started)
            exchange.client.slowed = self.wrong_keys.wait(exchange.client.address, exchange.started)
            refuse(exchange, flow, 401, refusal(self.users, admitted.why_not))
        elif caller == "anyone" and (header := self.foreign(flow, values)):
            refuse(
                exchange,
                flow,
                403,
                f"{header}: a gateway without PROXY_STATIC_TOKEN serves web pages of its own machine only; "
                "the operator can set one, or list the host in gateway_origins",
            )
        elif too_long(values.get("content-length", [])):
            request.headers.pop("expect", None)
            flow.response = too_large(exchange.request_id)
        exchange.client.caller = caller or "nobody"
        if "cookie" in values and caller in (None, "anyone") and is_for_page(request.path, values):
            exchange.client.cookie = "; ".join(values["cookie"])

    def tell_of_refusal(self, address: str, now: float) -> None:
        """Say in the log that somebody came without the token, once a minute however often it happens."""
        self.refused += 1
        if now < self.say_at:
            return
        last = plain(address)
        times = "a request" if self.refused == 1 else f"{self.refused} requests"
        logger.warning("gate: %s without the gateway's token, the last from %s", times, last)
        self.refused, self.say_at = 0, now + TELL_EVERY

    def address(self, flow: http.HTTPFlow, values: Mapping[str, list[str]]) -> str:
        """Where the client is."""
        peer = flow.client_conn.peername
        address = peer[0] if peer else "?"
        # Nothing is parsed for nothing: this is asked for every request.
        trusted = self.trusted.networks
        return client_address(address, values.get("x-forwarded-for", []), trusted) if trusted else address

    def foreign(self, flow: http.HTTPFlow, values: Mapping[str, list[str]]) -> str | None:
        """The header by which a web page of somebody else is known; None when there is none."""
        hosts, listening = hosts_named_by_client(flow.request), flow.client_conn.sockname
        address = listening[0] if listening else ""
        return foreign(values, hosts, flow.request.path, self.names, address, self.origins)


def is_probe(request: http.Request) -> bool:
    """Whether this asks for nothing but a sign of life."""
    return request.method in ("GET", "HEAD") and request.path.partition("?")[0] in OPEN_PATHS


def is_for_page(path: str, values: Mapping[str, list[str]]) -> bool:
    """Whether somebody without a key asks for the page, which has a door of its own. Whoever shows a key must have a
    right one."""
    return path.partition("?")[0] in PAGE_PATHS and not any(
        name in values for name in (KEY_HEADER, "x-api-key", "authorization")
    )


def is_short(values: Mapping[str, list[str]]) -> bool:
    """Whether a body isn't longer than the form by which one signs in: strangers get to send no other."""
    lengths = values.get("content-length", [])
    return "transfer-encoding" not in values and all(
        length.isdigit() and len(length) < 10 and int(length) <= limits.SIGN_IN for length in lengths
    )


def too_long(announced: list[str]) -> bool:
    """Whether the body is over the limit, by its content-length."""
    return any(length.isdigit() and int(length) > limits.BODY for length in announced)


def refuse(exchange: Exchange, flow: http.HTTPFlow, status: int, message: str) -> None:
    """Answer now, and say that asking again is no use: Claude Code repeats a 401 ten times in three minutes."""
    flow.request.headers.pop("expect", None)
    flow.response = error_response(status, message, exchange.request_id)
    flow.response.headers["x-should-retry"] = "false"
