"""One ordeal: providers, a gateway, agents, disturbances; then the judgement and the count of what was left behind."""

import asyncio
import json
import re
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.e2e.gateway import PROBLEMS, Gateway
from tests.ordeal.agents import Agent, Asked
from tests.ordeal.disturb import Disturber
from tests.ordeal.judge import Closed, Evidence, Rate, Use, judge, success
from tests.ordeal.providers import Served, Unreliable

NAMES = ("anthropic", "zai", "kimi", "openrouter", "ollama")
WITH_FAILOVER = ("claude-sonnet-5", "claude-haiku-5", "glm", "kimi", "openrouter", "local")
ALONE = ("solo-claude", "solo-glm", "solo-kimi")
TOKENS = tuple(f"sk-ant-oat01-of-the-ordeal-{number}-{'abcd'[number] * 8}" for number in range(4))
ENV = {
    "ZAI_API_KEY": "zai-key-of-the-ordeal-00001",
    "KIMI_API_KEY": "kimi-key-of-the-ordeal-00002",
    "OPENROUTER_API_KEY": "openrouter-key-of-the-ordeal-3",
    "CLAUDE_OAUTH_TOKENS": ",".join(TOKENS),
}
DRAIN = 8
"""Seconds that a gateway which is told to stop gives to what runs."""

MEMORY = 80_000_000
"""Bytes by which the process may have grown between its first quarter and its end."""


@dataclass
class Result:
    """What an ordeal has shown."""

    asked: list[Asked] = field(default_factory=list)
    served: list[Served] = field(default_factory=list)
    wrongs: list[str] = field(default_factory=list)
    down: list[tuple[float, float]] = field(default_factory=list)
    disturbances: Counter[str] = field(default_factory=Counter)
    leaks: dict[str, tuple[float, float]] = field(default_factory=dict)
    """What the process held: when it was new (memory: after warming up), and at the end."""

    def rate(self, models: tuple[str, ...]) -> Rate:
        return success(self.asked, models, self.down)


def routing(urls: dict[str, str]) -> dict[str, Any]:
    """Five providers; models with fallbacks, and the same without any."""
    return {
        "providers": {
            "anthropic": {"base_url": urls["anthropic"], "auth": "claude-oauth"},
            "zai": {"base_url": f"{urls['zai']}/api/anthropic", "auth": "bearer", "api_key": "${ZAI_API_KEY}"},
            "kimi": {"base_url": f"{urls['kimi']}/coding", "auth": "x-api-key", "api_key": "${KIMI_API_KEY}"},
            "openrouter": {
                "base_url": f"{urls['openrouter']}/api",
                "auth": "bearer",
                "api_key": "${OPENROUTER_API_KEY}",
                "thinking": "strip",
            },
            "ollama": {"base_url": f"{urls['ollama']}/v1", "format": "openai-chat", "auth": "none"},
        },
        "models": {
            "glm": "zai/glm-5",
            "kimi": "kimi/kimi-for-coding",
            "openrouter": "openrouter/qwen/qwen3.6-plus:free",
            "local": "ollama/qwen3-coder:30b",
            "claude-*": "anthropic/claude-*",
            "solo-claude": "anthropic/claude-opus-5",
            "solo-glm": "zai/glm-5",
            "solo-kimi": "kimi/kimi-for-coding",
        },
        "fallbacks": {
            "claude-*": ["glm", "kimi"],
            "glm": ["kimi", "openrouter"],
            "kimi": ["glm", "local"],
            "openrouter": ["kimi", "glm"],
            "local": ["glm", "kimi"],
        },
        "failover": {
            "first_byte_timeout": 1,
            "answer_timeout": 3,
            "cooldown": 1,
            "hold": 0.5,
            "ping_interval": 0.4,
        },
    }


