"""ModelRouter: which targets serve the model that the client asked for, and the request head for each of them.

It parses the body (once), writes the plan (the route, then its fallbacks), and on every attempt points the flow at the
target: host, path, model, headers. Keys and tokens are put on by `accounts.py`, bodies are the steps'.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from mitmproxy import http

from addons.config.config import Target
from addons.config.routing import bare_name
from addons.config.rules import first_rule
from addons.config.settings import Settings
from addons.proxy.header_lines import headers_of, value_of
from addons.proxy.relay import point_at_upstream
from addons.proxy.replies import error_response, too_large
from addons.proxy.request_head import allowed, as_bytes, as_line, host_header, put_path, with_flag
from addons.state.context_window import told_too_long, too_small
from addons.state.control import Control, ControlError
from addons.state.conversations import Conversations, Key
from addons.state.exchange import ROUTES, Exchange, Trying, exchange_of
from addons.state.explanation import explain, facts_of
from addons.state.request_facts import RequestFacts
from addons.state.store import Hold, Released, Store
from addons.state.users import User
from addons.team.limits import named
from addons.team.users import Users
from addons.wire import limits
from addons.wire.encoding import decode
from addons.wire.errors import BadRequest
from addons.wire.masking import mask_text
from addons.wire.messages.body import RequestBody, session_key, session_of
from addons.wire.model_name import LONG_CONTEXT_BETA, without_mark
from addons.wire.names import check_flags

REQUEST_CODINGS = ("gzip", "deflate")
"""How a client may compress its body: deflate's thousandfold at most, where others can grow without measure."""


