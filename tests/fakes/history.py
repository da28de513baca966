"""A month of a small team, as the ledger would have it: three users, four providers, a few failures, and one user who
is over budget today. For the demo and for pictures; the same for the same moment.
"""

from __future__ import annotations

import random
import time
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from addons.config.routing import Budget
from addons.state.database import opened, transaction
from addons.state.ledger_rows import AttemptRow, Finished, RequestRow, write
from addons.state.users import KnownUser, User, UserFile
from addons.team.keys import digest

DAYS = 30


def key(name: str) -> str:
    """The key of a user of the demo: everybody may know it."""
    return f"gw-{name:d<8}-{'demo-key-of-' + name:x<43}"


class Person(NamedTuple):
    """Who works how much, and may spend what."""

    name: str
    weight: float
    budget: Budget


TEAM = (
    Person("alice", 1.0, Budget(day=40, month=300)),
    Person("bob", 0.6, Budget(day=5)),
    Person("carol", 0.35, Budget()),
)


OVER = 5.2
"""US dollars that bob has spent today at least, who may spend five."""


class Model(NamedTuple):
    """A model, how often it is asked for, and its price: US dollars for a million tokens of input and output."""

    asked: str
    provider: str
    name: str
    share: float
    price: tuple[float, float]


MODELS = (
    Model("claude-opus-5-5", "anthropic", "claude-opus-5-5", 0.18, (4, 20)),
    Model("claude-sonnet-5-5", "anthropic", "claude-sonnet-5-5", 0.34, (2, 10)),
    Model("glm", "zai", "glm-5", 0.3, (1, 3.2)),
    Model("kimi", "kimi", "kimi-for-coding", 0.12, (0.6, 2.5)),
    Model("openrouter", "openrouter", "qwen/qwen3.6-plus:free", 0.06, (0, 0)),
)
CLASSES = ("main", "main", "main", "subagent", "subagent", "auxiliary")


def seed(path: Path, now: float | None = None) -> None:
    """Write the month before this moment, and the users, into a new file. The gate stays open."""
    now = time.time() if now is None else now
    users = UserFile(path)
    for person in TEAM:
        user = User(person.name, f"{person.name:d<8}", budget=person.budget)
        users.add(KnownUser(user, digest(key(person.name)), created=now - DAYS * 86_400))
    users.open_gate()
    with closing(opened(path)) as connection, transaction(connection):
        write(connection, month(now), None)


def month(now: float) -> list[Finished]:
    """The requests of the last days, today's up to now."""
    chance = random.Random(7)
    today = datetime.fromtimestamp(now).astimezone()
    rows: list[Finished] = []
    for back in reversed(range(DAYS)):
        day = (today - timedelta(days=back)).replace(hour=0, minute=0, second=0, microsecond=0)
        begin, end = day.timestamp(), min(now, (day + timedelta(days=1)).timestamp())
        for person in TEAM:
            busy = person.weight * chance.uniform(0.6, 1.4) * (0.12 if day.weekday() > 4 and back else 1)
            for _ in range(round(70 * busy)):
                at = begin + (end - begin) * (chance.betavariate(4, 3) if back else chance.uniform(0.05, 0.98))
                rows.append(finished(chance, len(rows), at, person.name))
    while spent(rows, "bob", begin) < OVER:
        rows.append(finished(chance, len(rows), chance.uniform(begin, now), "bob", MODELS[0]))
    return rows


def spent(rows: list[Finished], name: str, since: float) -> float:
    """US dollars that somebody has spent."""
    return sum(row.request.budget_usd for row in rows if row.request.user == name and row.request.time >= since)


def finished(chance: random.Random, number: int, at: float, name: str, model: Model | None = None) -> Finished:
    """One request, with its attempts."""
    model = model or chance.choices(MODELS, [one.share for one in MODELS])[0]
    fresh, written, output = chance.randint(40, 1800), chance.randint(300, 9000), chance.randint(90, 4200)
    cached = round(chance.paretovariate(1.2) * 30_000) % 190_000
    cost = ((fresh + 1.25 * written + 0.1 * cached) * model.price[0] + output * model.price[1]) / 1e6
    first_event = chance.lognormvariate(0.1, 0.45)
    duration = first_event + output / chance.uniform(45, 95)
    hops, error, status = [(model, "", 200)], None, 200
    luck = chance.random()
    if luck < 0.035 and model.provider == "anthropic":
        hops = [(model, "status", 429), (MODELS[2], "", 200)]
    elif luck < 0.05:
        hops = [(model, "dropped", 0), (model, "", 200)]
    elif luck < 0.062:
        error, status = f"{model.provider}: overloaded, try again later", 529
        hops, cost, fresh, written, cached, output = [(model, "status", 529)], 0.0, 0, 0, 0, 0
    answering = hops[-1][0]
    row = RequestRow(
        id=f"req_demo_{number}",
        time=at,
        session=f"{name}-{number // 40}",
        user=name,
        request_class=chance.choice(CLASSES),
        asked_model=model.asked,
        provider=answering.provider,
        model=answering.name,
        account="",
        status=status,
        attempts=len(hops),
        fallback=answering is not model,
        input_tokens=fresh,
        output_tokens=output,
        cache_read_tokens=cached,
        cache_write_tokens=written,
        cache_write_1h_tokens=0,
        web_searches=0,
        fast=False,
        estimated=False,
        cost_usd=cost,
        budget_usd=cost,
        price_version="demo",
        first_event_s=first_event if status == 200 else None,
        duration_s=duration if status == 200 else first_event,
        error=error,
        line=" → ".join([model.asked, *(hop(*one) for one in hops)]),
    )
    return Finished(row, tuple(attempt(row, place, *one, last=len(hops)) for place, one in enumerate(hops, 1)))


def hop(model: Model, outcome: str, status: int) -> str:
    """One attempt in the request's line."""
    if not outcome:
        return f"{model.provider}/{model.name}"
    return f"{model.provider} {status or outcome}"


def attempt(row: RequestRow, number: int, model: Model, outcome: str, status: int, *, last: int) -> AttemptRow:
    """One try; the last one has used all that the request has."""
    shared = {name: getattr(row, name) for name in AttemptRow._fields if name in RequestRow._fields}
    made = AttemptRow(**{**shared, "request": row.id, "number": number, "outcome": outcome, "status": status or None})
    made = made._replace(provider=model.provider, model=model.name, error=row.error if outcome else None)
    if number == last:
        return made
    made = made._replace(input_tokens=0, output_tokens=0, cache_read_tokens=0, cache_write_tokens=0)
    return made._replace(cost_usd=0.0, budget_usd=0.0, first_event_s=None, duration_s=0.3)
