"""Checks of providers: whether each can be reached and takes the gateway's keys, at no cost where that can be seen.

Rules of this file: keys go where the gateway sends them and nowhere else; what is said of one is masked.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import time
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode

from addons.commands.checks.check import Check, together
from addons.config.config import Config, Provider, Target, token_mode
from addons.config.routing import COMMAND
from addons.state.credentials_file import read as read_login_of
from addons.state.http_client import ProxyRefused, connection
from addons.wire.error_reading import read_error
from addons.wire.errors import ProviderError
from addons.wire.masking import mask
from addons.wire.refusals import account_refused, credit_refused, endpoint_unknown, token_refused

TIMEOUT: Final = 10.0
"""Seconds for each step: to connect, to answer."""

IN_ALL: Final = 30.0
"""Seconds for all providers together, and for all keys."""

MOST_KEYS: Final = 64
LONGEST_ANSWER: Final = 64 * 1024
OAUTH_BETA: Final = "oauth-2025-04-20"
SMALL_CLAUDE: Final = "claude-haiku-4-5"
CLOCKS_APART: Final = 120.0
"""Seconds by which this clock may differ from theirs: resets and expiries are told in times."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a provider answered."""

    status: int
    date: float | None
    """Its clock minus this one, in seconds; None: it doesn't say."""
    error: ProviderError


@dataclass(frozen=True, slots=True)
class Key:
    """A credential of the gateway's, by the name of its account."""

    account: str
    provider: Provider
    value: str = field(repr=False)
    source: str


def of_providers(config: Config, *, spend: bool, timeout: float = TIMEOUT, in_all: float = IN_ALL) -> list[Check]:
    """Every provider that a model uses, and every key; then the clock, as they see it."""
    used = {route.provider.name: route.provider for route in config.models}
    on = {name: provider for name, provider in used.items() if not provider.missing}
    reached = together(
        {name: lambda provider=provider: reach(provider, timeout) for name, provider in on.items()},  # type: ignore[misc]
        lambda _name: f"no answer within {in_all:.0f} s",
        in_all,
    )
    there = [on[name] for name, found in reached.items() if isinstance(found, Answer)]
    keys = {key.account: key for provider in there for key in keys_of(provider, config)[:MOST_KEYS]}
    tried = together(
        {
            name: lambda key=key: try_key(key, target_of(config, key.provider), spend=spend, timeout=timeout)  # type: ignore[misc]
            for name, key in keys.items()
        },
        lambda name: Check(f"key {name}", False, f"no answer within {in_all:.0f} s", "try again"),
        in_all,
    )
    checks = []
    for name, provider in used.items():
        if provider.missing:
            aliases = ", ".join(route.alias for route in config.models if route.provider is provider)
            said = f"off, and with it {aliases}: {provider.missing} is not set"
            checks.append(Check(f"provider {name}", True, said, f"set {provider.missing} to use it"))
            continue
        checks.append(told(provider, reached[name], passes=token_mode(config, "") == "passthrough"))
        checks += [check for account, check in tried.items() if keys[account].provider is provider]
    return [*checks, clock(found for found in reached.values() if isinstance(found, Answer))]


def told(provider: Provider, found: Answer | str | OSError, *, passes: bool) -> Check:
    """What came of reaching a provider. `passes`: Claude is asked with what clients send."""
    host = f"[{provider.host}]" if ":" in provider.host else provider.host
    where, proxy = f"{provider.scheme}://{host}:{provider.port}", provider.proxy
    if proxy:
        where += f", through the proxy {proxy},"
    name = f"provider {provider.name}"
    if isinstance(found, Answer):
        login = "; each client's own login is used" if passes and provider.auth == "claude-oauth" else ""
        if found.status >= 500:
            return Check(name, False, f"{where} answers {found.status}: {found.error.message}", "try again later")
        return Check(name, True, f"{where} answers{' over TLS' if provider.scheme == 'https' else ''}{login}")
    if isinstance(found, str):
        return Check(name, False, f"{where}: {found}", "is the network there?")
    if isinstance(found, ProxyRefused):
        return Check(name, False, f"{where} can't be reached: {found.strerror or found}", refused_by(found.status))
    if isinstance(found, socket.gaierror):
        first = (proxy or provider).host
        return Check(name, False, f"the name {first} can't be resolved: {found.strerror}", no_name(provider))
    if isinstance(found, ssl.SSLCertVerificationError):
        do = "ca_bundle: FILE in routing.yaml, with the certificates of its authority (a company's proxy has its own)"
        return Check(name, False, f"{where}: its certificate isn't trusted ({found.verify_message})", do)
    if isinstance(found, ssl.SSLError):
        return Check(
            name, False, f"{where} doesn't speak TLS: {getattr(found, 'reason', None) or found}", "https:// or http://?"
        )
    return Check(name, False, f"{where} can't be reached: {found.strerror or found}", no_way(provider))


