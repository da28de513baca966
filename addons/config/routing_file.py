"""routing.yaml: its text in, typed and validated values out.

Rules of this file: pure (the environment is an argument); whatever would fail at a request fails here, with
file, line and key, and the first such mistake is the one that is told; the only thing that may be missing is
an environment variable of a provider, because somebody with one key must be able to start. A value of the
environment is in no message.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any
from urllib.parse import SplitResult, urlsplit

from addons.config.dialect_file import KEYS as DIALECT_KEYS
from addons.config.dialect_file import read_dialect, read_variants
from addons.config.presets import filled, texts
from addons.config.routing import (
    COMMAND,
    FORMATS,
    STRATEGIES,
    THINKING,
    Auth,
    FailoverSettings,
    Fallback,
    LedgerSettings,
    PatternTable,
    PoolSettings,
    Price,
    Provider,
    Route,
    overlap,
)
from addons.config.rules import Rule
from addons.config.rules_file import doubtful, read_rules
from addons.config.yaml_reader import Entry, parse, suggestion
from addons.wire.masking import is_credential_header
from addons.wire.model_name import without_mark
from addons.wire.steps.table import STEP_NAMES

SECTIONS = ("providers", "models", "fallbacks", "routes", "failover", "pool", "ledger")
PROVIDER_KEYS = (
    *("preset", "base_url", "auth", "api_key", "api_keys", "command", "ttl", "format"),
    *("thinking", "headers", "query", "betas", "steps", "subscription"),
    *DIALECT_KEYS,
)
MODEL_KEYS = ("provider", "model", "context_window", "max_output_tokens", "price", "body")
COMMAND_AUTH: Any = "command"
WRITTEN_AUTHS: tuple[Auth, ...] = ("bearer", "x-api-key", "claude-oauth", "none")
STEP_KEYS = tuple(sorted(STEP_NAMES))
PRICE_KEYS = ("input", "output", "cache_read", "cache_write")
FAILOVER_KEYS = tuple(setting.name for setting in fields(FailoverSettings))
FIELDS_OF_THE_CLIENT = ("model", "messages", "system", "tools", "stream")
UNLIMITED_BY_ZERO = ("first_byte_timeout", "answer_timeout", "ping_interval")

PROVIDER_NAME = re.compile(r"[a-z0-9_]+(-[a-z0-9_]+)*")
VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
BARE_VARIABLE = re.compile(r"\$[A-Za-z_][A-Za-z0-9_]*")
VISIBLE = re.compile(r"[\x21-\x7e]+")
NOT_VISIBLE = "has a space or a character that is not ASCII"
"""What is wrong with a credential that no header could carry."""
HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
HEADER_VALUE = re.compile(r"[\x20-\x7e]+")
ENDPOINTS = {"anthropic": ("/v1", "/v1/messages"), "openai-chat": ("/chat/completions",)}
"""What the gateway puts after a base_url itself: at the end of one it is a mistake."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Routing:
    """All that routing.yaml says."""

    providers: Mapping[str, Provider]
    models: tuple[Route, ...]
    fallbacks: tuple[Fallback, ...]
    rules: tuple[Rule, ...]
    failover: FailoverSettings
    pool: PoolSettings
    ledger: LedgerSettings
    warnings: tuple[str, ...]
    """One line for each provider that is off, because a variable that it needs is not set, and for each rule that
    does nothing."""
    header_secrets: tuple[str, ...] = field(repr=False)
    """What in `headers:` came from a variable, or has a name that credentials have."""


@dataclass(slots=True)
class Variables:
    """Puts the values of variables into the texts of one provider or model, and notes what is missing."""

    env: Mapping[str, str]
    missing: str = ""
    """The first variable that was asked for and is not set."""

    def expand(self, entry: Entry) -> str:
        """The entry's text with every `${NAME}` replaced, a missing one by nothing."""
        text = entry.text()
        rest = VARIABLE.sub("", text)
        if "${" in rest:
            raise entry.error("a variable is written ${NAME}: letters, digits and _ only, closed by }")
        if BARE_VARIABLE.fullmatch(text):
            raise entry.error("a variable is written with braces: ${NAME}")
        for name in VARIABLE.findall(text):
            if not self.env.get(name) and not self.missing:
                self.missing = name
        return VARIABLE.sub(lambda match: self.env.get(match[1], ""), text)


