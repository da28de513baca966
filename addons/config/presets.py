"""Known services: what `preset: NAME` fills in of a provider.

Rules of this file: the data is `presets.yaml`, one entry a service. Only the entries that are asked for are parsed,
because a start shouldn't wait for the others.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from addons.config.routing import Provider
from addons.config.yaml_reader import Entry, parse

FILE: Final = Path(__file__).with_name("presets.yaml")
ENTRY: Final = re.compile(r"^([a-z0-9-]+):\n((?:(?: .*)?\n)+)", re.MULTILINE)
TITLE: Final = re.compile(r"^  title: (?:Claude (?:on|in) |OpenAI's models on )?([^,(\n]+)", re.MULTILINE)
BASE_URL: Final = re.compile(r"^  base_url: (\S+)$", re.MULTILINE)

DESCRIPTIONS: Final = ("title", "sources")
"""Keys of an entry that are about the service, and none of a provider's."""
MAPPINGS: Final = ("chat", "headers", "steps", "thinking_rules", "by_model")
"""Keys of a provider of which one part can be given without the others."""


@functools.cache
def texts() -> Mapping[str, str]:
    """The YAML text of each entry, by name."""
    return {entry[1]: entry[0].rstrip() + "\n" for entry in ENTRY.finditer(FILE.read_text(encoding="utf-8"))}


@functools.cache
def described(name: str) -> Mapping[str, Entry]:
    """All keys of an entry. Raises KeyError."""
    return parse(texts()[name], file=FILE.name).mapping()[name].mapping()


@functools.cache
def service(name: str) -> str:
    """The service that an entry is of, in a word or two: `Z.AI (GLM), Anthropic's format` is Z.AI. Raises KeyError."""
    title = TITLE.search(texts()[name])
    return title[1].strip() if title else name


def filled(given: Mapping[str, Entry], name: str) -> dict[str, Entry]:
    """A provider's keys together with those of its preset. What belongs to another format, or to another way to log
    in, than the provider's own is not taken over."""
    preset = {key: entry for key, entry in described(name).items() if key not in DESCRIPTIONS}
    if "format" in given and given["format"].text() != (preset["format"].text() if "format" in preset else "anthropic"):
        for key in ("chat", "schema", "by_model", "thinking_rules", "output_config", "format"):
            preset.pop(key, None)
    if "api_keys" in given or ("auth" in given and given["auth"].text() not in ("bearer", "x-api-key")):
        preset.pop("api_key", None)
    return laid_over(preset, {key: entry for key, entry in given.items() if key != "preset"})


def laid_over(below: Mapping[str, Entry], above: Mapping[str, Entry]) -> dict[str, Entry]:
    """The keys of both; where both have one, `above` wins, part by part in those of MAPPINGS."""
    whole = {**below, **above}
    for key in MAPPINGS:
        if key in below and key in above and below[key].is_mapping and above[key].is_mapping:
            whole[key] = above[key].over(below[key])
    return whole


def for_address(base_url: str, form: str) -> str | None:
    """The preset of the service at an address, for a provider of this format that has none; local servers are not
    known by their addresses."""
    wanted = urlsplit(base_url)
    for name, text in texts().items():
        found = BASE_URL.search(text)
        url = urlsplit(found[1]) if found else None
        if not url or not url.hostname or url.hostname.startswith("127."):
            continue
        speaks = "openai-chat" if "\n  format: openai-chat" in text else "anthropic"
        if (
            speaks == form
            and is_host(wanted.netloc.lower(), url.netloc.lower())
            and wanted.path.startswith(fixed(url.path))
        ):
            return name
    return None


def is_host(host: str, known: str) -> bool:
    """Whether this is a known host; a variable in that stands for any part of a name."""
    if "$" not in known:  # nearly all: a pattern each would take a start 3 ms
        return host == known
    return re.fullmatch(re.sub(r"\\\$\\\{[a-z_\\]+\\\}", "[a-z0-9-]+", re.escape(known)), host) is not None


def fixed(path: str) -> str:
    """The part of a path before its first variable."""
    return path.partition("${")[0]


def hints(providers: Iterable[Provider]) -> Iterator[str]:
    """One line for each provider without a preset at the address of a known service."""
    for provider in providers:
        if provider.preset or provider.is_anthropic or not provider.base_url:
            continue
        if name := for_address(provider.base_url, provider.format):
            yield (
                f"provider {provider.name} is a service whose ways are known: `preset: {name}` takes them over "
                f"(./run.sh presets {name} shows them)"
            )
