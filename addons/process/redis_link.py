"""RedisLink: the way of a gateway to those on other machines, through a Redis or a Valkey that all of them reach.

One background task keeps two connections: on one it tells and asks (what has come while it waited for answers goes out
together), on the other it hears news. Whatever is wrong (nobody there, another password, no memory left, too slow) is
one thing for the gateway: nobody to ask. It is said once, and tried again every second; what is told meanwhile is lost,
and whoever has told it tells it again when the others are reached (`Shared.joined`).

redis-py is imported only where an address is configured. It would try again ten times by itself: it may not.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from hashlib import sha1
from itertools import count
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from uuid import uuid4

import msgspec

from addons.process import redis_address
from addons.process import redis_scripts as scripts
from addons.process.overdue import Overdue
from addons.state.shared import (
    SUMS_SHARED,
    Admit,
    Admitted,
    AllUsers,
    Asked,
    Claim,
    Cooled,
    DaysSummed,
    Forgotten,
    Holding,
    Known,
    Left,
    Moved,
    Question,
    Refused,
    Resumed,
    RoomSeen,
    Row,
    Rows,
    Settled,
    Shared,
    Sit,
    Span,
    StillHere,
    Summed,
    SumsOf,
    Tell,
    Totals,
    UserChanged,
    WrongKey,
)
from addons.state.shared import News as AnyNews
from addons.team import hub_state, pace
from addons.wire.words import in_a_line

if TYPE_CHECKING:
    from redis.asyncio import Redis
    from redis.asyncio.client import PubSub
    from redis.asyncio.connection import AbstractConnection

logger = logging.getLogger(__name__)

CONNECTED_WITHIN: Final = 2.0
PROBE_EVERY: Final = 1.0
"""Seconds before a Redis that is gone is looked for again."""
HERE_EVERY: Final = 5.0
DEAD_AFTER: Final = 15.0
"""Seconds between two signs of life of a gateway, and after which what it has reserved is free."""
MOST_WAITING: Final = 10_000
"""Messages that wait for an answer to those before: more than that is lost."""

encode: Final = msgspec.json.Encoder().encode
published: Final = msgspec.json.Decoder(tuple[str, AnyNews])
texts: Final = msgspec.json.Decoder(list[str]).decode
row_of: Final = msgspec.json.Decoder(Row | None).decode
rows_of: Final = msgspec.json.Decoder(Rows).decode
decode: Final = msgspec.json.Decoder(AnyNews).decode

Argument = str | bytes | int | float
Read = Callable[[Any], Any]


class Command(NamedTuple):
    """What is sent, and who wants the answer."""

    arguments: tuple[Argument, ...]
    asked: Asked | None = None
    read: Read = bool


class RedisLink:
    """Tells and asks through the Redis at `url`."""

    def __init__(self, url: str, shared: Shared) -> None:
        self.url, self.shared = redis_address.address(url), shared
        self.shown = redis_address.shown(url)
        self.channel = f"{scripts.PREFIX}{redis_address.database(url)}:news"
        self.name = uuid4().hex
        self.lives = count(1)
        self.member = ""
        """What is reserved here goes by this name, another one after each interruption: nobody frees the rest twice."""
        self.uniques = count(1)
        self.hashes = {
            text: sha1((scripts.NOW + text).encode(), usedforsecurity=False).hexdigest() for text in scripts.SCRIPTS
        }
        self.is_up = False
        self.problem = ""
        self.outgoing: list[Command] = []
        self.wanted = asyncio.Event()
        self.overdue = Overdue(self.fell_behind)
        self.task: asyncio.Task[None] | None = None
        self.serving: asyncio.Task[None] | None = None

    @property
    def status(self) -> str:
        return "redis" if self.is_up else "redis down"

    def start(self) -> None:
        """Connect, and stay connected."""
        self.task = asyncio.get_running_loop().create_task(self.run())

    async def close(self) -> None:
        """Say nothing more."""
        if self.task:
            self.task.cancel()
            await asyncio.wait([self.task])

    async def run(self) -> None:
        """Keep the connections."""
        while True:
            self.serving = asyncio.get_running_loop().create_task(self.serve())
            try:
                await asyncio.wait([self.serving])
            finally:
                self.serving.cancel()
                await asyncio.wait([self.serving])
            error = None if self.serving.cancelled() else self.serving.exception()
            self.fall("it doesn't answer in time" if error is None else why(error))
            await asyncio.sleep(PROBE_EVERY)

    async def serve(self) -> None:
        """Connect, hear what is known already, and go on until something is wrong."""
        client = client_of(self.url)
        news = client.pubsub(ignore_subscribe_messages=False)
        tasks: set[asyncio.Task[None]] = set()
        try:
            async with asyncio.timeout(CONNECTED_WITHIN):
                connection = await client.connection_pool.get_connection()  # type: ignore[no-untyped-call]
                for text in scripts.SCRIPTS:
                    await said(connection, "SCRIPT", "LOAD", scripts.NOW + text)
                self.member = f"{self.name}.{next(self.lives)}"
                await said(connection, *self.script(scripts.HERE, [scripts.MEMBERS], self.member))
                await news.subscribe(self.channel)
                await news.get_message(timeout=CONNECTED_WITHIN)  # it is heard from here on
                tables = [scripts.COOLDOWNS, scripts.REFUSALS, scripts.ROOMS]
                for row in await said(connection, *self.script(scripts.WHAT_HOLDS, tables)):
                    self.shared.hear(decode(row))
            self.rise()
            tasks = {asyncio.create_task(work) for work in (self.converse(connection), self.listen(news), self.live())}
            ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in ended:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            for closing in (news.aclose(), client.aclose()):  # type: ignore[no-untyped-call]
                with suppress(Exception):  # it is over, whatever is wrong with it
                    await closing

    async def converse(self, connection: AbstractConnection) -> None:
        """Send what has come together, and hand the answers over."""
        while True:
            await self.wanted.wait()
            self.wanted.clear()
            batch, self.outgoing = self.outgoing, []
            # What nobody waits for any more grants nothing.
            batch = [command for command in batch if command.asked is None or command.asked.waits]
            if not batch:
                continue
            await connection.send_packed_command(
                connection.pack_commands([command.arguments for command in batch]),
                check_health=False,
            )
            for command in batch:
                answer = await connection.read_response()
                if command.asked:
                    command.asked.settle(command.read(answer))

    async def listen(self, news: PubSub) -> None:
        """Hear what others tell; of one's own only where a session is: two may have moved it at once."""
        while True:
            message = await news.get_message(ignore_subscribe_messages=True, timeout=None)
            if message is not None:
                teller, told = published.decode(message["data"])
                if teller != self.name or isinstance(told, Moved):
                    self.shared.hear(told)

    async def live(self) -> None:
        """Give signs of life; who gives none is too slow to be asked."""
        while True:
            await asyncio.sleep(HERE_EVERY)
            self.put(Command(self.script(scripts.HERE, [scripts.MEMBERS], self.member), Asked(), lambda _: True))

    def rise(self) -> None:
        """Others are reached."""
        self.is_up, self.problem, self.outgoing = True, "", []
        logger.info("shared: limits and accounts are shared through %s", self.shown)
        self.shared.joined()

    def fall(self, problem: str) -> None:
        """Nobody is reached."""
        self.is_up = False
        if problem != self.problem:
            self.problem = problem
            logger.warning(
                "shared: Redis at %s can't be used (%s): limits are this gateway's own until it can",
                self.shown,
                problem,
            )
        lost, self.outgoing = self.outgoing, []
        for command in lost:
            if command.asked:
                command.asked.settle(None)

    def fell_behind(self) -> None:
        """An answer has not come in time."""
        self.is_up = False
        if self.serving:
            self.serving.cancel()

    # What is said

    def tell(self, message: Tell) -> None:
        if self.is_up:
            self.put(Command(self.told(message)))

    def ask(self, question: Question) -> Asked:
        asked = Asked(question)
        if self.is_up:
            match question:
                case Admit():
                    self.put(Command(self.admit(question), asked, admitted))
                case Sit(session, pool, mark):
                    arguments = self.script(scripts.SIT, [seat(session, pool)], int(hub_state.SEATS_KEPT), mark)
                    self.put(Command(arguments, asked, bytes.decode))
                case Claim(what, who, seconds):
                    arguments = self.script(scripts.CLAIM, [f"{scripts.PREFIX}claim:{what}"], who, seconds)
                    self.put(Command(arguments, asked, bytes.decode))
                case Settled():
                    self.put(Command(self.told(question), asked, dollars_of))
                case AllUsers():
                    self.put(Command(self.script(scripts.TOTALS, [scripts.USERS]), asked, users))
                case DaysSummed(days):
                    keys = [f"{scripts.PREFIX}summed:{day}" for day in days]
                    self.put(Command(self.script(scripts.TOTALS, keys), asked, versions))
                case SumsOf(source, day):
                    self.put(Command(("GET", sums_key(source, day)), asked, lambda rows: rows_of(rows or b"[]")))
                case Totals(windows):
                    keys = [key for span in windows for key in span_keys(span)[:1]]
                    self.put(Command(self.script(scripts.TOTALS, keys), asked, totals))
        else:
            asked.settle(None)
        return asked

    def put(self, command: Command) -> None:
        """Have something sent."""
        if command.asked:
            self.overdue.watch(command.asked)
        elif len(self.outgoing) >= MOST_WAITING:
            return
        self.outgoing.append(command)
        self.wanted.set()

    def script(self, text: str, keys: Sequence[str], *arguments: Argument) -> tuple[Argument, ...]:
        """The command that runs a script."""
        return ("EVALSHA", self.hashes[text], len(keys), *keys, *arguments)

    def told(self, message: Tell) -> tuple[Argument, ...]:
        """The command that tells something."""
        run, whole = self.script, encode(message)
        news: tuple[Argument, Argument] = (self.channel, encode((self.name, message)))
        match message:
            case Settled(user, reserved, dollars, windows, source):
                spans = windows if source else ()  # else it was given back what it had reserved
                keys = [reserved_key(user), *(key for span in spans for key in span_keys(span))]
                return run(
                    scripts.SETTLE, keys, user, self.member, reserved, dollars, source, *(one.end for one in spans)
                )
            case Left(user, session):
                return run(scripts.STAY, [sessions_key(user)], pace.SESSION_LASTS, session)
            case StillHere(user, sessions):
                return run(scripts.STAY, [sessions_key(user)], pace.SESSION_LASTS, *sessions)
            case Holding(user, dollars):
                return run(scripts.HOLD, [reserved_key(user)], self.member, dollars)
            case Known(source, window, sums):
                pairs = [part for pair in sums.items() for part in pair]
                return run(scripts.KNOWN, span_keys(window), source, window.end, *pairs)
            case Summed(source, day, version, rows):
                keys = [f"{scripts.PREFIX}summed:{day}", sums_key(source, day)]
                return run(scripts.SUM, keys, SUMS_SHARED * 86_400, source, version, encode(rows))
            case Forgotten(user, windows):
                keys = [rates_key(user), sessions_key(user), reserved_key(user)]
                return run(scripts.FORGET, [*keys, *(key for span in windows for key in span_keys(span))], user)
            case Cooled(mark, model, until):
                return run(scripts.COOL, [scripts.COOLDOWNS], f"{mark}|{model or ''}", until, whole, *news)
            case Refused(mark, until):
                return run(scripts.KEEP, [scripts.REFUSALS], mark, until, whole, *news)
            case RoomSeen(mark):
                return run(scripts.KEEP, [scripts.ROOMS], mark, "", whole, *news)
            case Resumed(mark, model):
                return run(scripts.RESUME, [scripts.COOLDOWNS, scripts.REFUSALS], mark, model or "", *news)
            case Moved(session, pool, mark):
                return run(scripts.MOVE, [seat(session, pool)], int(hub_state.SEATS_KEPT), mark, *news)
            case UserChanged(public, changed, row):
                return run(scripts.USER, [scripts.USERS], public, changed, encode(row), *news)
            case WrongKey():
                return ("PUBLISH", *news)

    def admit(self, question: Admit) -> tuple[Argument, ...]:
        """The command that asks whether a request may be made."""
        user = question.user
        keys = [rates_key(user), sessions_key(user), reserved_key(user), scripts.MEMBERS]
        keys += [span_keys(span)[0] for span, _ in question.budgets]
        windows = [part for span, most in question.budgets for part in (span.name, span.end, most)]
        limits = (question.rpm or 0, pace.MINUTE, question.session, question.sessions or 0, pace.SESSION_LASTS)
        unique = f"{self.member}.{next(self.uniques)}"
        reserve = (question.reserve, question.before, DEAD_AFTER)
        return self.script(scripts.ADMIT, keys, user, self.member, unique, *limits, *reserve, *windows)


