"""The pool of Claude OAuth tokens: which one the next request goes out with.

Rules that hold here:
- No clock, no disk, no network: `now` (epoch seconds) comes with every call, benches go in and out as rows.
- A session stays on its token while that is usable: prompt caches and newer thinking signatures belong to the
  account. It moves when its token is benched or refused, and then stays where it moved.
- A bench lasts at most a day and is never shortened: of two answers to requests on one token, the one that
  says "three hours" knows more than the one that says nothing.
- A refused token is out until `update`, which means that the configuration has changed.
- State is kept by fingerprint, so a token's value is held in one place only and is in no dump and no repr.
"""

from collections import Counter, OrderedDict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from typing import Final, Literal

from addons.wire.masking import mask

LONGEST_BENCH: Final = 86_400.0
MOST_SESSIONS: Final = 10_000


@dataclass(frozen=True)
class Token:
    """One token of the pool. Two are equal when their values are, wherever they stand in the list."""

    value: str = field(repr=False)
    number: int = field(compare=False)
    count: int = field(compare=False)

    @property
    def place(self) -> str:
        """For the trail: "2 of 5"."""
        return f"{self.number} of {self.count}"

    @cached_property
    def masked(self) -> str:
        return mask(self.value)

    @cached_property
    def fingerprint(self) -> str:
        """The SHA-256 of the value, in hex: names the token where its value must not be."""
        return sha256(self.value.encode("utf-8", "surrogateescape")).hexdigest()


@dataclass(frozen=True)
class Pick:
    """The token for one attempt. `moved`: the session had another one, which is no longer usable."""

    token: Token
    moved: bool = False


@dataclass(frozen=True)
class Bench:
    """A token that must rest until `until` (epoch seconds), for one model or (None) for all."""

    fingerprint: str
    model: str | None
    until: float
    reason: str


@dataclass(frozen=True)
class TokenView:
    """One token as people may see it.

    until     when it may be used again; None: now, or (refused) not by itself
    models    the models for which alone it rests, and until when
    sessions  how many stay on it
    """

    number: int
    masked: str
    state: Literal["usable", "benched", "refused"]
    until: float | None
    reason: str
    models: dict[str, float]
    sessions: int


