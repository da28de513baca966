"""What the configuration says about web searches of the gateway's own."""

from __future__ import annotations

from typing import Literal, get_args

import msgspec

ServiceName = Literal["searxng", "brave", "tavily", "exa", "perplexity", "duckduckgo"]
SERVICE_NAMES: tuple[ServiceName, ...] = get_args(ServiceName)

MOST_RESULTS = 20


class SearchSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Who searches the web for targets that have no web search of their own."""

    __repr__ = object.__repr__  # it has secrets

    provider: ServiceName
    """Which search service is asked. `duckduckgo` is its Instant Answer API: encyclopedic topics, no list of hits."""
    url: str = ""
    """The base address of the service. Default: the service's own; SearXNG has none, so it needs one."""
    api_key: str = ""
    """Needed by brave, tavily, exa and perplexity; for searxng the bearer token of what stands before it, if anything
    does. Default: none."""
    results: int = 8
    """Results of one search, 1 to 20. Default 8."""
    loop: bool = False
    """Where a client mixes the search with tools of its own: offer it to the model as a function, and answer its calls,
    in at most five rounds. The client gets the whole answer at once. Default: no; the tool is left out."""