def read(text: str, env: Mapping[str, str], *, filename: str) -> Routing:
    """The content of a routing.yaml. `filename` is what messages call it. Raises ConfigError."""
    whole = parse(text, file=filename)
    sections = whole.mapping(SECTIONS)
    for name in ("providers", "models"):
        if name not in sections:
            raise whole.error(f"{name}: is missing")
    given = {name: section for name, section in sections.items() if name in SECTIONS[:2] or not section.empty}
    secrets: list[str] = []
    providers = read_providers(given["providers"], env, secrets)
    models = read_models(given["models"], providers, env)
    rules = read_rules(given["routes"], models) if "routes" in given else ()
    return Routing(
        providers=providers,
        models=models,
        fallbacks=read_fallbacks(given["fallbacks"], models) if "fallbacks" in given else (),
        rules=rules,
        failover=read_failover(given["failover"]) if "failover" in given else FailoverSettings(),
        pool=read_pool(given["pool"]) if "pool" in given else PoolSettings(),
        ledger=read_ledger(given["ledger"]) if "ledger" in given else LedgerSettings(),
        warnings=(*disabled(providers.values(), models), *doubtful(rules, models)),
        header_secrets=tuple(secrets),
    )


def read_providers(section: Entry, env: Mapping[str, str], secrets: list[str]) -> dict[str, Provider]:
    """`providers:`. Appends to `secrets` those in headers."""
    providers = {}
    for name, entry in section.mapping().items():
        if not PROVIDER_NAME.fullmatch(name):
            raise entry.error("a provider's name is made of a-z, 0-9 and _, with single - between them")
        providers[name] = read_provider(name, entry, env, secrets)
    if not providers:
        raise section.error("names no provider")
    return providers


def read_provider(name: str, entry: Entry, env: Mapping[str, str], secrets: list[str]) -> Provider:
    """One provider. Appends to `secrets` those in its headers."""
    keys = entry.mapping(PROVIDER_KEYS)
    preset = keys["preset"].choice(tuple(texts())) if "preset" in keys else ""
    if preset:
        keys = filled(keys, preset)
    for key in ("base_url", "auth"):
        if key not in keys:
            raise entry.error(f"{key} is missing")
    variables = Variables(env)
    auth, auth_name = read_auth(keys["auth"])
    command = read_command(keys)
    form = keys["format"].choice(FORMATS) if "format" in keys else "anthropic"
    api_keys, key_source = read_keys(name, entry, keys, auth, variables)
    headers = read_headers(keys["headers"], variables, secrets) if "headers" in keys else {}
    query = read_query(keys["query"], variables, secrets) if "query" in keys else {}
    url = read_url(keys["base_url"], variables, ENDPOINTS[form])
    return Provider(
        name=name,
        base_url=url.geturl(),
        scheme=url.scheme,
        host=url.hostname or "",
        port=url.port or (0 if not url.hostname else 443 if url.scheme == "https" else 80),
        path=url.path,
        auth=auth,
        auth_name=auth_name,
        command=command,
        ttl=keys["ttl"].number(minimum=1) if "ttl" in keys else 3000,
        api_keys=api_keys,
        key_source=key_source,
        missing=variables.missing,
        format=form,
        thinking=keys["thinking"].choice(THINKING) if "thinking" in keys else "keep",
        headers=headers,
        query=query,
        masked_query=frozenset(name for name, value in query.items() if value in secrets),
        betas=frozenset(item.text() for item in keys["betas"].items()) if "betas" in keys else frozenset(),
        steps=read_steps(keys["steps"]) if "steps" in keys else {},
        chat=read_dialect(keys, form),
        variants=read_variants(keys, form),
        preset=preset,
        subscription=keys["subscription"].boolean() if "subscription" in keys else False,
    )


def read_auth(entry: Entry) -> tuple[Auth, str]:
    """`auth:` of a provider, and the name of the header or parameter that carries the key, when it is another one."""
    if not entry.is_mapping:
        if entry.text() == "command":
            return "bearer", ""
        return entry.choice((*WRITTEN_AUTHS, COMMAND_AUTH)), ""
    places = entry.mapping(("header", "query"))
    if len(places) != 1:
        raise entry.error("must name a header or a query parameter, like {header: api-key}")
    ((kind, value),) = places.items()
    name = value.text()
    if not HEADER_NAME.fullmatch(name):
        raise value.error("is no name that a header or a parameter can have")
    if kind == "header":
        return "header", name.lower()
    return "query", name


def read_command(keys: Mapping[str, Entry]) -> tuple[str, ...]:
    """`command:` of a provider: a program and its arguments."""
    wanted = not keys["auth"].is_mapping and keys["auth"].text() == "command"
    if "command" not in keys:
        for key in ("ttl",) if "ttl" in keys else ():
            raise keys[key].error("has a meaning only with command:")
        if wanted:
            raise keys["auth"].error("needs a command: that prints the credential, like [aws-token, --region, eu]")
        return ()
    words = tuple(item.text() for item in keys["command"].items())
    if not words:
        raise keys["command"].error("has no value")
    if any("${" in word for word in words):
        raise keys["command"].error("variables have no meaning here: the program has the gateway's environment")
    return words


