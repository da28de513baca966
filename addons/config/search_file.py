"""`search:` of routing.yaml: who searches the web for targets that can't.

Rules of this file: those of routing_file. A key or an address whose variable is not set leaves the search off, which is
said at the start.
"""

from __future__ import annotations

from collections.abc import Mapping

from addons.config.environment import NOT_VISIBLE, VISIBLE
from addons.config.provider_file import read_url
from addons.config.variables import Variables
from addons.config.yaml_reader import Entry
from addons.wire.search.settings import MOST_RESULTS, SERVICE_NAMES, SearchSettings

KEYS = ("provider", "url", "api_key", "results", "loop")


def read_search(entry: Entry, env: Mapping[str, str]) -> tuple[SearchSettings | None, str]:
    """The settings, or None and which variable is missing."""
    from addons.wire.search.services import SERVICES  # few have a `search:`

    keys, variables = entry.mapping(KEYS), Variables(env)
    if "provider" not in keys:
        raise entry.error(f"provider is missing (one of {', '.join(SERVICE_NAMES)})")
    name = keys["provider"].choice(SERVICE_NAMES)
    service = SERVICES[name]
    if "url" not in keys and not service.url:
        raise entry.error(f"url is missing (where your {service.title} is)")
    if "api_key" not in keys and service.key:
        raise entry.error(f"api_key is missing ({name} needs one)")
    if "api_key" in keys and service.key is False:
        raise keys["api_key"].error(f"has no meaning with provider: {name}")
    endpoints = (service.path,) if service.path != "/" else ()
    url = read_url(keys["url"], variables, endpoints).geturl() if "url" in keys else service.url
    api_key = variables.expand(keys["api_key"]).strip() if "api_key" in keys else ""
    if api_key and not VISIBLE.fullmatch(api_key):
        raise keys["api_key"].error(NOT_VISIBLE)
    settings = SearchSettings(
        provider=name,
        url=url,
        api_key=api_key,
        loop=keys["loop"].boolean() if "loop" in keys else False,
        results=read_results(keys["results"]) if "results" in keys else 8,
    )
    if variables.missing:
        return None, f"{variables.missing} is not set: the web search (search:) is off"
    return settings, ""


def read_results(entry: Entry) -> int:
    """How many results a search has."""
    results = entry.integer(minimum=1)
    if results > MOST_RESULTS:
        raise entry.error(f"must be at most {MOST_RESULTS}")
    return results
