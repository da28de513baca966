"""The invariants, checked for every single request. Pure: what the agents, the providers and the gateway wrote down
goes in, one line for each broken promise comes out."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tests.ordeal.agents import Asked
from tests.ordeal.answer import Told, read_stream
from tests.ordeal.providers import Served

GRACE = 0.01
"""Seconds after a refusal, and of doubt about its end."""


class Use(NamedTuple):
    """A use of a pool token, in the gateway's words."""

    token: str
    began: float
    """Monotonic seconds."""
    refused: float
    until: float
    """Unix time until which a refused token rests; 0 when it need not."""


@dataclass(frozen=True)
class Closed:
    """How the gateway says that it ended a request (see probe.py)."""

    marker: str
    hook: str
    """`response` or `error`."""
    attempts: tuple[str, ...]
    """The providers in its trail, in order; those that were skipped are left out."""
    targets: int
    tried: int
    """How many different targets were asked, or were skipped for a reason."""
    last_resort: bool
    uses: tuple[Use, ...] = field(kw_only=True, default=())
    content: bool
    """The client got content of the last attempt."""
    final: bool
    """The verdict was that it is an answer, not an outage."""


@dataclass
class Evidence:
    """All that was written down."""

    asked: Sequence[Asked]
    served: Sequence[Served]
    closed: Sequence[Closed] = ()
    down: Sequence[tuple[float, float]] = ()
    """When the gateway was being stopped and started, in monotonic seconds."""
    drain: float = 0.0
    """For so many seconds after it was told to stop, what ran already may go on."""
    secrets: Mapping[str, str] = field(default_factory=dict)
    """What nobody may see, and the name of its owner."""
    strips: frozenset[str] = frozenset()
    """Providers whose thinking the client isn't shown."""
    epoch: float = 0.0
    """Unix time minus monotonic time."""
    max_attempts: int = 6


def judge(evidence: Evidence) -> list[str]:
    """Every promise that was broken."""
    served: dict[str, list[Served]] = defaultdict(list)
    for one in evidence.served:
        served[one.marker].append(one)
    closed: dict[str, list[Closed]] = defaultdict(list)
    for end in evidence.closed:
        closed[end.marker].append(end)
    wrongs: list[str] = []
    for asked in evidence.asked:
        disturbed = any(asked.started < end and asked.ended > start for start, end in evidence.down)
        early = any(asked.started + 0.5 < start < asked.ended < start + evidence.drain for start, _ in evidence.down)
        found = [
            *answer_problems(asked, disturbed=disturbed and not early),
            *content_problems(asked, served[asked.marker], evidence.strips),
            *secret_problems(asked, evidence.secrets),
        ]
        if evidence.closed and not disturbed and asked.failure != "refused":
            found += trail_problems(asked, served[asked.marker], closed[asked.marker], evidence.max_attempts)
        history = ", ".join(f"{one.provider}: {one.behaviour}" for one in served[asked.marker])
        kind = "stream" if asked.stream else "json"
        wrongs += [f"{asked.marker} {asked.model} {kind} [{history}]: {problem}" for problem in found]
    return [*wrongs, *bench_problems(evidence.closed, evidence.epoch)]


def answer_problems(asked: Asked, *, disturbed: bool) -> Iterable[str]:
    """Exactly one well-formed answer."""
    if asked.hung_up or (disturbed and asked.failure):
        return
    if asked.failure:
        yield f"no answer: {asked.failure} (status {asked.status}, {len(asked.body)} bytes)"
        return
    told = asked.told
    if told.wrong:
        yield f"not well-formed: {told.wrong}"
    elif told.complete == bool(told.error):
        yield f"neither complete nor an error: {asked.status} {asked.body[-200:]!r}"
    if asked.status < 400 and asked.status != 200:
        yield f"neither a success nor an error: {asked.status} {asked.headers} {asked.body[:200]!r}"
    if asked.status == 400:
        yield f"an agent's own request was refused: {asked.body[:300]!r}"
    if not asked.stream and asked.status == 200 and asked.headers.get("content-type") != "application/json":
        yield f"a JSON answer was asked for, and {asked.headers.get('content-type')} came"


def content_problems(asked: Asked, served: Sequence[Served], strips: frozenset[str]) -> Iterable[str]:
    """What reached the client is what one provider sent, in order, from one provider only."""
    told = partial(asked) if asked.hung_up or asked.failure else asked.told
    if not told.blocks:
        return
    candidates = [shown(one, strips) for one in served if one.content]
    if told.complete:
        if not any(same(told.blocks, blocks) for blocks in candidates):
            yield f"the content is nobody's: {json.dumps(told.blocks)[:300]}"
    elif not any(begins(told.blocks, blocks) for blocks in candidates):
        yield f"the beginning is nobody's: {json.dumps(told.blocks)[:300]}"