def read_query(entry: Entry, variables: Variables, secrets: list[str]) -> dict[str, str]:
    """`query:` of a provider. Appends to `secrets` what came from a variable."""
    query = {}
    for name, value in entry.mapping().items():
        query[name] = text = variables.expand(value)
        if text and VARIABLE.search(value.text()):
            secrets.append(text)
    return query


def read_keys(
    name: str, entry: Entry, keys: Mapping[str, Entry], auth: Auth, variables: Variables
) -> tuple[tuple[str, ...], str]:
    """`api_key:` or `api_keys:` of a provider, each value one key or several with commas between them; and where they
    are set. Of several, those that are there are enough. With a command, the only one is the name of what it prints."""
    given = [key for key in ("api_key", "api_keys", "command") if key in keys]
    if auth in ("claude-oauth", "none"):
        if given:
            raise keys[given[0]].error(f"has no meaning with auth: {auth}")
        return (), "CLAUDE_OAUTH_TOKENS" if auth == "claude-oauth" else ""
    if not given:
        raise entry.error(f"api_key is missing (auth: {auth} needs one)")
    if len(given) > 1:
        raise keys[given[1]].error(f"stands beside {given[0]}: one of them is enough")
    if given == ["command"]:
        return (f"{COMMAND}{name}",), "command"
    items = keys["api_keys"].items() if given == ["api_keys"] else [keys["api_key"]]
    found: dict[str, None] = {}
    missing, sources = "", dict.fromkeys(name for item in items for name in VARIABLE.findall(item.text()))
    for item in items:
        own = Variables(variables.env)
        text = own.expand(item)
        missing = missing or own.missing
        for key in () if own.missing else filter(None, (part.strip() for part in text.split(","))):
            if not VISIBLE.fullmatch(key):
                raise item.error(NOT_VISIBLE)
            found[key] = None
    if not found and not missing:
        raise keys[given[0]].error("has no key in it")
    if not found:
        variables.missing = variables.missing or missing
    return tuple(found), " and ".join(sources) or f"{given[0]} in routing.yaml"


def read_url(entry: Entry, variables: Variables, endpoints: Iterable[str]) -> SplitResult:
    """A base_url without the slash at its end; an empty one when a variable in it is missing."""
    known = Variables(variables.env)
    text = known.expand(entry)
    if known.missing:
        variables.missing = variables.missing or known.missing
        return SplitResult("", "", "", "", "")
    try:
        url = urlsplit(text)
        valid = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:
        valid = False
    if not valid or not VISIBLE.fullmatch(text):
        raise entry.error("must be an address that begins with http:// or https://")
    if "?" in text or "#" in text or "@" in url.netloc:
        raise entry.error("must be an address without ?query, #fragment and user@")
    path = url.path.rstrip("/")
    for endpoint in endpoints:
        if path.endswith(endpoint):
            raise entry.error(f"must not end in {endpoint}: the gateway adds that itself")
    return url._replace(path=path)


def read_headers(entry: Entry, variables: Variables, secrets: list[str]) -> dict[str, str]:
    """`headers:` of a provider. Appends to `secrets` what came from a variable or has a credential's name."""
    headers = {}
    for name, value in entry.mapping().items():
        text = variables.expand(value)
        if not HEADER_NAME.fullmatch(name):
            raise value.error("is no name that a header can have")
        if text and not HEADER_VALUE.fullmatch(text):
            raise value.error("has a character that no header can carry")
        secrets += filter(None, (variables.env.get(variable) for variable in VARIABLE.findall(value.text())))
        if text and is_credential_header(name):
            secrets.append(text)
        headers[name] = text
    return headers


def read_steps(entry: Entry) -> dict[str, bool]:
    """`steps:` of a provider."""
    return {name: step.boolean() for name, step in entry.mapping(STEP_KEYS).items()}


def read_models(section: Entry, providers: Mapping[str, Provider], env: Mapping[str, str]) -> tuple[Route, ...]:
    """`models:`."""
    routes = []
    for alias, entry in section.mapping().items():
        if alias.count("*") > 1:
            raise entry.error("has more than one *")
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
        name, model = keys["provider"].text(), read_name(keys["model"], env)
    else:
        name = entry.text().partition("/")[0]  # without variables: a message may quote it
        model = read_name(entry, env).partition("/")[2]
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


def read_name(entry: Entry, env: Mapping[str, str]) -> str:
    """A text with variables, all of which must be set."""
    variables = Variables(env)
    text = variables.expand(entry)
    if variables.missing:
        raise entry.error(f"{variables.missing} is not set")
    return text


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


def disabled(providers: Iterable[Provider], models: Sequence[Route]) -> Iterable[str]:
    """One line for each provider that misses a variable and has models: which ones can't be used."""
    for provider in providers:
        aliases = ", ".join(route.alias for route in models if route.provider is provider)
        if provider.missing and aliases:
            yield f"{provider.missing} is not set: provider {provider.name} is off, and with it {aliases}"
