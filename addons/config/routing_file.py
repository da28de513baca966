"""routing.yaml: its text in, typed and validated values out.

Rules of this file: pure (the environment is an argument; only `ca_bundle:` names files that are read); whatever
would fail at a request fails here, with file, line and key, and the first such mistake is the one that is told;
the only thing that may be missing is an environment variable of a provider, because somebody with one key must be
able to start. A value of the environment is in no message.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from addons.config.ca_bundle import CaBundle, read_ca_bundle
from addons.config.provider_file import read_provider
from addons.config.routing import (
    STRATEGIES,
    VIA,
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
    UserSettings,
    overlap,
)
from addons.config.rules import Rule
from addons.config.rules_file import doubtful, read_rules
from addons.config.search_file import read_search
from addons.config.users_file import read_alerts, read_users
from addons.config.variables import Variables, read_complete
from addons.config.yaml_reader import Entry, parse, suggestion
from addons.wire.model_name import without_mark
from addons.wire.search.settings import SearchSettings

SECTIONS = (
    *("providers", "models", "fallbacks", "routes"),
    *("failover", "pool", "ledger", "safeguards", "search", "prices", "users", "alerts", "ca_bundle"),
)
MODEL_KEYS = ("provider", "model", "context_window", "max_output_tokens", "price", "body")
PRICE_KEYS = ("input", "output", "cache_read", "cache_write", "cache_write_1h")
FAILOVER_KEYS = FailoverSettings.__struct_fields__
FIELDS_OF_THE_CLIENT = ("model", "messages", "system", "tools", "stream")
UNLIMITED_BY_ZERO = ("first_byte_timeout", "answer_timeout", "ping_interval")

PROVIDER_NAME = re.compile(r"[a-z0-9_]+(-[a-z0-9_]+)*")


class Routing(msgspec.Struct, frozen=True, kw_only=True):
    """All that routing.yaml says."""

    __repr__ = object.__repr__  # it has secrets

    providers: Mapping[str, Provider]
    models: tuple[Route, ...]
    fallbacks: tuple[Fallback, ...]
    rules: tuple[Rule, ...]
    failover: FailoverSettings
    pool: PoolSettings
    ledger: LedgerSettings
    safeguards: SafeguardSettings
    prices: PriceSettings
    users: UserSettings
    search: SearchSettings | None
    alerts: AlertSettings
    ca_bundle: CaBundle | None
    warnings: tuple[str, ...]
    """One line for each provider that is off, because a variable that it needs is not set, and for each fallback
    and each rule that does nothing; one for a search that is off."""
    off: tuple[str, ...]
    """Those of the warnings that say what is off, because a variable is not set."""
    header_secrets: tuple[str, ...]
    """What in `headers:` came from a variable, or has a name that credentials have."""


def read(text: str, env: Mapping[str, str], *, filename: str) -> Routing:
    """The content of a routing.yaml. `filename` is what messages call it. Raises ConfigError."""
    return read_whole(parse(text, file=filename), env)


def read_whole(whole: Entry, env: Mapping[str, str]) -> Routing:
    """All that the file says. Raises ConfigError."""
    sections = whole.mapping(SECTIONS)
    for name in ("providers", "models"):
        if name not in sections:
            raise whole.error(f"{name}: is missing")
    given = {name: section for name, section in sections.items() if name in SECTIONS[:2] or not section.empty}
    secrets: list[str] = []
    ca_bundle = read_common_bundle(given["ca_bundle"], env) if "ca_bundle" in given else None
    providers = read_providers(given["providers"], env, secrets, ca_bundle)
    models = read_models(given["models"], providers, env)
    rules = read_rules(given["routes"], models) if "routes" in given else ()
    fallbacks = read_fallbacks(given["fallbacks"], models) if "fallbacks" in given else ()
    search, search_is_off = read_search(given["search"], env) if "search" in given else (None, "")
    off = (*disabled(providers.values(), models), *filter(None, [search_is_off]))
    return Routing(
        providers=providers,
        models=models,
        fallbacks=fallbacks,
        rules=rules,
        failover=read_failover(given["failover"]) if "failover" in given else FailoverSettings(),
        pool=read_pool(given["pool"]) if "pool" in given else PoolSettings(),
        ledger=read_ledger(given["ledger"]) if "ledger" in given else LedgerSettings(),
        safeguards=read_safeguards(given["safeguards"], models) if "safeguards" in given else SafeguardSettings(),
        prices=read_prices(given["prices"]) if "prices" in given else PriceSettings(),
        users=read_users(given["users"]) if "users" in given else UserSettings(),
        search=search,
        alerts=read_alerts(given["alerts"], env, ca_bundle) if "alerts" in given else AlertSettings(),
        ca_bundle=ca_bundle,
        warnings=(*circles(fallbacks, models), *doubtful(rules, models), *off),
        off=off,
        header_secrets=tuple(secrets),
    )


def read_common_bundle(entry: Entry, env: Mapping[str, str]) -> CaBundle | None:
    """`ca_bundle:` for all that has none of its own."""
    variables = Variables(env)
    bundle = read_ca_bundle(entry, variables)
    if variables.missing:
        raise entry.error(f"{variables.missing} is not set")
    return bundle


def read_providers(
    section: Entry, env: Mapping[str, str], secrets: list[str], ca_bundle: CaBundle | None
) -> dict[str, Provider]:
    """`providers:`. Appends to `secrets` those in headers."""
    providers = {}
    for name, entry in section.mapping().items():
        if not PROVIDER_NAME.fullmatch(name):
            raise entry.error("a provider's name is made of a-z, 0-9 and _, with single - between them")
        providers[name] = read_provider(name, entry, env, secrets, ca_bundle)
    if not providers:
        raise section.error("names no provider")
    return providers


def read_models(section: Entry, providers: Mapping[str, Provider], env: Mapping[str, str]) -> tuple[Route, ...]:
    """`models:`."""
    routes = []
    for alias, entry in section.mapping().items():
        if alias.count("*") > 1:
            raise entry.error("has more than one *")
        if alias.startswith(VIA):
            raise entry.error(f"{VIA} is taken off before a name is looked for: leave it out here")
        routes.append(read_model(alias, entry, providers, env))
    if not routes:
        raise section.error("names no model")
    return tuple(routes)


def read_model(alias: str, entry: Entry, providers: Mapping[str, Provider], env: Mapping[str, str]) -> Route:
    """One model, in the short form (`provider/model`) or the long one."""
    keys = entry.mapping(MODEL_KEYS) if entry.is_mapping else {}
    for key in ("provider", "model"):
        if entry.is_mapping and key not in keys:
            raise entry.error(f"{key} is missing")
    if entry.is_mapping:
        name, model = keys["provider"].text(), read_complete(keys["model"], env)
    else:
        name = entry.text().partition("/")[0]  # without variables: a message may quote it
        model = read_complete(entry, env).partition("/")[2]
        if not model:
            raise entry.error("must be written provider/model")
    if name not in providers:
        raise keys.get("provider", entry).error(f"no provider is called {name}{suggestion(name, providers)}")
    if model.count("*") > alias.count("*"):
        raise keys.get("model", entry).error("has a * for which the alias has none")
    return Route(
        alias=alias,
        provider=providers[name],
        model=model,
        context_window=read_tokens(keys, "context_window"),
        max_output_tokens=read_tokens(keys, "max_output_tokens"),
        price=read_price(keys["price"]) if "price" in keys else None,
        body=read_body(keys["body"]) if "body" in keys else {},
    )


def read_body(entry: Entry) -> dict[str, Any]:
    """`body:` of a model: fields for every request to it."""
    for name, value in entry.mapping().items():
        if name in FIELDS_OF_THE_CLIENT:
            raise value.error("is the client's to say")
    fields: dict[str, Any] = entry.value()
    return fields


def read_tokens(keys: Mapping[str, Entry], key: str) -> int | None:
    """A number of tokens, when there is one."""
    return keys[key].integer(minimum=1) if key in keys else None


def read_price(entry: Entry) -> Price:
    """`price:` of a model."""
    prices = {key: value.number() for key, value in entry.mapping(PRICE_KEYS).items()}
    for key in ("input", "output"):
        if key not in prices:
            raise entry.error(f"{key} is missing")
    return Price(**{"cache_read": prices["input"], "cache_write": prices["input"], **prices})


def read_fallbacks(section: Entry, models: Sequence[Route]) -> tuple[Fallback, ...]:
    """`fallbacks:`. What is asked for and what stands in for it must both be names of models."""
    aliases = [route.alias for route in models]
    table = PatternTable((route.alias, route) for route in models)
    fallbacks = []
    for asked, entry in section.mapping().items():
        if asked.count("*") > 1:
            raise entry.error("has more than one *")
        if not any(overlap(spelt, alias) for alias in aliases for spelt in (asked, without_mark(asked)[0])):
            raise entry.error(f"no model is asked for by that name{suggestion(asked, aliases)}")
        names = []
        for item in entry.items():
            name = item.text()
            if "*" in name:
                raise item.error("must be the name of one model, without *")
            found = table.find(table.spelt(name))
            if not found or not found[0].target(name, found[1], fallback=True):
                raise item.error(f"no model is called {name}{suggestion(name, aliases)}")
            names.append(name)
        fallbacks.append(Fallback(asked=asked, models=tuple(names)))
    return tuple(fallbacks)


def read_failover(entry: Entry) -> FailoverSettings:
    """`failover:`; what isn't there has its default."""
    settings: dict[str, Any] = {}
    for name, value in entry.mapping(FAILOVER_KEYS).items():
        if name in ("retries", "max_attempts"):
            settings[name] = value.integer(minimum=1 if name == "max_attempts" else 0)
        else:
            settings[name] = value.number() or (math.inf if name in UNLIMITED_BY_ZERO else 0.0)
    return FailoverSettings(**settings)


