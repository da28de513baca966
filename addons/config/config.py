"""The configuration in force: routing.yaml and the environment, read together, looked up, and reloaded.

Rules of this file: a Config never changes (a reload makes another one), and a request keeps the one it began
with; nothing here knows of mitmproxy or of a clock; no `repr`, error or warning holds a secret. The types
that a Config is made of are in `routing`, and can be had from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from addons.config import routing_file
from addons.config.ca_bundle import CaBundle
from addons.config.egress import Egress, ProxyVariables, proxy_variables
from addons.config.environment import credential, credential_files, oauth_tokens, unquoted
from addons.config.routing import (
    COMMAND,
    FILE,
    AlertSettings,
    FailoverSettings,
    Fallback,
    LedgerSettings,
    PatternTable,
    PoolSettings,
    Price,
    PriceSettings,
    Provider,
    Route,
    SafeguardSettings,
    Target,
    UserSettings,
    bare_name,
)
from addons.config.rules import Rule
from addons.config.yaml_reader import ConfigError
from addons.wire.model_name import without_mark
from addons.wire.search.settings import SearchSettings

__all__ = [
    "Config",
    "ConfigError",
    "FailoverSettings",
    "Fallback",
    "PoolSettings",
    "Price",
    "Provider",
    "Route",
    "Target",
    "TokenMode",
    "load",
]

TokenMode = Literal["rotate", "passthrough"]
TOKEN_MODES: tuple[TokenMode, ...] = get_args(TokenMode)

REMEMBERED_NAMES = 512
LONGEST_REMEMBERED = 200
"""Clients choose the names that are looked up: neither their number nor their length may cost memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Everything that can be configured, validated.

    Twenty-five fields: the sections of routing.yaml and the variables of the environment by their names, four tables
    that are made of them.
    """

    providers: Mapping[str, Provider]
    """By name. One that misses an environment variable is among them, with `missing`."""
    models: tuple[Route, ...]
    """In the order of the file."""
    fallbacks: tuple[Fallback, ...] = ()
    """In the order of the file."""
    rules: tuple[Rule, ...] = ()
    """`routes:`, in the order of the file. Default: none, every request goes where its model goes."""
    failover: FailoverSettings = field(default_factory=FailoverSettings)
    pool: PoolSettings = field(default_factory=PoolSettings)
    ledger: LedgerSettings = field(default_factory=LedgerSettings)
    safeguards: SafeguardSettings = field(default_factory=SafeguardSettings)
    prices: PriceSettings = field(default_factory=PriceSettings)
    users: UserSettings = field(default_factory=UserSettings)
    alerts: AlertSettings = field(default_factory=AlertSettings)
    search: SearchSettings | None = None
    """Who searches the web for targets that can't. Default: nobody."""
    tokens: tuple[str, ...] = field(default=(), repr=False)
    """CLAUDE_OAUTH_TOKENS: the pool, in the order given, without blanks and duplicates. Default: none."""
    credential_files: tuple[str, ...] = ()
    """CLAUDE_CREDENTIALS: absolute paths of files with logins, which stand in the pool behind the tokens. Default:
    none."""
    token_mode: TokenMode = TOKEN_MODES[0]
    """CLAUDE_TOKEN_MODE. `rotate` (default): requests to Anthropic use the pool. `passthrough`: the client's
    own token."""
    static_token: str = field(default="", repr=False)
    """PROXY_STATIC_TOKEN: what every client must present. Default: empty, everybody may enter."""
    admin_key: str = field(default="", repr=False)
    """LITELLM_MASTER_KEY: the administrator's. Default: empty, nobody is one."""
    warnings: tuple[str, ...] = ()
    """One line each: what is switched off because something is missing, and what does nothing."""
    off: tuple[str, ...] = ()
    """Those of them that say what is switched off."""
    proxies: ProxyVariables = field(default_factory=ProxyVariables)
    """HTTPS_PROXY, HTTP_PROXY, NO_PROXY: for what goes to no provider. Default: none."""
    ca_bundle: CaBundle | None = None
    """Certificates that are trusted besides the public ones, for all that has none of its own. Default: none."""
    header_secrets: tuple[str, ...] = field(default=(), repr=False)
    """Credentials in providers' `headers:`."""

    _secrets: tuple[str, ...] = field(init=False, repr=False, compare=False)
    _routes: PatternTable[Route] = field(init=False, repr=False, compare=False)
    _fallbacks: PatternTable[tuple[str, ...]] = field(init=False, repr=False, compare=False)
    _found: dict[str, tuple[Target, ...]] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        routes = PatternTable((route.alias, route) for route in self.models)
        fallbacks = PatternTable((fallback.asked, fallback.models) for fallback in self.fallbacks)
        object.__setattr__(self, "_secrets", secrets_in(self))
        object.__setattr__(self, "_routes", routes)
        object.__setattr__(self, "_fallbacks", fallbacks)

    def targets(self, model: str) -> list[Target]:
        """Where a request for `model` (a bare name or not) can go: its route, then its fallbacks; empty when no route
        matches.

        `[1m]` behind the name is no part of it, unless an alias is spelt so. No (provider, model) is in it twice.
        Targets of a provider with `missing` are in it, for the caller to skip and to name in an error.
        """
        found = self._found.get(model)
        if found is None:
            found = self._search(bare_name(model))
            if len(model) <= LONGEST_REMEMBERED:
                if len(self._found) >= REMEMBERED_NAMES:
                    self._found.clear()
                self._found[model] = found
        return list(found)

    def plain_name(self, model: str) -> str:
        """The model that a client means: without `claude-via-` before it, and without `[1m]` behind it unless an alias
        is spelt so."""
        return self._routes.spelt(bare_name(model))

    def egress(self, scheme: str, host: str, port: int) -> Egress:
        """How an address is reached that is no provider's."""
        return Egress(self.proxies.of(scheme, host, port), self.ca_bundle)

    def token_egress(self, scheme: str, host: str, port: int) -> Egress:
        """How the endpoint is reached that renews Claude's logins: as the first provider that uses them, where that
        has a proxy or certificates of its own."""
        common = self.egress(scheme, host, port)
        for provider in self.providers.values():
            if provider.auth == "claude-oauth":
                usual = self.proxies.of(provider.scheme, provider.host, provider.port)
                return Egress(common.proxy if provider.proxy == usual else provider.proxy, provider.ca_bundle)
        return common

    def aliases(self) -> list[Route]:
        """The models that have a name of their own (no wildcard), in the order of the file."""
        return [route for route in self.models if "*" not in route.alias]

    def claude_accounts(self) -> tuple[str, ...]:
        """The Claude pool, in order: tokens, then the names of logins in files."""
        return (*self.tokens, *(f"{FILE}{path}" for path in self.credential_files))

    def live_credentials(self) -> list[str]:
        """The names of the credentials that change while the gateway runs."""
        commands = [f"{COMMAND}{provider.name}" for provider in self.providers.values() if provider.command]
        return [*(f"{FILE}{path}" for path in self.credential_files), *commands]

    def secrets(self) -> tuple[str, ...]:
        """Every secret value, for masking."""
        return self._secrets

    def _search(self, model: str) -> tuple[Target, ...]:
        long_context = without_mark(model)[1]
        first = self._resolve(model, fallback=False, long_context=long_context)
        if first is None:
            return ()
        fallbacks = self._fallbacks.find(self._fallbacks.spelt(model))
        names = fallbacks[0] if fallbacks else ()
        unique: dict[tuple[str, str], Target] = {}
        for target in (first, *(self._resolve(name, fallback=True, long_context=long_context) for name in names)):
            if target:
                unique.setdefault((target.provider.name, target.model), target)
        return tuple(unique.values())

    def _resolve(self, name: str, *, fallback: bool, long_context: bool) -> Target | None:
        spelt = self._routes.spelt(name)
        found = self._routes.find(spelt)
        if found is None:
            return None
        long_context = long_context or without_mark(name)[1]
        return found[0].target(spelt, found[1], fallback=fallback, long_context=long_context)


