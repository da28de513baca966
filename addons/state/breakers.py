"""Which targets are down: a circuit breaker for each model of a provider, so that an outage costs a few failures.

Rules that hold here:
- Pure: time is given. Nothing is ever refused here, targets are only asked later: a single target is asked always.
- What fails is a model: another model of the same provider may be fine. Only failures to connect concern them all.
- One session (or one client, where there are none) counts once, however often it fails: it may be its own request that
  the provider can't stand. For itself alone it goes elsewhere sooner.
- After the pause one request asks (the probe), and the others wait for what it finds.
"""

from __future__ import annotations

from collections import OrderedDict

import msgspec

from addons.config.config import Target

THRESHOLD = 3
"""Sessions (or clients without one) that have failed in a row, after which a target is asked last. As many requests of
one session, or one that had to wait for a timeout, have the same effect for that session."""

MOST_TARGETS = 1000
MOST_SESSIONS = 100
"""Entries kept at most: clients choose the names of models and sessions."""

Scope = tuple[str, str | None]
"""A provider, and one of its models or (None) all of them."""


class Failures(msgspec.Struct):
    """The failures of one session at one target."""

    count: int = 0
    last_request: str = ""


class Health(msgspec.Struct):
    """What is known of one target that has failed since it last answered."""

    sessions: OrderedDict[str, Failures] = msgspec.field(default_factory=OrderedDict)
    why: str = ""
    open_until: float = 0.0
    """Until then the target is asked last; at most `cooldown` seconds after its last failure."""
    probe_until: float = 0.0
    """One request is finding out whether the target is back; until it has, the others don't."""

    def concerns(self, session: str) -> bool:
        """Whether there were failures enough for everybody, or for this session."""
        failures = self.sessions.get(session)
        return len(self.sessions) >= THRESHOLD or (failures is not None and failures.count >= THRESHOLD)

    def until(self) -> float:
        """When it may be asked again, in the seconds of the clock that its callers use."""
        return max(self.open_until, self.probe_until)


class Avoided(msgspec.Struct, frozen=True):
    """A target that is asked last: why, and until when."""

    provider: str
    model: str | None
    """None: all of the provider's."""
    why: str
    until: float
    sessions: int | None = None
    """By how many sessions it is avoided, when it is not by everybody."""


class Breakers:
    """The health of all targets, and the limits that targets without accounts have told."""

    def __init__(self) -> None:
        self._health: OrderedDict[Scope, Health] = OrderedDict()
        self._limits: OrderedDict[Scope, float] = OrderedDict()

    def failed(
        self, target: Target, session: str, request: str, now: float, cooldown: float, *, kind: str, why: str = ""
    ) -> None:
        """The target failed in a way that is its own fault. `session`: whose request it was; `kind`: that of the
        outcome; `cooldown`: seconds for which it is avoided once too many have failed."""
        scope: Scope = (target.provider.name, None if kind == "connect" else target.model)
        health = self._health.setdefault(scope, Health())
        if len(self._health) > MOST_TARGETS:
            self._health.popitem(last=False)
        failures = health.sessions.setdefault(session, Failures())
        if len(health.sessions) > MOST_SESSIONS:
            health.sessions.popitem(last=False)
        if kind == "timeout":
            failures.count = THRESHOLD  # it has cost somebody minutes already
        elif failures.last_request != request:
            failures.count += 1
        failures.last_request = request
        health.why, health.open_until, health.probe_until = why, now + cooldown, 0.0

    def succeeded(self, target: Target) -> None:
        """The target answered."""
        if self._health or self._limits:
            for scope in ((target.provider.name, target.model), (target.provider.name, None)):
                self._health.pop(scope, None)
                self._limits.pop(scope, None)

    def limit(self, target: Target, until: float) -> None:
        """This model of the provider is over its limit until then (the clock's seconds, as `now`)."""
        self._limits[target.provider.name, target.model] = until
        if len(self._limits) > MOST_TARGETS:
            self._limits.popitem(last=False)

    def avoided(self, target: Target, session: str, now: float) -> Avoided | None:
        """Why this target should be asked last by this session, and until when; None: it shouldn't."""
        for model in (target.model, None):
            scope: Scope = (target.provider.name, model)
            health = self._health.get(scope)
            if health and now < health.until() and health.concerns(session):
                why = health.why if now < health.open_until else "one request is finding out whether it is back"
                return Avoided(*scope, why, health.until())
            if now < self._limits.get(scope, 0.0):
                return Avoided(*scope, "it is over its limit", self._limits[scope])
        return None

    def order(self, targets: list[Target], session: str, now: float) -> list[Target]:
        """The targets in the order to ask them."""
        if not self._health and not self._limits:
            return targets
        return sorted(targets, key=lambda target: self.avoided(target, session, now) is not None)

    def ask(self, target: Target, session: str, now: float, cooldown: float) -> None:
        """A request goes to this target first: after an outage it is the probe, and the others wait for it, for
        `cooldown` seconds at most."""
        for model in (target.model, None):
            health = self._health.get((target.provider.name, model))
            if health and health.concerns(session) and now >= health.until():
                health.probe_until = now + cooldown

    def view(self, now: float) -> list[Avoided]:
        """What is avoided now, by everybody or by some sessions."""
        down = []
        for scope, health in self._health.items():
            some = None
            if len(health.sessions) < THRESHOLD:
                some = sum(failures.count >= THRESHOLD for failures in health.sessions.values())
            if now < health.until() and some != 0:
                down.append(Avoided(*scope, health.why, health.until(), some))
        full = [Avoided(*scope, "it is over its limit", until) for scope, until in self._limits.items() if now < until]
        return down + full