def client_of(url: str) -> Redis:
    """A client that tries nothing twice."""
    from redis.asyncio import Redis
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    found: Redis = Redis.from_url(
        url,
        protocol=2,
        retry=Retry(NoBackoff(), 0),
        socket_timeout=None,  # an answer has its time (overdue.py), news may come whenever they like
        socket_connect_timeout=CONNECTED_WITHIN,
        client_name="claude-gateway",
    )
    return found


async def said(connection: AbstractConnection, *arguments: Argument) -> Any:
    """The answer to one command."""
    await connection.send_packed_command(connection.pack_commands([arguments]), check_health=False)
    return await connection.read_response()


def why(error: BaseException) -> str:
    """What is wrong, in a line. (redis-py's words have an address in them, but no password.)"""
    if isinstance(error, TimeoutError):
        return "it doesn't answer in time"
    words = in_a_line(str(error), 200)
    return words or type(error).__name__


def rates_key(user: str) -> str:
    """Where the times of a user's requests are."""
    return f"{scripts.PREFIX}rates:{user}"


def sessions_key(user: str) -> str:
    """Where a user's sessions are that count."""
    return f"{scripts.PREFIX}sessions:{user}"


def reserved_key(user: str) -> str:
    """Where it is what a user's running requests may cost."""
    return f"{scripts.PREFIX}reserved:{user}"


