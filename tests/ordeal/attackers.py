"""Clients that mean harm, or are broken: beside the agents, whose answers must not suffer from them.

Rules of this file:
- Each of them writes to a socket of its own and reads what comes; nothing of it is judged but that it comes to an end:
  an answer, or a closed connection, within `LIMIT`.
- What was done is counted by name: each kind must have happened.
"""

import asyncio
import gzip
import json
import random
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import cache

LIMIT = 70.0
"""Seconds: the gateway lets a connection be silent for 60."""

BODY = json.dumps({"model": "glm", "max_tokens": 9, "messages": [], "stream": True}).encode()


@cache
def bomb() -> bytes:
    """A quarter of a gigabyte, packed twice."""
    return gzip.compress(gzip.compress(bytes(1 << 24)) * 16)


def post(body: bytes = BODY, *, length: int | None = None, more: bytes = b"") -> bytes:
    length = len(body) if length is None else length
    head = b"POST /v1/messages HTTP/1.1\r\nhost: gateway\r\ncontent-type: application/json\r\n"
    return head + more + b"content-length: %d\r\n\r\n" % length + body


def half_request(draw: random.Random) -> bytes:
    whole = post()
    return whole[: draw.randrange(1, len(whole) - 1)]


ATTACKS: dict[str, Callable[[random.Random], bytes]] = {
    "bomb": lambda draw: post(bomb(), more=b"content-encoding: gzip, gzip\r\n"),
    "header flood": lambda draw: post(more=b"x-flood: 1\r\n" * draw.choice((300, 20_000))),
    "huge header": lambda draw: post(more=b"x-huge: " + b"h" * draw.choice((70_000, 3_000_000)) + b"\r\n"),
    "huge name": lambda draw: post(json.dumps({"model": "m" * 3_000_000, "messages": []}).encode()),
    "huge path": lambda draw: post().replace(b"/v1/messages", b"/" + b"p" * 100_000, 1),
    "half request": half_request,
    "pipelined flood": lambda draw: b"GET /health HTTP/1.1\r\nhost: gateway\r\n\r\n" * 2_000,
    "slow body": lambda draw: post(b"{", length=100_000),
    "deep body": lambda draw: post(b"[" * 100_000),
}
SLOW = {"slow body": b" ", "half request": b""}
"""What comes afterwards, bit by bit."""


async def attack(port: int, seed: int, number: int, over: Callable[[], bool], done: Counter[str]) -> list[str]:
    """One attacker: one attack after the other, until it is over. Returns what has not come to an end."""
    draw = random.Random(f"{seed}/attacker/{number}")
    kinds = list(ATTACKS)
    wrongs = []
    turn = number
    while not over():
        kind = kinds[turn % len(kinds)]
        turn += 1
        try:
            async with asyncio.timeout(LIMIT):
                done[kind] += await one_attack(port, ATTACKS[kind](draw), SLOW.get(kind), draw)
        except TimeoutError:
            wrongs.append(f"{kind}: neither answered nor closed within {LIMIT:.0f} s")
        await asyncio.sleep(draw.random())
    return wrongs


async def one_attack(port: int, data: bytes, drip: bytes | None, draw: random.Random) -> bool:
    """Writes all of it, then reads to the end. Whether anybody has listened."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        await asyncio.sleep(0.3)
        return False
    with suppress(OSError):
        writer.write(data)
        if drip is not None:
            for _ in range(draw.randrange(3, 9)):
                await asyncio.sleep(0.3)
                writer.write(drip)
            writer.close()
            return True
        writer.write_eof()
        while await reader.read(1 << 16):
            pass
    writer.close()
    return True
