"""A provider of routing.yaml: one entry of `providers:` in, a `Provider` out.

Rules of this file: those of routing_file. What needs a variable that is not set leaves the provider without it, and
its name in `missing`: somebody with one key must be able to start.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import SplitResult, urlsplit

from addons.config.ca_bundle import CaBundle, read_ca_bundle
from addons.config.dialect_file import KEYS as DIALECT_KEYS
from addons.config.dialect_file import read_dialect, read_variants
from addons.config.egress import EgressProxy, proxy_variables, read_proxy
from addons.config.environment import NOT_VISIBLE, VISIBLE
from addons.config.presets import filled, texts
from addons.config.routing import COMMAND, FORMATS, THINKING, Auth, Provider
from addons.config.variables import VARIABLE, Variables
from addons.config.yaml_reader import Entry
from addons.wire.masking import is_credential_header
from addons.wire.steps.table import STEP_NAMES

PROVIDER_KEYS = (
    *("preset", "base_url", "auth", "api_key", "api_keys", "command", "ttl", "format"),
    *("thinking", "headers", "query", "betas", "steps", "subscription", "web_search", "proxy", "ca_bundle"),
    *DIALECT_KEYS,
)
COMMAND_AUTH: Any = "command"
WRITTEN_AUTHS: tuple[Auth, ...] = ("bearer", "x-api-key", "claude-oauth", "none")
STEP_KEYS = tuple(sorted(STEP_NAMES))
HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
HEADER_VALUE = re.compile(r"[\x20-\x7e]+")
ENDPOINTS = {"anthropic": ("/v1", "/v1/messages"), "openai-chat": ("/chat/completions",)}
"""What the gateway puts after a base_url itself: at the end of one it is a mistake."""


def read_provider(
    name: str, entry: Entry, env: Mapping[str, str], secrets: list[str], ca_bundle: CaBundle | None = None
) -> Provider:
    """One provider. Appends to `secrets` those in its headers. `ca_bundle`: the one for all, where it has none."""
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
    port = url.port or (0 if not url.hostname else 443 if url.scheme == "https" else 80)
    proxy = proxy_variables(env).of(url.scheme, url.hostname or "", port)
    if "proxy" in keys:
        proxy = read_own_proxy(keys["proxy"], variables, secrets)
    if "ca_bundle" in keys:
        ca_bundle = read_ca_bundle(keys["ca_bundle"], variables)
    return Provider(
        name=name,
        base_url=url.geturl(),
        scheme=url.scheme,
        host=url.hostname or "",
        port=port,
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
        proxy=proxy,
        ca_bundle=ca_bundle,
        subscription=keys["subscription"].boolean() if "subscription" in keys else False,
        web_search=keys["web_search"].boolean() if "web_search" in keys else False,
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
        known = Variables(variables.env)
        text = known.expand(item)
        missing = missing or known.missing
        for key in () if known.missing else filter(None, (part.strip() for part in text.split(","))):
            if not VISIBLE.fullmatch(key):
                # What a variable holds is wrong there, not here; and a preset's line is in no file of the user's.
                names = " and ".join(VARIABLE.findall(item.text()))
                what = f"{NOT_VISIBLE}, in {names}" if names else NOT_VISIBLE
                raise item.error(what) if item.file == entry.file else entry.error(f"{given[0]} {what}")
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


def read_own_proxy(entry: Entry, variables: Variables, secrets: list[str]) -> EgressProxy | None:
    """`proxy:` of a provider: an address, or `none`. Appends to `secrets` those in it."""
    text = variables.expand(entry)
    if text == "none" or variables.missing:  # a provider that misses one is off
        return None
    proxy = read_proxy(text)
    if proxy is None:
        raise entry.error("must be a proxy's address like http://proxy.example:3128, or none")
    secrets += proxy.secrets
    return proxy


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
