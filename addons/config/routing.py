"""What the configuration says, as typed values, and the one rule by which a model name finds its route.

Rules of this file: values only, immutable and already validated; each field carries its whole documentation
(what, unit, default, zero). How they are written in a file is `routing_file`'s business, where they come from
`config`'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Any, Literal, get_args

import msgspec

from addons.config.ca_bundle import CaBundle
from addons.config.egress import DIRECT, Egress, EgressProxy
from addons.wire.chat.options import ChatOptions
from addons.wire.model_name import without_mark

Auth = Literal["bearer", "x-api-key", "claude-oauth", "none", "header", "query"]
Format = Literal["anthropic", "openai-chat"]
Thinking = Literal["keep", "strip"]
Strategy = Literal["session", "drain", "request"]

FORMATS: tuple[Format, ...] = get_args(Format)
THINKING: tuple[Thinking, ...] = get_args(Thinking)
STRATEGIES: tuple[Strategy, ...] = get_args(Strategy)


FILE = "file:"
COMMAND = "command:"
"""How the name of a credential that changes begins (`state/live_credentials.py`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """One upstream: where it is, how to log in there, and what it takes.

    Twenty-six fields: the keys of an entry of `providers:`, whose reference this is, and the parts of its address.
    """

    name: str
    """Its key in `providers:`. Matches `[a-z0-9_]+(-[a-z0-9_]+)*`: it becomes a part of tool-use ids."""
    base_url: str
    """http or https, without query and without a slash at the end; empty when `missing` concerns it. A
    request goes to this plus the client's own path (`/v1/messages`), to an openai-chat provider to this plus
    `/chat/completions`."""
    scheme: str
    host: str
    """Lower case; an IPv6 address without brackets. Empty when `missing` concerns the base_url."""
    port: int
    """The scheme's own (443, 80) unless the base_url has one. 0 when `missing` concerns the base_url."""
    path: str = ""
    """The path of the base_url: empty, or `/api/anthropic`."""
    auth: Auth
    """How a request is authenticated: `bearer` (Authorization: Bearer api_key), `x-api-key` (that header),
    `claude-oauth` (a token of the pool, or the client's own in passthrough), `none`, `header` and `query` (the bare key
    in the header, or the parameter of the address, that `auth_name` names). No default."""
    auth_name: str = ""
    api_keys: tuple[str, ...] = field(default=(), repr=False)
    """For bearer and x-api-key; not used by the others. Several make a pool: `api_keys:`, or one variable with commas.
    Empty when `missing` concerns them."""
    key_source: str = ""
    """Where they are set, for errors: `ZAI_API_KEY`, `api_key in routing.yaml`, `CLAUDE_OAUTH_TOKENS`."""
    command: tuple[str, ...] = ()
    """A program and its arguments, which prints the credential. Default: none, `api_key` has it."""
    ttl: float = 3000
    """Seconds for which what the command printed is good; it is run again a little before. Default 3000."""
    missing: str = ""
    """The name of an environment variable that this provider needs and that is not set: no request can be
    sent there. Empty when it has all it needs."""
    format: Format = "anthropic"
    """The API it speaks: `anthropic` (Messages; default) or `openai-chat` (Chat Completions)."""
    thinking: Thinking = "keep"
    """`keep` (default): the client is shown this provider's thinking, marked as its. `strip`: never."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False, hash=False)
    """Extra headers for every request, as written. Default: none."""
    query: Mapping[str, str] = field(default_factory=dict, repr=False, hash=False)
    """Parameters for the address of every request: `api-version`. Default: none."""
    masked_query: frozenset[str] = frozenset()
    """Those of them that nobody may see."""
    betas: frozenset[str] = frozenset()
    """The flags of `anthropic-beta` that it understands; all others are left out. Default: none. Anthropic
    itself gets every flag that the client sent."""
    preset: str = ""
    """The name of the preset that it was filled in from. Default: none."""
    proxy: EgressProxy | None = None
    """The proxy through which it is reached: its own (`proxy:`), or by HTTPS_PROXY and HTTP_PROXY. Default: none."""
    ca_bundle: CaBundle | None = None
    """Certificates that are trusted besides the public ones, its own or the ones for all. Default: none."""
    subscription: bool = False
    """A plan that is paid by the month: what is asked of it costs nothing more. Default: no."""
    variants: tuple[tuple[str, ChatOptions], ...] = ()
    """`by_model:`: what is particular about models whose names match a pattern, by the first that does. All of it:
    what the provider's own `chat:` says is in it. Default: none."""
    web_search: bool = False
    """It runs Anthropic's `web_search` tool itself, or its models search unasked. Default: no; the gateway then answers
    Claude Code's searches (`search:`), or says that none was made."""
    chat: ChatOptions = field(default_factory=ChatOptions)
    """What is particular about an openai-chat provider: `chat:`, and `schema:` (JSON schema keywords to leave out of
    tool definitions); `thinking_rules:` are for both formats, `output_config:` for Anthropic's."""
    steps: Mapping[str, bool] = field(default_factory=dict, hash=False)
    """Steps of the body's way to it, switched on (true) or off (false) by name. Default: each step's own."""

    egress: Egress = field(init=False, repr=False, compare=False)
    """How it is reached: `proxy` and `ca_bundle`."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "egress", Egress(self.proxy, self.ca_bundle))

    def dialect(self, model: str) -> ChatOptions:
        """What is particular about one of its models."""
        return next((options for pattern, options in self.variants if matches(pattern, model)), self.chat)

    @property
    def searches(self) -> bool:
        """Whether a request with the `web_search` tool is left to it: where tools are passed on as they are, too."""
        passes_on = self.format == "anthropic" and not self.steps.get("beta-tools", True)
        return self.is_anthropic or self.web_search or passes_on

    @property
    def is_anthropic(self) -> bool:
        """Anthropic itself: it gets what the client sent, and its thinking is never wrapped."""
        return self.auth == "claude-oauth" or self.host == "api.anthropic.com"


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """What a model costs, in USD per million tokens. 0: free."""

    input: float
    output: float
    cache_read: float
    """Input tokens read from the prompt cache. Default: the price of input."""
    cache_write: float
    """Input tokens written to the prompt cache, for five minutes. Default: the price of input."""
    cache_write_1h: float | None = None
    """Those written for an hour. Default: as for five minutes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One place where a request can be sent."""

    alias: str
    """The name it was found by: what the client asked for, or the name of the fallback."""
    provider: Provider
    model: str
    """The name that is sent upstream."""
    long_context: bool = False
    """The context window of a million tokens is asked for: the client's name for the model, or the route's, has
    `[1m]` behind it."""
    context_window: int | None = None
    max_output_tokens: int | None = None
    price: Price | None = None
    body: Mapping[str, Any] = field(default_factory=dict, hash=False)
    fallback: bool = False
    """Not what the client asked for, but what stands in for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One line of `models:`."""

    alias: str
    """What a client asks for; one `*` in it stands for any text, also for none."""
    provider: Provider
    model: str
    """The provider's name for it; a `*` (only if the alias has one) is replaced by what that stands for. `[1m]` behind
    it asks for the long context window, and is not sent."""
    context_window: int | None = None
    """Tokens, at least 1: told to clients (`/v1/models`, the settings that we print). Default: unknown."""
    max_output_tokens: int | None = None
    """Tokens, at least 1: a larger `max_tokens` is clamped to this. Default: no clamping."""
    price: Price | None = None
    """Default: that of the list (`addons/state/prices.json`); what isn't in it has none."""
    body: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """Fields that every request to it has besides, as JSON; they win over the client's. Default: none."""

    def target(self, name: str, part: str, *, fallback: bool, long_context: bool = False) -> Target | None:
        """This route for a request for `name`; `part` is what `*` stands for in it.

        None when that leaves no model: `anthropic/*` and a request for `anthropic/`.
        """
        model, marked = without_mark(self.model.replace("*", part))
        if not model:
            return None
        return Target(
            alias=name,
            provider=self.provider,
            model=model,
            long_context=long_context or marked,
            context_window=self.context_window,
            max_output_tokens=self.max_output_tokens,
            price=self.price,
            body=self.body,
            fallback=fallback,
        )


class Fallback(msgspec.Struct, frozen=True, kw_only=True):
    """One line of `fallbacks:`."""

    asked: str
    """What the client asked for; one `*` in it stands for any text."""
    models: tuple[str, ...]
    """Names of models, asked in this order when the route itself fails."""


class FailoverSettings(msgspec.Struct, frozen=True, kw_only=True):
    """When an attempt counts as failed, and how long the search for another one goes on."""

    first_byte_timeout: float = 120
    """Seconds, from sending a streamed request, in which the provider's first event must come (its response
    headers don't count). Default 120; 0 (here: infinity): no limit. Raise it for providers that are silent
    while they reason."""
    answer_timeout: float = 600
    """Seconds for the whole answer when the client asked for `stream: false`. Default 600; 0 (here:
    infinity): no limit."""
    cooldown: float = 60
    """Seconds for which a token rests after a 429 that gives no time itself. Default 60; 0: not at all."""
    retries: int = 1
    """How often the same target is asked again after a 5xx or a dropped connection, before the next one is.
    Default 1; 0: the next one at once."""
    max_attempts: int = 6
    """Attempts for one request, over all targets and tokens. Default 6; at least 1."""
    hold: float = 5
    """Seconds in which nothing is sent to a streaming client while the first content isn't there; after that
    it gets a 200 and pings while the search goes on (so the status of a later failure can't be told any
    more). Default 5; 0: the 200 goes out at once."""
    ping_interval: float = 10
    """Seconds of silence towards a streaming client before it gets a ping. Default 10; 0 (here: infinity): no
    pings. Clients take long silence for a stall: Claude Code gives up after 300."""


class PoolSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How the accounts of a provider, and the Claude tokens, are shared out."""

    strategy: Strategy = "session"
    """`session` (default): a session stays on its account while that is usable, as prompt caches belong to the account;
    a new one gets the account with the most room, as far as the provider's headers have told, else the next one.
    `drain`: so too, but a new session gets the account whose weekly limit is reset first. `request`: the next account
    for every request."""


VIA = "claude-via-"
"""Before the name of a model: so that clients that know only Claude's names may ask for it."""


def bare_name(asked: str) -> str:
    """The model that a client means: `claude-via-glm` is glm."""
    return asked.removeprefix(VIA) or asked


class LedgerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What is remembered of requests that are over."""

    keep_days: int = 90
    """Days for which the row of a request is kept; older ones are deleted, at the start and once a day. Default 90;
    at least 1. A row says who asked for which model and what it cost, never what was said."""


class Budget(msgspec.Struct, frozen=True):
    """US dollars that a user may spend in a calendar day, week and month; None: no limit."""

    day: float | None = None
    week: float | None = None
    month: float | None = None

    def __bool__(self) -> bool:
        return not (self.day is self.week is self.month is None)


class PriceSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What models cost that have no `price:` of their own."""

    multiplier: float = 1
    """What the prices of the list are multiplied by. Default 1; 1.2: a fifth more."""
    unknown: Price = msgspec.field(default_factory=lambda: Price(input=5, output=25, cache_read=5, cache_write=5))
    """What counts against budgets for a model that is not in the list. Its cost is shown as unknown all the same.
    Default: 5 for input, 25 for output."""


class UserSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for every user of whom nothing else is said (`./run.sh user set`); the administrator has no limits."""

    timezone: tzinfo | None = None
    """Whose days usage and budgets go by: the name of a time zone (`Europe/Berlin`, `UTC`). Default: this machine's."""
    budget: Budget = Budget()
    """`{day: 20, week: 80, month: 250}`: US dollars; each that is given holds. Default: none."""
    requests_per_minute: int | None = None
    """Default: no limit."""
    sessions: int | None = None
    """Sessions at once; one counts for five minutes after its last request (what comes without an id of a session: one
    for each address). A new one waits for a minute. Default: no limit."""
    models: tuple[str, ...] = ()
    """Patterns of the names of models that may be asked for: `["glm*", "claude-*"]`. Default: all."""
    message: str = "Ask whoever runs this gateway."
    """What is said behind a refusal: whom to ask."""


class AlertSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Who is told that a user's budget runs out."""

    __repr__ = object.__repr__  # it has secrets

    webhook: str = ""
    """An address that gets a POST with JSON: user, window, threshold, spent_usd, budget_usd, resets_at. Default:
    nobody is told."""
    at: tuple[float, ...] = (0.8, 0.95, 1.0)
    """Shares of a budget; each is told once for a user and a window. Default: [0.8, 0.95, 1]."""
    egress: Egress = DIRECT
    """How the address is reached: by HTTPS_PROXY and HTTP_PROXY, with the certificates of `ca_bundle:`."""


class SafeguardSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Auto mode's verdicts on tool calls, where the provider that answers isn't Anthropic."""

    model: str = "same"
    """Who judges: `same` (default), the model that has answered; the name of a model of `models:`, with its rules and
    fallbacks; `off`: nobody, and clients are told so."""
    timeout: float = 30
    """Seconds for the verdicts on one answer's calls. Default 30; more than 0. Without verdicts in time the client
    doesn't run the calls, or checks them itself."""


class PatternTable[T]:
    """Values found by name: exact before wildcard, among wildcards the longest literal part, then file
    order."""

    def __init__(self, entries: Iterable[tuple[str, T]]) -> None:
        self._exact: dict[str, T] = {}
        wildcards: list[tuple[str, str, T]] = []
        for pattern, value in entries:
            before, star, after = pattern.partition("*")
            if star:
                wildcards.append((before, after, value))
            else:
                self._exact.setdefault(pattern, value)
        self._wildcards = sorted(wildcards, key=lambda entry: -len(entry[0]) - len(entry[1]))

    def find(self, name: str) -> tuple[T, str] | None:
        """The value for `name`, and what `*` stands for in it ("" in an exact entry); None: nothing
        matches."""
        if name in self._exact:
            return self._exact[name], ""
        for before, after, value in self._wildcards:
            if len(name) >= len(before) + len(after) and name.startswith(before) and name.endswith(after):
                return value, name[len(before) : len(name) - len(after)]
        return None

    def spelt(self, name: str) -> str:
        """The name to look for: without `[1m]` behind it, unless an entry has that in its own name."""
        plain, marked = without_mark(name)
        if not marked:
            return name
        found = self.find(name)
        return name if found and not without_mark(found[1])[1] else plain


def overlap(one: str, other: str) -> bool:
    """Whether some name matches both patterns."""
    (before, star, after), (other_before, other_star, other_after) = one.partition("*"), other.partition("*")
    if not star:
        return PatternTable([(other, None)]).find(one) is not None
    if not other_star:
        return PatternTable([(one, None)]).find(other) is not None
    starts = before.startswith(other_before) or other_before.startswith(before)
    return starts and (after.endswith(other_after) or other_after.endswith(after))


def matches(pattern: str, name: str) -> bool:
    """Whether a name fits a pattern with one `*`, or with one at both ends; case doesn't matter."""
    pattern, name = pattern.lower(), name.lower()
    if pattern.startswith("*") and pattern.endswith("*"):
        return pattern.strip("*") in name
    before, star, after = pattern.partition("*")
    if not star:
        return name == before
    return len(name) >= len(before) + len(after) and name.startswith(before) and name.endswith(after)
