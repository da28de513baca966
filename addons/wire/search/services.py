"""The search services by the names that the configuration has for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from addons.wire.search.brave import BRAVE
from addons.wire.search.duckduckgo import DUCKDUCKGO
from addons.wire.search.exa import EXA
from addons.wire.search.perplexity import PERPLEXITY
from addons.wire.search.searxng import SEARXNG
from addons.wire.search.service import Service
from addons.wire.search.settings import ServiceName
from addons.wire.search.tavily import TAVILY

SERVICES: Final[Mapping[ServiceName, Service]] = {
    "searxng": SEARXNG,
    "brave": BRAVE,
    "tavily": TAVILY,
    "exa": EXA,
    "perplexity": PERPLEXITY,
    "duckduckgo": DUCKDUCKGO,
}