class TokenPool:
    """The tokens, their benches, and who sits on which.

    `strategy`: "session" keeps a session on its token; "request" takes the next usable token every time.
    """

    def __init__(self, strategy: Literal["session", "request"] = "session") -> None:
        self.strategy = strategy
        self.tokens: tuple[Token, ...] = ()
        self.benches: dict[tuple[str, str | None], Bench] = {}
        self.refused: dict[str, str] = {}
        self.sessions: OrderedDict[str, Token] = OrderedDict()
        self.last: Token | None = None

    def update(self, tokens: Iterable[str]) -> None:
        """Take over the tokens of a new configuration.

        Those that stay keep their benches and sessions; refused ones get a new chance.
        """
        values = list(dict.fromkeys(tokens))
        self.tokens = tuple(Token(value, number, len(values)) for number, value in enumerate(values, 1))
        self.refused.clear()
        kept = {token: token for token in self.tokens}
        self.sessions = OrderedDict((session, kept[t]) for session, t in self.sessions.items() if t in kept)

    def pick(self, session: str | None, model: str, now: float, exclude: Collection[Token] = ()) -> Pick | None:
        """The token for an attempt, or None when no usable one is left. `exclude`: those tried already.

        An excluded token that is still usable keeps its session: only this attempt goes elsewhere.
        """
        sticky = session if self.strategy == "session" else None
        own = self.sessions.get(sticky) if sticky is not None else None
        stays = own is not None and self.is_usable(own, model, now)
        if sticky is not None and stays:
            self.sessions.move_to_end(sticky)
        if own is not None and stays and own not in exclude:
            return Pick(own)
        token = self.next_usable(model, now, exclude)
        if token is None:
            return None
        self.last = token
        if sticky is not None and not stays:
            self.sessions[sticky] = token
            self.sessions.move_to_end(sticky)
            if len(self.sessions) > MOST_SESSIONS:
                self.sessions.popitem(last=False)
        return Pick(token, moved=own is not None and not stays)

    def next_usable(self, model: str, now: float, exclude: Collection[Token]) -> Token | None:
        """The first usable token after the one that was handed out last."""
        start = self.tokens.index(self.last) + 1 if self.last in self.tokens else 0
        turn = self.tokens[start:] + self.tokens[:start]
        return next((t for t in turn if t not in exclude and self.is_usable(t, model, now)), None)

    def is_usable(self, token: Token, model: str, now: float) -> bool:
        return token.fingerprint not in self.refused and self.rests_until(token, model, now) <= now

    def rests_until(self, token: Token, model: str, now: float) -> float:
        """When the token may be used for the model again; `now` when it may already."""
        rows = (self.benches.get((token.fingerprint, scope)) for scope in (None, model))
        return max([now, *(bench.until for bench in rows if bench)])

    def bench(
        self, token: Token, until: float, now: float, *, model: str | None = None, reason: str = ""
    ) -> Bench | None:
        """Let the token rest, for one model or for all. The new bench, to be kept; None when it rests longer
        already."""
        return self.put(Bench(token.fingerprint, model, min(until, now + LONGEST_BENCH), reason), now)

    def put(self, bench: Bench, now: float) -> Bench | None:
        key = (bench.fingerprint, bench.model)
        known = self.benches.get(key)
        if bench.until <= max(now, known.until if known else now):
            return None
        self.benches = {key: bench for key, bench in self.benches.items() if bench.until > now}
        self.benches[key] = bench
        return bench

    def unbench(self, token: Token) -> None:
        """The token may be used again, for every model: somebody knows better than the headers."""
        self.benches = {key: bench for key, bench in self.benches.items() if bench.fingerprint != token.fingerprint}
        self.refused.pop(token.fingerprint, None)

    def refuse(self, token: Token, reason: str) -> None:
        """The provider does not take this token any more."""
        self.refused[token.fingerprint] = reason

    def soonest(self, model: str, now: float, exclude: Collection[Token] = ()) -> tuple[Token, float] | None:
        """The token that may be used for the model first, and when: the last resort when all of them rest.

        None when every token is refused or excluded.
        """
        alive = [t for t in self.tokens if t.fingerprint not in self.refused and t not in exclude]
        waits = [(token, self.rests_until(token, model, now)) for token in alive]
        return min(waits, key=lambda wait: wait[1], default=None)

    def next_reset(self, model: str, now: float) -> float | None:
        """When the first token may be used for the model again (epoch seconds): what `retry-after` tells."""
        soonest = self.soonest(model, now)
        return soonest[1] if soonest else None

    def restore(self, benches: Iterable[Bench], now: float) -> None:
        """Take over benches from a file, under the same rules as new ones."""
        for bench in benches:
            capped = min(bench.until, now + LONGEST_BENCH)
            self.put(Bench(bench.fingerprint, bench.model, capped, bench.reason), now)

    def view(self, now: float) -> list[TokenView]:
        """The pool as people may see it, in the order of the configuration."""
        sessions = Counter(token.fingerprint for token in self.sessions.values())
        return [self.view_token(token, now, sessions[token.fingerprint]) for token in self.tokens]

    def view_token(self, token: Token, now: float, sessions: int) -> TokenView:
        rows = [b for b in self.benches.values() if b.fingerprint == token.fingerprint and b.until > now]
        models = {bench.model: bench.until for bench in rows if bench.model is not None}
        whole = next((bench for bench in rows if bench.model is None), None)
        until, reason = None, "; ".join(f"{bench.model}: {bench.reason}" for bench in rows if bench.model)
        state: Literal["usable", "benched", "refused"] = "usable"
        if whole:
            state, until, reason = "benched", whole.until, whole.reason
        if token.fingerprint in self.refused:
            state, until, reason = "refused", None, self.refused[token.fingerprint]
        return TokenView(token.number, token.masked, state, until, reason, models, sessions)