def refused_by(status: int) -> str:
    """What to do about a proxy that opens no tunnel."""
    if status == 407:
        return "it wants a user and a password: http://user:password@… in proxy: or HTTPS_PROXY"
    return "is it the right proxy, and may this address be reached through it?"


def no_name(provider: Provider) -> str:
    """What to do about a name that can't be resolved."""
    what = "the proxy's address" if provider.proxy else f"base_url of {provider.name}"
    return f"is {what} right, and the network there?{proxy_hint(provider)}"


def no_way(provider: Provider) -> str:
    """What to do about a server that can't be reached."""
    if provider.proxy:
        return "does that proxy run? It is named by proxy: of the provider, or by HTTPS_PROXY"
    local = provider.host in ("localhost", "127.0.0.1", "::1")
    return "start that server" if local else f"is the network there, and no firewall between?{proxy_hint(provider)}"


def proxy_hint(provider: Provider) -> str:
    """What may be the matter where a provider is reached directly."""
    return "" if provider.proxy else " Where a proxy is the only way out, HTTPS_PROXY in .env names it"


def clock(answers: Iterable[Answer]) -> Check:
    """This machine's clock beside the providers'."""
    apart = sorted(answer.date for answer in answers if answer.date is not None)
    if not apart:
        return Check("clock", True, "not compared: no provider has told the time")
    middle = apart[len(apart) // 2]
    if abs(middle) > CLOCKS_APART:
        how = "slow" if middle > 0 else "fast"
        return Check("clock", False, f"{abs(middle):.0f} s {how}: limits and expiries are misread", "set the clock")
    return Check("clock", True, "as the providers' clocks, to a few seconds")


# Keys


def keys_of(provider: Provider, config: Config) -> list[Key]:
    """The credentials with which requests go to a provider. What a program prints is left to the gateway."""
    if provider.auth == "claude-oauth":
        keys = [Key(f"claude:{n}", provider, token, "CLAUDE_OAUTH_TOKENS") for n, token in enumerate(config.tokens, 1)]
        for number, path in enumerate(config.credential_files, len(keys) + 1):
            try:
                login, _ = read_login_of(Path(path))
            except (OSError, ValueError):
                continue  # said of the account
            if not login.is_over(time.time()):
                keys.append(Key(f"claude:{number}", provider, login.access_token, path))
        return keys
    real = [key for key in provider.api_keys if not key.startswith(COMMAND)]
    return [Key(f"{provider.name}:{n}", provider, key, provider.key_source) for n, key in enumerate(real, 1)]


def target_of(config: Config, provider: Provider) -> Target | None:
    """A model of this provider, to ask for; where any Claude will do, a small one."""
    for route in config.models:
        if route.provider is provider:
            part = SMALL_CLAUDE.removeprefix("claude-") if "claude-" in route.model else SMALL_CLAUDE
            return route.target(route.alias.replace("*", part), part, fallback=False)
    return None


def try_key(key: Key, target: Target | None, *, spend: bool, timeout: float = TIMEOUT) -> Check:
    """Whether a provider takes a key, by calls that cost nothing; with `spend` by one that costs a token, where there
    is none."""
    name, masked = f"key {key.account}", mask(key.value)
    try:
        for answer in free_calls(key, target, timeout):
            if answer is not None and (check := verdict(key, answer)):
                return check
        if not spend or target is None:
            said = f"{masked}: not tried, there is no free call that would tell"
            return Check(name, True, said, "" if spend else "./run.sh doctor --spend sends one token")
        answer = one_token(key, target, timeout)
        fallback = Check(name, False, f"{masked}: {answer.status}: {answer.error.message}", f"is {target.model} right?")
        return verdict(key, answer) or fallback
    except (OSError, http.client.HTTPException) as error:
        return Check(name, False, f"{masked}: {getattr(error, 'strerror', None) or error!r}", "try again")


def verdict(key: Key, answer: Answer) -> Check | None:
    """What an answer says of the key; None when it says nothing."""
    name, masked, error = f"key {key.account}", mask(key.value), answer.error
    if answer.status < 300:
        return Check(name, True, f"{masked} is accepted")
    if credit_refused(error):
        return Check(name, False, f"{masked} has no credit: {error.message}", "top up, or give the model a fallback")
    if account_refused(error):
        return Check(name, True, f"{masked} is accepted, but not for everything: {error.message}")
    if answer.status in (401, 403) or token_refused(error):
        do = f"put another one into {key.source}"
        return Check(name, False, f"{masked} is refused ({answer.status}): {error.message}", do)
    if answer.status == 429:
        return Check(name, True, f"{masked} is accepted, and at a limit: {error.message}")
    return None


def free_calls(key: Key, target: Target | None, timeout: float) -> Iterable[Answer | None]:
    """The answers to calls that cost nothing, as far as they are asked for. None: it is no answer to the question."""
    provider = key.provider
    if provider.format == "anthropic" and target is not None:
        question = {"model": target.model, "messages": [{"role": "user", "content": "hello"}]}
        answer = call(provider, "/v1/messages/count_tokens", key.value, body=question, timeout=timeout)
        yield None if endpoint_unknown(answer.error) else answer
    path = "/v1/models" if provider.format == "anthropic" else "/models"
    answer = call(provider, path, key.value, timeout=timeout)
    if answer.status < 300 and call(provider, path, "", timeout=timeout).status < 300:
        yield None  # a list that everybody may read
    else:
        yield answer if answer.status != 404 else None


def one_token(key: Key, target: Target, timeout: float) -> Answer:
    """The answer to the smallest request that there is."""
    provider = key.provider
    body: dict[str, Any] = {"model": target.model, "messages": [{"role": "user", "content": "hi"}]}
    if provider.format == "anthropic":
        return call(provider, "/v1/messages", key.value, body={**body, "max_tokens": 1}, timeout=timeout * 3)
    body[provider.dialect(target.model).max_tokens_field] = 1
    return call(provider, "/chat/completions", key.value, body=body, timeout=timeout * 3)


# HTTP


def reach(provider: Provider, timeout: float = TIMEOUT) -> Answer | str | OSError:
    """The answer to a request without a key; or why there is none."""
    try:
        first = provider.proxy or provider
        socket.getaddrinfo(first.host, first.port, type=socket.SOCK_STREAM)
        path = "/v1/models" if provider.format == "anthropic" else "/models"
        return call(provider, path, "", timeout=timeout)
    except OSError as error:
        return error
    except http.client.HTTPException as error:
        return f"no HTTP: {error!r}"


def call(
    provider: Provider, path: str, key: str, *, body: Mapping[str, Any] | None = None, timeout: float = TIMEOUT
) -> Answer:
    """The answer of a provider to a request with this key (empty: without any). Raises OSError, HTTPException."""
    headers, query = credential(provider, key) if key else ({}, {})
    address = f"{provider.path}{path}"
    if query := {**provider.query, **query} if key else {}:
        address += f"?{urlencode(query, quote_via=quote)}"
    headers |= {"accept": "application/json", "user-agent": "claude-gateway doctor", "connection": "close"}
    if provider.format == "anthropic":
        headers["anthropic-version"] = "2023-06-01"
    if key:
        headers |= provider.headers
    data = None
    if body is not None:
        data, headers["content-type"] = json.dumps(body).encode(), "application/json"
    with closing(connection(provider.scheme, provider.host, provider.port, provider.egress, timeout)) as way:
        way.request("GET" if data is None else "POST", address, data, headers)
        response = way.getresponse()
        words = response.read(LONGEST_ANSWER)
        kind = response.getheader("content-type") or ""
        return Answer(response.status, apart(response.getheader("date")), read_error(response.status, kind, words))


def credential(provider: Provider, key: str) -> tuple[dict[str, str], dict[str, str]]:
    """The header, or the parameter of the address, that carries a key; the former, then the latter."""
    if provider.auth in ("x-api-key", "header"):
        return {provider.auth_name or "x-api-key": key}, {}
    if provider.auth == "query":
        return {}, {provider.auth_name: key}
    beta = {"anthropic-beta": OAUTH_BETA} if provider.auth == "claude-oauth" else {}
    return {"authorization": f"Bearer {key}", **beta}, {}


def apart(date: str | None) -> float | None:
    """By how many seconds a clock that tells this date is ahead of ours."""
    try:
        return parsedate_to_datetime(date).timestamp() - time.time() if date else None
    except ValueError:
        return None