class ModelRouter:
    """Writes the plan, and the head of every attempt."""

    def __init__(
        self,
        control: Control | None = None,
        *,
        settings: Settings | None = None,
        store: Store | None = None,
        clock: Callable[[], float] = time.time,
        share: Callable[[Exchange], float] = lambda _exchange: 0.0,
        users: Users | None = None,
    ) -> None:
        """`settings` and `store`: where the conversations of the last process are remembered; `clock` gives epoch
        seconds; `share`: how much of the fullest budget of who asks is used, in percent."""
        self.share, self.users = share, users or Users()
        self.conversations = Conversations()
        self.control = control or Control()
        self.control.serve("routes/explain", self.explain)
        self.settings, self.store, self.clock = settings, store, clock

    def running(self) -> None:
        """Let the rules hold on to the conversations that they held on to in the last process."""
        if self.settings is None or self.store is None:
            return
        rules = {rule.fingerprint: rule for rule in self.settings.current.rules if rule.measures}
        now, ticks = self.clock(), time.monotonic()
        for hold in self.store.load_holds(now) if rules else ():
            if rule := rules.get(hold.rule):
                key = Key(hold.session, hold.agent, bytes.fromhex(hold.opening))
                self.conversations.restore(key, rule, ticks - (now - hold.time))

    def explain(self, exchange: Exchange, arguments: Mapping[str, Any]) -> object:
        """What a request would get that isn't sent: the answer to `./run.sh routes --explain`."""
        asked = arguments.get("request")
        try:
            facts = facts_of(asked if isinstance(asked, dict) else {}, self.conversations, exchange.clock())
            user = named(self.users, facts.user, exchange.config.users)
        except (BadRequest, ValueError, TypeError) as error:
            raise ControlError(str(error)) from None
        return explain(exchange.config, facts, self.control.account_of, user)

    def request(self, flow: http.HTTPFlow) -> None:
        exchange = exchange_of(flow)
        if exchange is None or flow.response or exchange.plan.targets or exchange.kind == "fetch":
            return
        kind = ROUTES.get((exchange.method, exchange.path.partition("?")[0]))
        if kind is None:
            return
        exchange.kind = kind
        try:
            data = body_bytes(flow.request)
            if len(data) > limits.BODY:
                flow.response = too_large(exchange.request_id)
                return
            for name, value in exchange.headers:
                if len(name) == 14 and name.lower() == "anthropic-beta":
                    check_flags(value)
            exchange.body = RequestBody.parse(data)
        except BadRequest as error:
            flow.response = refusal(exchange, 400, str(error))
            return
        if exchange.own is None:
            session = exchange.header("x-claude-code-session-id") or session_of(exchange.body)
            exchange.client.session = session_key(session) if session else None
        exchange.facts = RequestFacts(
            exchange.body,
            headers=exchange.headers,
            session=exchange.client.session,
            caller=exchange.client.caller,
            conversations=self.conversations,
            now=exchange.clock(),
            own=exchange.own.purpose if exchange.own else "",
            budget=self.share(exchange) if any(rule.when.budget for rule in exchange.config.rules) else 0.0,
        )
        self.ask_rules(exchange, exchange.facts)
        targets = self.targets(exchange)
        if (user := exchange.client.user) and user.models and exchange.own is None and targets:
            if not user.may_ask_for(targets[0].alias):
                flow.response = not_allowed(exchange, user, targets[0])
                return
            targets = [targets[0], *allowed_targets(exchange, user, targets[1:])]
        exchange.plan.targets = [target for target in targets if usable(target)]
        if not exchange.plan.targets:
            flow.response = no_target(exchange, targets)
        elif exchange.kind == "messages" and any(target.context_window for target in exchange.plan.targets):
            leave_out_small(exchange, exchange.facts)
            if not exchange.plan.targets:
                flow.response = refusal(exchange, 400, told_too_long(targets, exchange.facts))

    def response(self, flow: http.HTTPFlow) -> None:
        exchange = exchange_of(flow)
        facts = exchange.facts if exchange else None
        if exchange is None or facts is None or not facts.is_measured or facts.conversation is None:
            return
        attempt, usage = exchange.attempt, exchange.usage
        if attempt and attempt.outcome is None and usage and exchange.kind == "messages":
            tokens = usage.input_tokens + usage.cache_read_input_tokens + usage.cache_creation_input_tokens
            if tokens:
                self.conversations.count(facts.conversation, facts.size(tokens), exchange.clock())

    def targets(self, exchange: Exchange) -> list[Target]:
        """Where the rule or else the client's model sends the request."""
        asked = exchange.body.model if exchange.body else ""
        if not exchange.plan.rule:
            return exchange.config.targets(asked)
        targets = exchange.config.targets(exchange.plan.rule.to)
        return [replace(target, long_context=True) for target in targets] if without_mark(asked)[1] else targets

    def ask_rules(self, exchange: Exchange, facts: RequestFacts) -> None:
        """Find the rule that decides where this request goes, and remember it where it holds on."""
        rules = exchange.config.rules
        if not rules:
            return
        now = exchange.clock()
        key = facts.conversation if any(rule.measures for rule in rules) else None
        exchange.plan.rule = rule = first_rule(rules, facts, self.conversations.held(key, now))
        if rule:
            exchange.note("router", f"{rule} → {rule.to}")
        if key is None or exchange.kind != "messages":
            return
        if facts.request_class == "compaction":
            if self.conversations.release(key) and self.store:
                self.store.end_holds(Released(key.session, key.agent, key.opening.hex()))
        elif rule and rule.measures and self.conversations.hold(key, rule, now) and self.store:
            self.store.record(Hold(key.session, key.agent, key.opening.hex(), rule.fingerprint, self.clock()))

    def attempt(self, trying: Trying) -> None:
        request, exchange, target = trying.flow.request, trying.exchange, trying.target
        if target is None:
            if exchange.kind == "relay":
                point_at_upstream(request, exchange, trying.attempt.credential)
            return
        provider = target.provider
        data = request.data  # each setter would convert and check, that of the host would write its header anew
        data.method, data.scheme, data.authority = as_bytes(exchange.method), provider.scheme.encode(), b""
        put_path(request, trying.attempt.credential, provider, provider.path + exchange.path)
        data.host, data.port = provider.host, provider.port
        lines = [("host", host_header(provider)), *allowed(exchange.headers, provider), ("accept-encoding", "identity")]
        headers, credential = headers_of(map(as_line, lines)), trying.attempt.credential
        for name, value in provider.headers.items():
            headers[name] = mask_text(value, exchange.config.header_secrets)
            if headers[name] != value:
                credential[name.lower()] = value
        if target.long_context and (provider.is_anthropic or LONG_CONTEXT_BETA in provider.betas):
            headers["anthropic-beta"] = with_flag(headers.get("anthropic-beta", ""), LONG_CONTEXT_BETA)
        request.headers = headers
        draft, asked = trying.attempt.draft, exchange.body.model if exchange.body else exchange.model
        if draft is not None and target.model != asked:
            draft.set("model", target.model)
        if draft is not None and trying.attempt.whole:
            draft.set("stream", value=False)
        exchange.note("router", f"{bare_name(asked)} → {provider.name}/{target.model}, host {provider.host}")


