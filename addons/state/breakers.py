"""Which providers are down: a circuit breaker a provider, so that an outage costs one timeout, not one a request.

Pure: time is given. Nothing is ever refused here, targets are only asked later: a single target is asked always.
"""

from __future__ import annotations

from dataclasses import dataclass

from addons.config.config import Target

THRESHOLD = 3
"""Failures in a row after which a provider is asked last; a timeout counts for all of them."""


@dataclass(slots=True)
class Health:
    """What is known of one provider."""

    failures: int = 0
    open_until: float = 0.0
    """Until then the provider is asked last; at most `cooldown` seconds after its last failure."""
    probe_until: float = 0.0
    """One request is finding out whether the provider is back; until it has, the others don't."""


class Breakers:
    """The health of all providers, and the limits that targets without a token pool have said."""

    def __init__(self) -> None:
        self._health: dict[str, Health] = {}
        self._resting: dict[tuple[str, str], float] = {}

    def failed(self, target: Target, now: float, cooldown: float, *, timed_out: bool = False) -> None:
        """The provider failed in a way that is its own fault. A timeout is enough by itself: it has cost somebody
        minutes already, which the others are to be spared."""
        health = self._health.setdefault(target.provider.name, Health())
        health.failures = max(health.failures + 1, THRESHOLD if timed_out else 0)
        if health.failures >= THRESHOLD:
            health.open_until = now + cooldown

    def succeeded(self, target: Target) -> None:
        """The provider answered."""
        self._health.pop(target.provider.name, None)
        self._resting.pop((target.provider.name, target.model), None)

    def rest(self, target: Target, until: float) -> None:
        """This model of the provider is over its limit until then."""
        self._resting[target.provider.name, target.model] = until

    def is_open(self, target: Target, now: float) -> bool:
        """Whether this target should be asked last."""
        health = self._health.get(target.provider.name)
        if health and health.failures >= THRESHOLD and (now < health.open_until or now < health.probe_until):
            return True
        return now < self._resting.get((target.provider.name, target.model), 0.0)

    def order(self, targets: list[Target], now: float) -> list[Target]:
        """The targets in the order to ask them."""
        if not self._health and not self._resting:
            return targets
        return sorted(targets, key=lambda target: self.is_open(target, now))

    def ask(self, target: Target, now: float, cooldown: float) -> None:
        """A request goes to this target first: after an outage it is the probe, and the others wait for it."""
        health = self._health.get(target.provider.name)
        if health and health.failures >= THRESHOLD and not self.is_open(target, now):
            health.probe_until = now + cooldown