def run(*, seconds: float, seed: int, sessions: int, disturbed: bool = True) -> Result:
    """Puts a gateway through it."""
    result = Result()
    with ExitStack() as stack, TemporaryDirectory(prefix="ordeal-") as directory:
        providers = [Unreliable(name, seed, chat=name == "ollama") for name in NAMES]
        for one in providers:
            stack.enter_context(one.provider)
            if one.name == "anthropic":
                one.provider.refuse_like_anthropic()
            elif not one.chat:
                one.provider.refuse_like_others()
        config = routing({one.name: one.provider.url for one in providers})
        log = Path(directory) / "probe"
        probe = Path(__file__).with_name("probe.py")
        gateway = Gateway(
            config,
            ENV,
            upstream=providers[0].provider.url,
            options=("-s", str(probe), "--set", f"ordeal_log={log}", "--set", f"gateway_drain={DRAIN}"),
        )
        gateway.check_log = False  # `log_problems` says more than the harness
        try:
            with gateway:
                disturber = Disturber(gateway, providers, config, seed, seconds)
                if disturbed:
                    disturber.start()
                asyncio.run(_talk(result.asked, gateway.port, seed, sessions, seconds))
                if disturbed:
                    disturber.stop()
                result.wrongs += disturber.wrongs
                for one in providers:
                    one.provider.accept() if one.provider._server is None else None
                _settle(gateway, providers, log)
                gateway.stop()
                result.wrongs += log_problems(gateway.log())
        except AssertionError as error:
            result.wrongs.append(f"the gateway: {_shortened(str(error))}")
        result.disturbances, result.down = Counter(disturber.done), disturber.down
        result.served = [served for one in providers for served in one.served]
        for one in providers:
            result.wrongs += [
                f"{one.name} refused {request.messages[-1:]}: {why}" for request, why in one.provider.refused
            ]
            result.wrongs += [f"{one.name} failed: {failure!r}" for failure in one.provider.failures]
            result.wrongs += _seen_secrets(one)
        lines = [json.loads(line) for line in log.read_text().splitlines()]
    closed = [
        Closed(**{**line, "attempts": tuple(line["attempts"]), "uses": tuple(Use(*use) for use in line["uses"])})
        for line in lines
        if "hook" in line
    ]
    evidence = Evidence(
        asked=result.asked,
        served=result.served,
        closed=closed,
        down=disturber.down,
        drain=DRAIN - 0.5,
        secrets={value: name for name, values in ENV.items() for value in values.split(",")},
        strips=frozenset({"openrouter"}),
        epoch=time.time() - time.monotonic(),
    )
    result.wrongs += judge(evidence)
    result.leaks, leaked = leaks([line for line in lines if "tasks" in line])
    result.wrongs += leaked
    return result


async def _talk(log: list[Asked], port: int, seed: int, sessions: int, seconds: float) -> None:
    until = time.monotonic() + seconds
    agents = [Agent(number, seed, port, WITH_FAILOVER + ALONE, log) for number in range(sessions)]
    await asyncio.gather(*(agent.run(until) for agent in agents))


def _settle(gateway: Gateway, providers: list[Unreliable], log: Path) -> None:
    """Waits until nothing is going on, and for a last count by the probe after that."""
    gateway.client.close()
    for one in providers:
        one.provider.wait_for(lambda one=one: one.provider.open_connections == 0, timeout=15)  # type: ignore[misc]
    counts = log.read_text().count('"tasks"')
    providers[0].provider.wait_for(lambda: log.read_text().count('"tasks"') >= counts + 2, timeout=15)


def leaks(counts: list[dict[str, float]]) -> tuple[dict[str, tuple[float, float]], list[str]]:
    """What the process held at the start and at the end, and what of it is too much. A restart starts anew."""
    if not counts:
        return {}, ["the probe has counted nothing"]
    last = counts[-1]
    starts = [n for n in range(1, len(counts)) if counts[n]["memory"] < counts[n - 1]["memory"] - 30_000_000]
    of_this_process = counts[starts[-1] if starts else 0 :]
    first, quarter = of_this_process[0], of_this_process[len(of_this_process) // 4]
    held = {name: (first[name], last[name]) for name in ("tasks", "exchanges", "files")}
    held["memory"] = (quarter["memory"], last["memory"])
    allowed = {"memory": MEMORY}
    wrongs = [
        f"{name}: {now} at the end, {then} at the start"
        for name, (then, now) in held.items()
        if now > then + allowed.get(name, 3)
    ]
    return held, wrongs


def _seen_secrets(one: Unreliable) -> list[str]:
    """The credentials of others that this provider was shown."""
    own = {
        "anthropic": TOKENS,
        "zai": (ENV["ZAI_API_KEY"],),
        "kimi": (ENV["KIMI_API_KEY"],),
        "openrouter": (ENV["OPENROUTER_API_KEY"],),
        "ollama": ("",),
    }[one.name]
    strange = {served.token for served in one.served} - set(own)
    return [f"{one.name} was shown {token!r}" for token in strange]


def log_problems(log: str) -> list[str]:
    """Tracebacks and secrets in the gateway's log; each kind once."""
    found = {}
    lines = log.splitlines()
    for number, line in enumerate(lines):
        if PROBLEMS.search(line):
            end = number + 1
            while end < len(lines) and end < number + 100 and not re.match(r"\[\d\d:", lines[end]):
                end += 1
            found["\n".join(lines[max(number + 1, end - 8) : end])] = "\n".join(lines[number:end])
    wrongs = [f"the log: {text}" for text in found.values()]
    return wrongs + [
        f"the log shows {secret}" for values in ENV.values() for secret in values.split(",") if secret in log
    ]


def _shortened(text: str) -> str:
    """An error of the harness without the whole log."""
    return text[:300] + " … " + text[-1500:]
