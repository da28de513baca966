"""Who a client is, by the credentials that it shows, and which of those are its own.

Rules of this file: pure but for the clock of keys; tokens and keys are compared in constant time; nothing that has
something in it that is spelt like a key of a user's ever counts as a client's own credential, so that none is sent to
a provider.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Mapping
from typing import NamedTuple

from addons.config.config import Config
from addons.proxy.request_head import KEY_HEADER, MODE_HEADER
from addons.state.exchange import ClientCredential
from addons.state.users import User
from addons.team.keys import KEY, PREFIX
from addons.team.users import REPLACED, REVOKED, Users
from addons.wire.masking import mask


class Presented(NamedTuple):
    """What a client says of itself in the gateway's own headers."""

    token: str
    mode: str


class Admitted(NamedTuple):
    """As whom a client is let in."""

    caller: str | None
    """None: it isn't."""
    credential: ClientCredential
    """Its own, which isn't the gateway's."""
    user: User | None = None
    key: str = ""
    """The key of the user that it has shown."""
    why_not: str = ""
    """Why a key that it has shown is no good, where that may be said."""


def read_gateway_headers(values: Mapping[str, list[str]]) -> Presented:
    """What the gateway's own headers say (values by name in lower case); the last of each name counts."""
    token, mode = values.get(KEY_HEADER, [""])[-1], values.get(MODE_HEADER, [""])[-1]
    return Presented(token.strip(), mode.strip().lower())


def bearer(value: str) -> str:
    """The token of an Authorization header, or the whole value where there is no scheme."""
    scheme, _, token = value.strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token else value.strip()


def same(given: str, expected: str) -> bool:
    """Compare in constant time; nothing equals the empty token."""
    return bool(expected) and hmac.compare_digest(given.encode("utf-8", "surrogateescape"), expected.encode())


def own(values: list[str], static: str, admin: str) -> str:
    """The first of these header values that isn't the gateway's."""
    for value in values:
        token = bearer(value)
        if not (same(token, static) or same(token, admin) or (PREFIX in value and KEY.search(value))):
            return value
    return ""


def admit(
    config: Config, users: Users, presented: Presented, authorizations: list[str], x_api_keys: list[str]
) -> Admitted:
    """Who the caller is, and which of its credentials are its own, not the gateway's."""
    static, admin = config.static_token, config.admin_key
    kept = ClientCredential(own(authorizations, static, admin), own(x_api_keys, static, admin))
    why_not = ""
    for value in (presented.token, *x_api_keys, *authorizations):
        token = bearer(value)
        if same(token, static):
            return Admitted("token", kept, users.shared)
        if same(token, admin):
            return Admitted("admin", kept)
        if token.startswith(PREFIX) and users.known:
            found = users.find(token, time.time())
            if found.user:
                return Admitted(found.user.name, kept, found.user, token)
            why_not = why_not or (f"{mask(token)} {WORDS[found.why_not]}" if found.why_not in WORDS else "")
    # Whoever shows a key that was good once is told so, also while the gate is open.
    is_open = not (static or users.is_closed or why_not)
    return Admitted("anyone" if is_open else None, kept, why_not=why_not)


WORDS = {
    REVOKED: "has been revoked",
    REPLACED: "has been replaced by a newer one",
}
"""What is said of a key to somebody who has all of it."""


def refusal(users: Users, why_not: str) -> str:
    """What somebody is told who isn't let in."""
    if why_not:
        return f"the gateway key {why_not}: ask whoever runs this gateway for a new one"
    if users.problem and not users.known:
        return "the gateway can't read its users, and lets nobody in before it can: see its log"
    if users.known or users.roll.is_closed:
        return (
            'missing or wrong gateway key: set ANTHROPIC_CUSTOM_HEADERS to "x-litellm-api-key: <your key>"; whoever '
            "runs this gateway makes one with `./run.sh user add NAME`"
        )
    return (
        "missing or wrong gateway token: set ANTHROPIC_CUSTOM_HEADERS to "
        '"x-litellm-api-key: <the PROXY_STATIC_TOKEN of the server>"'
    )
