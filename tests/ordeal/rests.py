"""What rests isn't used: a pool token that was refused, a provider that is down, a model that is over its limit.

The gateway's own words (probe.py), replayed in their order against the rules of DESIGN, section 5. Rules of this file:
- What was decided before a refusal was known is no violation: the order of the words says so, not a clock.
- When something may be used again depends on a clock that is read here a little later than there: nothing is said of
  what happens within `SLACK` of such a moment.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from tests.ordeal.words import Answered, Failed, Planned, Refused, Started, Target, Used, Word

SLACK = 0.5
"""Seconds."""

THRESHOLD = 3
"""Failures in a row after which a provider is asked last; a timeout counts for all of them."""


def rest_problems(words: Iterable[Word], cooldown: float) -> Iterator[str]:
    """All that was used before its time."""
    rests: dict[str, Refused] = {}
    providers = Providers(cooldown)
    for word in words:
        if isinstance(word, Refused):
            known = rests.get(word.token)
            if known is None or known.until < word.until:
                rests[word.token] = word
        elif isinstance(word, Used):
            rest = rests.get(word.token)
            if rest and not word.last_resort and word.at < rest.until - SLACK:
                left = rest.until - word.at
                yield f"{word.marker}: a token is used {left:.1f} s before its time (refused in {rest.marker})"
        elif isinstance(word, Planned):
            yield from providers.planned(word)
        elif isinstance(word, Failed):
            providers.failed(word)
        elif isinstance(word, Answered):
            providers.answered(word.target)
        elif isinstance(word, Started):
            providers = Providers(cooldown)


@dataclass
class Breaker:
    """What is known of a provider."""

    failures: int = 0
    until: float = 0.0
    """It is asked last until then: because it failed, or because one request is finding out."""
    unsure: bool = False
    """Whether one is finding out can't be said from here."""


@dataclass
class Providers:
    """Which providers are down, and which models are over their limit."""

    cooldown: float
    breakers: dict[str, Breaker] = field(default_factory=lambda: defaultdict(Breaker))
    limits: dict[Target, float] = field(default_factory=dict)

    def planned(self, plan: Planned) -> Iterator[str]:
        if len(plan.targets) < 2:
            return  # a single target is asked always
        for place, target in enumerate(plan.targets):
            later = [other for other in plan.targets[place + 1 :] if self.is_closed(other, plan.at)]
            if later and self.is_open(target, plan.at):
                yield f"{plan.marker}: {'/'.join(target)} is asked before its time, and before {later[0][0]}"
        first = plan.targets[0]
        breaker = self.breakers[first[0]]
        if breaker.failures >= THRESHOLD and not self.is_open(first, plan.at):
            breaker.unsure = not self.is_closed(first, plan.at)
            breaker.until = plan.at + self.cooldown

    def is_open(self, target: Target, at: float) -> bool:
        """For sure."""
        breaker = self.breakers[target[0]]
        down = breaker.failures >= THRESHOLD and not breaker.unsure and at < breaker.until - SLACK
        return down or at < self.limits.get(target, 0) - SLACK

    def is_closed(self, target: Target, at: float) -> bool:
        """For sure."""
        breaker = self.breakers[target[0]]
        up = breaker.failures < THRESHOLD or (not breaker.unsure and at >= breaker.until + SLACK)
        return up and at >= self.limits.get(target, 0) + SLACK

    def failed(self, failure: Failed) -> None:
        if failure.kind == "skipped" or failure.aged:
            return
        if failure.kind in ("status", "error event") and failure.status < 500:
            self.answered(failure.target)
            if failure.status == 429 and not failure.pooled:
                self.limits[failure.target] = failure.at + (self.cooldown if failure.wait is None else failure.wait)
            return
        breaker = self.breakers[failure.target[0]]
        breaker.failures += THRESHOLD if failure.kind == "timeout" else 1
        if breaker.failures >= THRESHOLD:
            breaker.until, breaker.unsure = failure.at + self.cooldown, False

    def answered(self, target: Target) -> None:
        self.breakers.pop(target[0], None)
        self.limits.pop(target, None)
