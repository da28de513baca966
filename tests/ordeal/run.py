"""One ordeal: providers, a gateway, agents, disturbances; then the judgement and the count of what was left behind."""

import asyncio
import re
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.e2e.canaries import Canary, Secret
from tests.e2e.gateway import PROBLEMS, Gateway
from tests.fakes.launch import SHORT_WAY
from tests.ordeal.agents import CREDENTIAL, Agent, Asked
from tests.ordeal.attackers import attack
from tests.ordeal.disturb import Disturber
from tests.ordeal.judge import Evidence, Rate, Stop, judge, success
from tests.ordeal.left import held, leaks
from tests.ordeal.providers import Served, Unreliable
from tests.ordeal.words import Count, said
from tests.redis_server import RedisServer

WITH_FAILOVER = ("claude-sonnet-5", "claude-haiku-5", "glm", "kimi", "openrouter", "local")
ALONE = ("solo-claude", "solo-glm", "solo-kimi", "solo-local")
KEYS = {
    "anthropic": frozenset(Canary(f"token {number}", "sk-ant-oat01-").value for number in range(4)),
    "zai": frozenset({Canary("zai").value}),
    "kimi": frozenset({Canary("kimi", "sk-kimi-").value}),
    "openrouter": frozenset({Canary("openrouter", "sk-or-v1-").value}),
    "ollama": frozenset({""}),
}
"""By provider, the credentials that it may be shown."""
ENV = {
    "ZAI_API_KEY": next(iter(KEYS["zai"])),
    "KIMI_API_KEY": next(iter(KEYS["kimi"])),
    "OPENROUTER_API_KEY": next(iter(KEYS["openrouter"])),
    "CLAUDE_OAUTH_TOKENS": ",".join(sorted(KEYS["anthropic"])),
}
SECRETS = {key: name for name, keys in KEYS.items() for key in keys if key} | {CREDENTIAL: "an agent"}
"""Whose they are."""

ATTACKERS = 3
DRAIN = 8
"""Seconds that a gateway which is told to stop gives to what runs."""
COOLDOWN = 2
"""Seconds for which what has failed rests."""
PATIENCE = 60
"""Seconds for what happens at once when nobody else uses the machine."""


@dataclass
class Result:
    """What an ordeal has shown."""

    asked: list[Asked] = field(default_factory=list)
    served: list[Served] = field(default_factory=list)
    wrongs: list[str] = field(default_factory=list)
    stops: list[Stop] = field(default_factory=list)
    disturbances: Counter[str] = field(default_factory=Counter)
    attacks: Counter[str] = field(default_factory=Counter)
    """What clients have done that are no agents."""
    left: dict[str, tuple[int, int]] = field(default_factory=dict)
    """What was held at the start and at the end (see left.py)."""

    def rate(self, models: tuple[str, ...]) -> Rate:
        return success(self.asked, models, self.stops)


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
            "solo-local": "ollama/qwen3-coder:30b",
        },
        "fallbacks": {
            "claude-*": ["glm", "kimi"],
            "glm": ["kimi", "openrouter"],
            "kimi": ["glm", "local"],
            "openrouter": ["kimi", "glm"],
            "local": ["glm", "kimi"],
        },
        "failover": {
            "first_byte_timeout": 2,
            "answer_timeout": 4,
            "cooldown": COOLDOWN,
            "hold": 0.5,
            "ping_interval": 0.4,
        },
    }


LIMITS = {"budget": {"day": 1_000_000}, "requests_per_minute": 1_000_000, "sessions": 100_000}
"""Limits that nobody reaches, but about which each request has to ask."""