def read_pool(entry: Entry) -> PoolSettings:
    """`pool:`."""
    keys = entry.mapping(("strategy",))
    return PoolSettings(strategy=keys["strategy"].choice(STRATEGIES)) if keys else PoolSettings()


def read_ledger(entry: Entry) -> LedgerSettings:
    """`ledger:`."""
    keys = entry.mapping(("keep_days",))
    return LedgerSettings(keep_days=keys["keep_days"].integer(minimum=1)) if keys else LedgerSettings()


def read_safeguards(entry: Entry, models: Sequence[Route]) -> SafeguardSettings:
    """`safeguards:`."""
    keys, settings = entry.mapping(("model", "timeout")), SafeguardSettings()
    name, timeout = settings.model, settings.timeout
    if "model" in keys:
        # YAML reads `off` as false.
        name = "off" if keys["model"].value() is False else keys["model"].text()
        aliases = [route.alias for route in models]
        table = PatternTable((route.alias, route) for route in models)
        found = table.find(table.spelt(name))
        if name not in ("same", "off") and not (found and found[0].target(name, found[1], fallback=False)):
            words = suggestion(name, ["same", "off", *aliases])
            raise keys["model"].error(f"must be same, off or the name of a model{words}")
    if "timeout" in keys and not (timeout := keys["timeout"].number()):
        raise keys["timeout"].error("must be more than 0")
    return SafeguardSettings(model=name, timeout=timeout)


