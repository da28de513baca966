"""Values of labels: only what the configuration and the table of users name, `other` for everything else.

Clients make up names of models, and patterns (`claude-*`) let any through: as labels they would be without end. Of
those only Claudes that the list of prices knows have a label, as it calls them.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from addons.config.config import Config, Target
from addons.state.prices import listed

OTHER: Final = "other"
MOST_USERS: Final = 1000
"""Users that have labels of their own."""


class Labels:
    """The names that one configuration knows."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.providers = frozenset(config.providers)
        self.models = frozenset(named(config))

    def provider(self, name: str) -> str:
        """The label of a provider."""
        return name if name in self.providers else OTHER

    def model(self, target: Target) -> str:
        """The label of a target's model."""
        provider, model = target.provider, target.model
        if (provider.name, model) in self.models:
            return model
        return family(provider.host, model) if provider.is_anthropic else OTHER

    def name(self, provider: str, model: object) -> str:
        """The label of a provider's model by its name; `all` for None."""
        return "all" if model is None else str(model) if (provider, model) in self.models else OTHER


@lru_cache(1000)
def family(host: str, model: str) -> str:
    """The Claude that this is, as the list of prices calls it (`claude-sonnet-4-5-20250929` is a `claude-sonnet-4-5`):
    a pattern like `claude-*` lets any name through, and the list has a few dozen."""
    found = listed(host, True, model)
    if found is None:
        return OTHER
    kind, what = found.match
    while kind in ("|", "&"):
        kind, what = what[0]
    return str(what)


def named(config: Config) -> set[tuple[str, str]]:
    """The providers and models that the configuration writes out: those of `models:`, and those behind the names in
    rules and fallbacks (`claude-haiku-5-5` is one, where `claude-*` alone names none)."""
    names = [route.alias for route in config.aliases()]
    names += [rule.to for rule in config.rules]
    names += [name for fallback in config.fallbacks for name in fallback.models]
    names += [config.safeguards.model]
    targets = [target for name in names if "*" not in name for target in config.targets(name)]
    found = {(target.provider.name, target.model) for target in targets if "*" not in target.model}
    return found | {(route.provider.name, route.model) for route in config.models if "*" not in route.model}