def usable(target: Target) -> bool:
    """Whether this target can be asked at all."""
    return not target.provider.missing


def leave_out_small(exchange: Exchange, facts: RequestFacts) -> None:
    """Take the targets out into which the request surely doesn't fit."""
    kept = []
    for target in exchange.plan.targets:
        if reason := too_small(target, facts):
            exchange.note("router", f"left out {target.provider.name}/{target.model}: {reason}")
        else:
            kept.append(target)
    exchange.plan.targets = kept


def allowed_targets(exchange: Exchange, user: User, targets: list[Target]) -> list[Target]:
    """The targets without the fallbacks that this user may not ask for."""
    kept = []
    for target in targets:
        if user.may_ask_for(target.alias):
            kept.append(target)
        else:
            exchange.note("router", f"left out {target.alias}: {user.name} may not ask for it")
    return kept


def not_allowed(exchange: Exchange, user: User, target: Target) -> http.Response:
    """Say that the user may not ask for this model, and for which."""
    sent = f", to which {exchange.plan.rule} sends this request" if exchange.plan.rule else ""
    allowed = ", ".join(user.models)
    message = f"{user.name} may not use the model {target.alias[:100]!r}{sent}; allowed: {allowed}"
    response = refusal(exchange, 403, message)
    response.headers["x-should-retry"] = "false"
    return response


def no_target(exchange: Exchange, configured: list[Target]) -> http.Response:
    """Say why nothing serves this model: no route, or a key that is not there."""
    if not configured:
        known = ", ".join(route.alias for route in exchange.config.models)
        response = refusal(exchange, 404, f"model: no route for {exchange.model[:100]!r}; configured models: {known}")
    else:
        provider = configured[0].provider
        served = (
            f"{exchange.plan.rule} sends this request to"
            if exchange.plan.rule
            else f"model {exchange.model!r} is served by"
        )
        response = refusal(
            exchange,
            403,
            f"{served} {provider.name}, which is disabled: {provider.missing} is not set on the gateway",
        )
    response.headers["x-should-retry"] = "false"
    return response


def refusal(exchange: Exchange, status: int, message: str) -> http.Response:
    """An answer of the gateway's own; no provider is called."""
    exchange.kind = "local"
    exchange.note("router", f"answered {status}: {message}")
    return error_response(status, message, exchange.request_id)


def body_bytes(request: http.Request) -> bytes:
    """The body, decompressed where the client compressed it: not much further than `limits.BODY`, however little
    it was before. Raises BadRequest."""
    raw = request.raw_content or b""
    coding = value_of(request.headers, b"content-encoding").strip().lower()
    if coding in ("", "identity"):
        return raw
    if coding not in REQUEST_CODINGS:
        raise BadRequest("", f"content-encoding: {coding[:40]} is not one of {', '.join(REQUEST_CODINGS)}")
    try:
        return decode(raw, coding, limits.BODY)
    except ValueError as error:
        raise BadRequest("", f"the body is not {coding}: {error}") from None