def run(
    *,
    seconds: float,
    seed: int,
    sessions: int,
    workers: int = 1,
    short_way: bool = SHORT_WAY,
    replicas: int = 1,
) -> Result:
    """Puts a gateway through it. `short_way`: its option. `replicas`: gateways that share a Redis, of which the first
    one is disturbed as one that is alone would be, and the Redis too."""
    result = Result()
    with ExitStack() as stack, TemporaryDirectory(prefix="ordeal-") as directory:
        providers = [Unreliable(name, seed, SECRETS, chat=name == "ollama") for name in KEYS]
        for one in providers:
            stack.enter_context(one.provider)
            if one.name == "anthropic":
                one.provider.refuse_like_anthropic()
            elif not one.chat:
                one.provider.refuse_like_others()
        config = routing({one.name: one.provider.url for one in providers})
        settings = [f"gateway_drain={DRAIN}", f"gateway_short_way={str(short_way).lower()}"]
        redis = None
        if replicas > 1:
            redis = RedisServer(password="password-of-the-ordeal")
            stack.callback(redis.close)
            settings.append(f"gateway_redis={redis.url}")
            config["users"] = LIMITS
        logs = [Path(directory) / f"probe{number}" for number in range(replicas)]
        gateways = [made(config, providers[0].provider.url, [*settings, f"ordeal_log={log}"], workers) for log in logs]
        gateway, log = gateways[0], logs[0]
        disturber = Disturber(gateway, providers, config, seed, seconds, redis)
        try:
            with ExitStack() as running:
                for each in gateways:
                    running.enter_context(each)
                disturber.start()
                ports = [each.port for each in gateways]
                result.wrongs += asyncio.run(
                    talk(result.asked, ports, seed, sessions, disturber.is_over, result.attacks)
                )
                disturber.stop()
                for each, its_log in zip(gateways, logs, strict=True):
                    if each.status is not None:
                        result.wrongs.append(f"a gateway has ended by itself: {each.status}\n{each.log()[-3000:]}")
                    each.client.close()
                    settle(providers, its_log, keeps=each.saving)
                    each.stop()
                    result.wrongs += log_problems(each.log())
        except AssertionError as error:
            result.wrongs.append(f"the gateway: {shortened(str(error))}")
        words = [word for its_log in logs for word in said(its_log)]
        counts = [word for word in said(log) if isinstance(word, Count)]
        result.left["connections to providers"] = (0, sum(one.provider.open_connections for one in providers))
    result.left |= held(counts) if counts else {}
    result.disturbances = Counter(disturber.done)
    result.stops = [stop._replace(among=replicas) for stop in disturber.stops]
    result.served = [served for one in providers for served in one.served]
    evidence = Evidence(
        asked=result.asked,
        served=result.served,
        words=words,
        stops=result.stops,
        drain=DRAIN - 0.5,
        secrets=SECRETS,
        keys=KEYS,
        strips=frozenset({"openrouter"}),
        cooldown=COOLDOWN,
    )
    result.wrongs += [*disturber.wrongs, *judge(evidence)]
    result.wrongs += [] if gateway.saving else leaks(counts)  # what is saved at the end is kept until then
    for one in providers:
        result.wrongs += provider_problems(one)
    return result


def made(config: dict[str, Any], upstream: str, settings: list[str], workers: int) -> Gateway:
    """A gateway that tells what happens in it."""
    probe = Path(__file__).with_name("probe.py")
    gateway = Gateway(
        config,
        ENV,
        upstream=upstream,
        options=("-s", str(probe), *(part for setting in settings for part in ("--set", setting))),
        forked=False,
        workers=workers,
    )
    gateway.check_log = False  # `log_problems` says more than the harness
    gateway.ends_within = DRAIN + PATIENCE
    gateway.look_for([Secret("an agent's own credential", CREDENTIAL)])
    return gateway


async def talk(
    log: list[Asked], ports: list[int], seed: int, sessions: int, over: Callable[[], bool], attacks: Counter[str]
) -> list[str]:
    """All agents, and a few attackers beside them, until it is over. What an attack left open."""
    models = WITH_FAILOVER + ALONE
    agents = [Agent(number, seed, ports[number % len(ports)], models, log) for number in range(sessions)]
    attackers = [attack(ports[0], seed, number, over, attacks) for number in range(ATTACKERS)]
    attacking = asyncio.gather(*attackers)
    await asyncio.gather(*(agent.run(over) for agent in agents))
    return [wrong for wrongs in await attacking for wrong in wrongs]


def settle(providers: list[Unreliable], log: Path, *, keeps: bool) -> None:
    """Waits until nothing is going on any more, or for so long that something is left."""

    def is_quiet() -> bool:
        counts = [word for word in said(log) if isinstance(word, Count)]
        return not any(one.provider.open_connections for one in providers) and (keeps or not leaks(counts))

    deadline = time.monotonic() + PATIENCE
    while not is_quiet() and time.monotonic() < deadline:
        time.sleep(0.5)


def provider_problems(one: Unreliable) -> list[str]:
    """What a provider has to say about the requests, and what is still connected to it."""
    wrongs = [f"{one.name} refused {request.messages[-1:]}: {why}" for request, why in one.provider.refused]
    wrongs += [f"{one.name} failed: {failure!r}" for failure in one.provider.failures]
    if count := one.provider.open_connections:
        wrongs.append(f"{one.name} still has {count} connections")
    return wrongs


def log_problems(log: str) -> list[str]:
    """Tracebacks and the like in the gateway's log; each kind once. (The harness looks for secrets.)"""
    found = {}
    lines = log.splitlines()
    for number, line in enumerate(lines):
        if PROBLEMS.search(line):
            end = number + 1
            while end < len(lines) and end < number + 100 and not re.match(r"\[\d\d:", lines[end]):
                end += 1
            found["\n".join(lines[max(number + 1, end - 8) : end])] = "\n".join(lines[number:end])
    for line in lines:
        if "gateway: " in line and re.search(r"gateway: \w+ in \w+\.\w+ \(", line) and "Mishap in Raising." not in line:
            found[line.partition("gateway: ")[2]] = line
    return [f"the log: {text}" for text in found.values()]


def shortened(text: str) -> str:
    """An error of the harness without the whole log."""
    return text if len(text) < 2000 else f"{text[:300]} … {text[-1500:]}"