def seat(session: str, pool: str) -> str:
    """Where it is on which account a session stays."""
    return f"{scripts.PREFIX}seat:{pool}:{session}"


def span_keys(span: Span) -> tuple[str, str]:
    """Where the sums of a window are, and what each ledger knows of it."""
    return f"{scripts.PREFIX}spent:{span.name}:{span.start:.0f}", f"{scripts.PREFIX}known:{span.name}:{span.start:.0f}"


def admitted(answer: list[bytes]) -> Admitted:
    """What the script has said."""
    wait, seated, soonest, over, *spent = answer
    return Admitted(float(wait), bool(seated), float(soonest), over.decode(), tuple(map(float, spent)))


def sums_key(source: str, day: str) -> str:
    """Where it is what a ledger has summed up of a day."""
    return f"{scripts.PREFIX}sums:{source}:{day}"


def versions(answer: list[bytes]) -> list[dict[str, str]]:
    """In which versions ledgers have summed up days."""
    return [pairs(row) for row in answer]


def pairs(table: bytes) -> dict[str, str]:
    """A table of the server's as a script has told it."""
    flat = [] if table == b"{}" else texts(table)  # (Lua doesn't know an empty list)
    return dict(zip(flat[::2], flat[1::2], strict=True))


def users(answer: list[bytes]) -> dict[str, tuple[float, Row | None]]:
    """All users, and when each was changed."""
    found = {public: told.partition("|") for public, told in pairs(answer[0]).items()}
    return {public: (float(changed), row_of(row)) for public, (changed, _, row) in found.items()}


def dollars_of(answer: list[bytes]) -> list[float]:
    """What was spent in each window."""
    return list(map(float, answer))


def totals(answer: list[bytes]) -> list[dict[str, float]]:
    """What everybody has spent, by window."""
    return [{user: float(dollars) for user, dollars in pairs(row).items()} for row in answer]
