"""The invariants, checked for every single request. Pure: what the agents, the providers and the gateway wrote down
goes in, one line for each broken promise comes out."""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tests.ordeal.agents import REFUSED, Asked
from tests.ordeal.answer import Told, read_stream
from tests.ordeal.providers import Served
from tests.ordeal.rests import rest_problems
from tests.ordeal.words import Closed, Planned, Word

TOOL_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
"""What any provider takes for a tool-use id."""

STOPPING = b"the gateway is being restarted"
MISHAP = b"an error in the gateway ended this request"
SIGNAL = 2.0
"""Seconds after which a gateway has surely heard a signal."""


class Stop(NamedTuple):
    """A gateway was stopped and started again."""

    told: float
    """Monotonic seconds, of the signal."""
    ended: float
    """The process was gone."""
    up: float
    """The next one has answered."""
    killed: bool = False
    """It was one worker of several, and had no time to finish anything."""
    among: int = 1
    """It was the first of so many gateways, which the agents ask by turns."""

    def concerns(self, asked: Asked) -> bool:
        """Whether it was asked for this request (`a32.r5` is of agent 32)."""
        return self.among == 1 or int(asked.marker[1:].partition(".")[0]) % self.among == 0


@dataclass
class Evidence:
    """All that was written down."""

    asked: Sequence[Asked]
    served: Sequence[Served]
    words: Sequence[Word] = ()
    """The probe's; without any, nothing is said of the gateway's own view."""
    stops: Sequence[Stop] = ()
    drain: float = 0.0
    """For so many seconds after it was told to stop, what ran already may go on."""
    secrets: Mapping[str, str] = field(default_factory=dict)
    """What no client may see, and whose it is."""
    keys: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """By provider, the credentials that it may be shown."""
    strips: frozenset[str] = frozenset()
    """Providers whose thinking the client isn't shown."""
    cooldown: float = 1.0
    max_attempts: int = 6


def judge(evidence: Evidence) -> list[str]:
    """Every promise that was broken."""
    served: dict[str, list[Served]] = defaultdict(list)
    issued: dict[str, set[str]] = defaultdict(set)
    for one in evidence.served:
        served[one.marker].append(one)
        issued[one.provider] |= {block["id"] for block in one.content if "id" in block}
    closed: dict[str, list[Closed]] = defaultdict(list)
    plans: dict[str, Planned] = {}
    for word in evidence.words:
        if isinstance(word, Closed):
            closed[word.marker].append(word)
        elif isinstance(word, Planned):
            plans[word.marker] = word
    wrongs: list[str] = []
    for asked in evidence.asked:
        stops = [stop for stop in evidence.stops if stop.concerns(asked)]
        met = [
            stop
            for stop in stops
            if asked.started < stop.up
            and asked.ended > stop.told
            and not (stop.killed and asked.failure == REFUSED)  # the others take every connection
        ]
        disturbed = bool(met)
        early = not any(stop.killed for stop in met) and any(
            asked.started + 0.5 < stop.told < asked.ended < stop.told + evidence.drain for stop in met
        )
        found = [
            *answer_problems(asked, disturbed=disturbed and not early),
            *stop_problems(asked, stops),
            *content_problems(asked, served[asked.marker], evidence.strips),
            *secret_problems(asked, evidence.secrets),
            *mishap_problems(asked, served[asked.marker]),
        ]
        for one in served[asked.marker]:
            found += provider_problems(one, evidence.keys, issued[one.provider])
        if evidence.words and (early or not disturbed) and asked.failure != REFUSED and not is_unplanned(asked):
            plan = plans.get(asked.marker)
            found += trail_problems(asked, served[asked.marker], closed[asked.marker], plan, evidence.max_attempts)
        history = ", ".join(f"{one.provider}: {one.behaviour}" for one in served[asked.marker])
        kind = "stream" if asked.stream else "json"
        wrongs += [f"{asked.marker} {asked.model} {kind} [{history}]: {problem}" for problem in found]
    return [*wrongs, *rest_problems(evidence.words, evidence.cooldown)]


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


def is_refusal(asked: Asked) -> bool:
    """Whether it was not let in, so that the probe doesn't know it: its body was not read."""
    return asked.status == 503 and STOPPING in asked.body


