"""What rests isn't used: a pool token that was refused, a provider that is down, a model that is over its limit.

The gateway's own words (probe.py), replayed in their order against the rules of DESIGN, section 5. Rules of this file:
- What was decided before a refusal was known is no violation: the order of the words says so, not a clock.
- Of a provider that is down each worker knows what it has seen itself; a token's refusal is everybody's within `SLACK`
  of when it was seen, and of when both the one who saw it and the one who doesn't yet reach the others: while their
  parent goes on as another program nobody passes anything on.
- When something may be used again depends on a clock that is read here a little later than there: nothing is said of
  what happens within `SLACK` of such a moment.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from tests.ordeal.words import Answered, Away, Back, Failed, Planned, Refused, Started, Target, Used, Word

SLACK = 0.5
"""Seconds."""

MISSED = 0.1
"""Seconds before it was seen that the others aren't reached, in which what was told may be lost."""

THRESHOLD = 3
"""Sessions that have failed in a row, after which a target is asked last; as many requests of one session, or one that
has timed out, have that effect for itself."""


def rest_problems(words: Sequence[Word], cooldown: float) -> Iterator[str]:
    """All that was used before its time."""
    gaps = gaps_of(words)
    rests: dict[str, Refused] = {}
    by_process: dict[int, Providers] = defaultdict(lambda: Providers(cooldown))
    for word in words:
        if isinstance(word, Refused):
            known = rests.get(word.token)
            if known is None or known.until < word.until:
                rests[word.token] = word
        elif isinstance(word, Used):
            rest = rests.get(word.token)
            if rest and rest.process != word.process and word.at < heard_at(rest, word, gaps) + SLACK:
                continue  # another worker, which may not have heard of it yet
            if rest and not word.last_resort and word.at < rest.until - SLACK:
                left = rest.until - word.at
                yield f"{word.marker}: a token is used {left:.1f} s before its time (refused in {rest.marker})"
        elif isinstance(word, Planned):
            yield from by_process[word.process].planned(word)
        elif isinstance(word, Failed):
            by_process[word.process].failed(word)
        elif isinstance(word, Answered):
            by_process[word.process].answered(word.target)
            rests.pop(word.back, None)  # a success ends a cooldown
        elif isinstance(word, Started):
            by_process.pop(word.process, None)


@dataclass
class Gap:
    """A time in which a process did not reach the others."""

    since: float
    until: float = float("inf")


def gaps_of(words: Iterable[Word]) -> dict[int, list[Gap]]:
    """All of them, by process."""
    gaps: dict[int, list[Gap]] = defaultdict(list)
    for word in words:
        if isinstance(word, Away):
            gaps[word.process].append(Gap(word.at))
        elif isinstance(word, Back):
            gaps[word.process][-1].until = word.at
    return gaps


def heard_at(rest: Refused, word: Used, gaps: dict[int, list[Gap]]) -> float:
    """When whoever uses a token may have heard at last that another was refused it."""
    ends = [
        gap.until
        for process in (rest.process, word.process)
        for gap in gaps.get(process, ())
        if gap.since - MISSED <= rest.at < gap.until
    ]
    return max([rest.at, *ends])


Scope = tuple[str, str | None]
"""A provider, and one of its models or (None) all of them: those a failure to connect concerns."""


@dataclass
class Breaker:
    """What is known of a target that has failed since it last answered."""

    failures: dict[str, tuple[int, str]] = field(default_factory=dict)
    """By session: how often, and in which request last."""
    until: float = 0.0
    """It is asked last until then: because it failed, or because one request is finding out."""
    unsure: bool = False
    """Whether one is finding out can't be said from here."""

    def concerns(self, session: str) -> bool:
        """Whether enough sessions have failed for everybody, or this one often enough for itself."""
        return len(self.failures) >= THRESHOLD or self.failures.get(session, (0, ""))[0] >= THRESHOLD

    def is_open(self, plan: Planned) -> bool:
        """For sure."""
        return self.concerns(plan.session) and not self.unsure and plan.at < self.until - SLACK

    def is_closed(self, plan: Planned) -> bool:
        """For sure."""
        return not self.concerns(plan.session) or (not self.unsure and plan.at >= self.until + SLACK)


@dataclass
class Providers:
    """Which targets are down, and which models are over their limit."""

    cooldown: float
    breakers: dict[Scope, Breaker] = field(default_factory=lambda: defaultdict(Breaker))
    limits: dict[Target, float] = field(default_factory=dict)

    def planned(self, plan: Planned) -> Iterator[str]:
        if len(plan.targets) < 2:
            return  # a single target is asked always
        for place, target in enumerate(plan.targets):
            later = [other for other in plan.targets[place + 1 :] if self.is_closed(other, plan)]
            if later and self.is_open(target, plan):
                yield f"{plan.marker}: {'/'.join(target)} is asked before its time, and before {later[0][0]}"
        for breaker in self.breakers_of(plan.targets[0]):
            if breaker.concerns(plan.session) and not breaker.is_open(plan):
                breaker.unsure = not breaker.is_closed(plan)
                breaker.until = plan.at + self.cooldown

    def breakers_of(self, target: Target) -> list[Breaker]:
        scopes: list[Scope] = [target, (target[0], None)]
        return [self.breakers[scope] for scope in scopes if scope in self.breakers]

    def is_open(self, target: Target, plan: Planned) -> bool:
        """For sure."""
        down = any(breaker.is_open(plan) for breaker in self.breakers_of(target))
        return down or plan.at < self.limits.get(target, 0) - SLACK

    def is_closed(self, target: Target, plan: Planned) -> bool:
        """For sure."""
        up = all(breaker.is_closed(plan) for breaker in self.breakers_of(target))
        return up and plan.at >= self.limits.get(target, 0) + SLACK

    def failed(self, failure: Failed) -> None:
        if failure.kind == "skipped" or failure.aged:
            return
        if failure.kind in ("status", "error event") and failure.status < 500:
            self.answered(failure.target)
            if failure.status == 429 and not failure.pooled:
                self.limits[failure.target] = failure.at + (self.cooldown if failure.wait is None else failure.wait)
            return
        breaker = self.breakers[failure.target[0], None if failure.kind == "connect" else failure.target[1]]
        count, last = breaker.failures.get(failure.session, (0, ""))
        if failure.kind == "timeout":
            count = THRESHOLD
        elif failure.request != last or not failure.request:
            count += 1
        breaker.failures[failure.session] = count, failure.request
        breaker.until, breaker.unsure = failure.at + self.cooldown, False

    def answered(self, target: Target) -> None:
        for scope in (target, (target[0], None)):
            self.breakers.pop(scope, None)
        self.limits.pop(target, None)