def read_prices(entry: Entry) -> PriceSettings:
    """`prices:`."""
    keys, settings = entry.mapping(("multiplier", "unknown")), PriceSettings()
    return PriceSettings(
        multiplier=keys["multiplier"].number() if "multiplier" in keys else settings.multiplier,
        unknown=read_price(keys["unknown"]) if "unknown" in keys else settings.unknown,
    )


def circles(fallbacks: Iterable[Fallback], models: Sequence[Route]) -> Iterable[str]:
    """One line for each fallback that leads back to the model that it stands in for."""
    table = PatternTable((route.alias, route) for route in models)

    def place(name: str) -> tuple[str, str] | None:
        found = table.find(table.spelt(name))
        target = found[0].target(name, found[1], fallback=True) if found else None
        return (target.provider.name, target.model) if target else None

    for fallback in fallbacks:
        for name in fallback.models:
            if place(name) == place(fallback.asked):
                yield f"fallbacks: {name} can't stand in for {fallback.asked}: it is the same model"


def disabled(providers: Iterable[Provider], models: Sequence[Route]) -> Iterable[str]:
    """One line for each provider that misses a variable and has models: which ones can't be used."""
    for provider in providers:
        aliases = ", ".join(route.alias for route in models if route.provider is provider)
        if provider.missing and aliases:
            yield f"{provider.missing} is not set: provider {provider.name} is off, and with it {aliases}"