def is_mishap(asked: Asked) -> bool:
    """Whether an addon has raised an exception."""
    return asked.status == 500 and MISHAP in asked.body


def is_unplanned(asked: Asked) -> bool:
    """Whether it came to no attempt, so that there is nothing to say of the order of its targets."""
    return is_refusal(asked) or is_mishap(asked)


def mishap_problems(asked: Asked, served: Sequence[Served]) -> Iterable[str]:
    """Where an addon has failed, nobody is asked."""
    if is_mishap(asked) and served:
        yield f"{served[0].provider} was asked, although an addon had failed"


def stop_problems(asked: Asked, stops: Iterable[Stop]) -> Iterable[str]:
    """A gateway that is told to stop refuses what is new, and only then."""
    refused = is_refusal(asked)
    if refused and "retry-after" not in asked.headers:
        yield "refused without a time to come back"
    if refused and not any(asked.started < stop.up and asked.ended > stop.told for stop in stops if not stop.killed):
        yield "refused as if the gateway were stopping"
    for stop in stops:
        if stop.told + SIGNAL < asked.started and asked.ended < stop.ended and asked.status and not refused:
            yield f"answered with {asked.status} by a gateway that was told to stop"


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
        written = (json.dumps(whole["input"], ensure_ascii=ascii_only) for ascii_only in (True, False))
        return same([last], [whole]) or any(one.startswith(last.get("partial", "")) for one in written)
    return str(value_of(whole)).startswith(value_of(last))


def secret_problems(asked: Asked, secrets: Mapping[str, str]) -> Iterable[str]:
    """No secret reaches a client."""
    seen = asked.body + repr(asked.headers).encode()
    yield from (f"the client was shown {name}" for secret, name in secrets.items() if secret.encode() in seen)


def provider_problems(one: Served, keys: Mapping[str, frozenset[str]], issued: Collection[str]) -> Iterable[str]:
    """No provider sees another's credential, thinking, or tool ids; its own ids, which are `issued`, come back as they
    were. (An id that any provider takes is nobody's.)"""
    if one.provider in keys and one.token not in keys[one.provider]:
        yield f"{one.provider} was shown the credential {one.token!r}"
    yield from (f"{one.provider} was shown a secret of {owner}" for owner in one.secrets - {one.provider})
    yield from (f"{one.provider} was shown the thinking of {maker}" for maker in one.thoughts - {one.provider})
    for call in one.calls:
        if call.maker == one.provider and call.id not in issued:
            yield f"{one.provider} is shown its own tool id as {call.id}"
        elif call.maker != one.provider and not TOOL_ID.fullmatch(call.id):
            yield f"{one.provider} was shown the tool id {call.id} of {call.maker}"


def trail_problems(
    asked: Asked, served: Sequence[Served], closed: Sequence[Closed], plan: Planned | None, limit: int
) -> Iterable[str]:
    """Closed once, and its trail names all that happened, in the order in which it was to be."""
    if asked.hung_up and not closed and not served:
        return  # gone before the gateway had read the request
    if len(closed) != 1:
        yield f"closed {len(closed)} times: {[end.hook for end in closed]}"
        return
    end = closed[0]
    if missing := Counter(one.provider for one in served) - Counter(end.attempts):
        yield f"the trail does not know of {dict(missing)}"
    if end.tried and (plan is None or end.tried != plan.targets[: len(end.tried)]):
        yield f"planned {plan.targets if plan else None}, asked {end.tried}"
    if asked.hung_up or asked.failure:
        return
    if end.hook != "response":
        yield "the client was answered, but the gateway calls it an error"
    failed = asked.told.error and not end.content
    if failed and not end.final and len(end.tried) < end.targets and len(end.attempts) < limit:
        yield f"failed after {len(end.tried)} of {end.targets} targets, told {asked.body[:200]!r}"


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


def success(asked: Iterable[Asked], models: Iterable[str], stops: Sequence[Stop]) -> Rate:
    """The success rate of the requests for these models; those that hung up or met a restart don't count."""
    wanted = set(models)
    counted = [
        one
        for one in asked
        if one.model in wanted
        and not one.hung_up
        and not any(one.started < stop.up and one.ended > stop.told for stop in stops if stop.concerns(one))
    ]
    told = [one.told for one in counted]
    return Rate(len(counted), sum(t.complete for t in told), sum(bool(t.error and t.blocks) for t in told))