def partial(asked: Asked) -> Told:
    """What a client had when it hung up, or was cut off."""
    body = asked.body.replace(b"\r\n", b"\n")
    whole = body.rpartition(b"\n\n")[0] + b"\n\n" if b"\n\n" in body else b""
    streams = asked.headers.get("content-type", "").startswith("text/event-stream")
    return read_stream(whole) if streams and whole else Told()


def shown(one: Served, strips: frozenset[str]) -> list[dict[str, Any]]:
    """The blocks that the client is to see."""
    return [dict(block) for block in one.content if block["type"] != "thinking" or one.provider not in strips]


def value_of(block: Mapping[str, Any]) -> Any:
    """What a block says."""
    if block["type"] == "tool_use":
        return block["name"], json.dumps(block["input"], sort_keys=True)
    return block[block["type"]]


def same(told: Sequence[Mapping[str, Any]], meant: Sequence[Mapping[str, Any]]) -> bool:
    return [(b["type"], value_of(b)) for b in told] == [(b["type"], value_of(b)) for b in meant]


def begins(told: Sequence[Mapping[str, Any]], meant: Sequence[Mapping[str, Any]]) -> bool:
    """Whether this is the beginning of that: whole blocks, then the beginning of one."""
    if len(told) > len(meant) or not same(told[:-1], meant[: len(told) - 1]):
        return False
    last, whole = told[-1], meant[len(told) - 1]
    if last["type"] != whole["type"]:
        return False
    if last["type"] == "tool_use":
        arguments = last.get("partial")
        return same([last], [whole]) or json.dumps(whole["input"]).startswith(arguments or "")
    return str(value_of(whole)).startswith(value_of(last))


def secret_problems(asked: Asked, secrets: Mapping[str, str]) -> Iterable[str]:
    """No secret reaches a client."""
    seen = asked.body + repr(asked.headers).encode()
    yield from (f"the client was shown {name}" for secret, name in secrets.items() if secret.encode() in seen)


def trail_problems(asked: Asked, served: Sequence[Served], closed: Sequence[Closed], limit: int) -> Iterable[str]:
    """Closed once, and its trail names all that happened."""
    if asked.hung_up and not closed and not served:
        return  # gone before the gateway had read the request
    if len(closed) != 1:
        yield f"closed {len(closed)} times: {[end.hook for end in closed]}"
        return
    end = closed[0]
    if missing := Counter(one.provider for one in served) - Counter(end.attempts):
        yield f"the trail does not know of {dict(missing)}"
    if asked.hung_up or asked.failure:
        return
    if end.hook != "response":
        yield "the client was answered, but the gateway calls it an error"
    failed = asked.told.error and not end.content
    if failed and not end.final and end.tried < end.targets and len(end.attempts) < limit:
        yield f"failed after {end.tried} of {end.targets} targets: {end.attempts}, told {asked.body[:200]!r}"


def bench_problems(closed: Sequence[Closed], epoch: float) -> Iterable[str]:
    """A token that rests isn't used, but by those for whom nothing else is left."""
    uses = sorted(((use.began, end, use) for end in closed for use in end.uses), key=lambda found: found[0])
    rests = [(use.token, use.refused, use.until - epoch, end.marker) for _, end, use in uses if use.until]
    for began, end, use in uses:
        for token, refused, until, why in rests:
            if token == use.token and refused + GRACE < began < until - GRACE and not end.last_resort:
                left = until - began
                yield f"{end.marker}: token {token[:6]} is used {left:.1f} s before its time (refused in {why})"
                break


@dataclass(frozen=True)
class Rate:
    """How many of the requests of one kind got a whole answer at the first go."""

    asked: int
    served: int
    cut: int
    """Those that got some content, and then an error: nobody can repair that but the client."""

    @property
    def share(self) -> float:
        """Of those that were not cut."""
        return self.served / max(1, self.asked - self.cut)

    def __str__(self) -> str:
        return f"{self.served} of {self.asked}; {self.cut} cut after content; of the others {100 * self.share:.1f} %"


def success(asked: Iterable[Asked], models: Iterable[str], down: Sequence[tuple[float, float]]) -> Rate:
    """The success rate of the requests for these models; those that hung up or met a restart don't count."""
    wanted = set(models)
    counted = [
        one
        for one in asked
        if one.model in wanted
        and not one.hung_up
        and not any(one.started < end and one.ended > start for start, end in down)
    ]
    told = [one.told for one in counted]
    return Rate(len(counted), sum(t.complete for t in told), sum(bool(t.error and t.blocks) for t in told))