def secrets_in(config: Config) -> tuple[str, ...]:
    """Every secret value of a configuration, each once."""
    keys = (key for provider in config.providers.values() if not provider.command for key in provider.api_keys)
    search = config.search.api_key if config.search else ""
    proxies = (config.proxies.https, config.proxies.http)
    secrets = (
        *keys,
        *config.header_secrets,
        *config.tokens,
        config.static_token,
        config.admin_key,
        config.alerts.webhook,
        search,
        *(secret for proxy in proxies if proxy for secret in proxy.secrets),
    )
    return tuple(dict.fromkeys(filter(None, secrets)))


def load(text: str, env: Mapping[str, str], *, filename: str) -> Config:
    """The configuration that a routing.yaml of this text gives under this environment. Pure.

    A variable that is set but empty counts as missing; white space and a pair of quotes around a value don't
    belong to it. `filename` is what error messages call the file. Raises ConfigError.
    """
    env = {name: value for name, raw in env.items() if (value := unquoted(raw))}
    routing = routing_file.read(text, env, filename=filename)
    return Config(
        providers=routing.providers,
        models=routing.models,
        fallbacks=routing.fallbacks,
        rules=routing.rules,
        failover=routing.failover,
        pool=routing.pool,
        ledger=routing.ledger,
        safeguards=routing.safeguards,
        prices=routing.prices,
        users=routing.users,
        alerts=routing.alerts,
        search=routing.search,
        tokens=oauth_tokens(env),
        credential_files=credential_files(env),
        token_mode=read_token_mode(env),
        static_token=credential(env, "PROXY_STATIC_TOKEN"),
        admin_key=credential(env, "LITELLM_MASTER_KEY"),
        warnings=routing.warnings,
        off=routing.off,
        proxies=proxy_variables(env),
        ca_bundle=routing.ca_bundle,
        header_secrets=routing.header_secrets,
    )


def read_token_mode(env: Mapping[str, str]) -> TokenMode:
    """CLAUDE_TOKEN_MODE. Raises ConfigError."""
    mode = env.get("CLAUDE_TOKEN_MODE", "rotate").lower()
    for known in TOKEN_MODES:
        if known == mode:
            return known
    raise ConfigError(f"CLAUDE_TOKEN_MODE: must be one of {', '.join(TOKEN_MODES)}")


def token_mode(config: Config, asked: str) -> TokenMode:
    """The token mode of a request: its own wish, else the configured one; without accounts it is passthrough."""
    wished = asked if asked in ("rotate", "passthrough") else config.token_mode
    has_accounts = config.tokens or config.credential_files
    return "rotate" if wished == "rotate" and has_accounts else "passthrough"
