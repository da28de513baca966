"""Fixtures of the end-to-end tests: four scripted providers and a gateway between them and the test.

- `anthropic`, `zai`, `kimi`, `openrouter`: the providers of a test module, as new for each test.
- `gateway`: one for the test module; what it remembers (benched tokens, open circuits) lives on.
- `fresh_gateway`: the same for one test, a second slower: for tests that leave something behind or mind it.
- `start_gateway`: any other gateway, for one test.
- `session`: headers of a session that no other test has.
A module that needs other settings overrides `routing` or `env` (both of module scope).
"""

import uuid
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from typing import Any, NamedTuple

import pytest

from tests.e2e.gateway import SAVING, Gateway
from tests.e2e.overheard import overhearing
from tests.fakes.provider import Provider

big = pytest.mark.skipif(SAVING, reason="megabytes, of which each read would be logged")
"""For tests in which the size of a request matters, and the time or the memory that it takes."""

VARIANTS = 6
CREDENTIALS_TAKE_PART = (
    "credentials",
    "errors",
    "fail_closed",
    "gate",
    "headers",
    "hostile",
    "keys",
    "passthrough",
    "pool",
    "users",
)
"""Modules, less `test_`, of which all variants are run when secrets are looked for."""

TOKENS = ("sk-ant-oat01-first-of-the-pool-aaaa", "sk-ant-oat01-second-of-the-pool-bbbb")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """When secrets are looked for, a few variants of each test do, evenly spread: they say things of one kind."""
    if not SAVING:
        return
    variants: dict[str, list[pytest.Item]] = {}
    for item in items:
        if item.path.stem.removeprefix("test_") not in CREDENTIALS_TAKE_PART:
            variants.setdefault(item.nodeid.partition("[")[0], []).append(item)
    left_out = {
        item
        for many in variants.values()
        for item in {*many} - {many[number * len(many) // VARIANTS] for number in range(VARIANTS)}
        if len(many) > VARIANTS
    }
    items[:] = [item for item in items if item not in left_out]
    config.hook.pytest_deselected(items=list(left_out))


@pytest.fixture(scope="session", autouse=True)
def _overhearing() -> Iterator[None]:
    with overhearing():
        yield


class Providers(NamedTuple):
    anthropic: Provider
    zai: Provider
    kimi: Provider
    openrouter: Provider


@pytest.fixture(scope="module")
def providers() -> Iterator[Providers]:
    with ExitStack() as stack:
        yield Providers(*(stack.enter_context(Provider(name)) for name in Providers._fields))


@pytest.fixture(autouse=True)
def _as_new(providers: Providers) -> Iterator[None]:
    for provider in providers:
        provider.reset()
    yield
    for provider in providers:
        assert provider.failures == [], f"a scripted function of {provider.name} has failed"


@pytest.fixture
def anthropic(providers: Providers) -> Provider:
    return providers.anthropic


@pytest.fixture
def zai(providers: Providers) -> Provider:
    return providers.zai


@pytest.fixture
def kimi(providers: Providers) -> Provider:
    return providers.kimi


@pytest.fixture
def openrouter(providers: Providers) -> Provider:
    return providers.openrouter


@pytest.fixture(scope="module")
def routing(providers: Providers) -> dict[str, Any]:
    """The example's routing.yaml, with the scripted providers.

    What is waited for is waited for long enough on any machine; a test that is about a limit sets it.
    """
    return {
        "providers": {
            "anthropic": {"base_url": providers.anthropic.url, "auth": "claude-oauth"},
            "zai": {
                "base_url": f"{providers.zai.url}/api/anthropic",
                "auth": "bearer",
                "api_key": "${ZAI_API_KEY}",
            },
            "kimi": {
                "base_url": f"{providers.kimi.url}/coding",
                "auth": "x-api-key",
                "api_key": "${KIMI_API_KEY}",
            },
            "openrouter": {
                "base_url": f"{providers.openrouter.url}/api",
                "auth": "bearer",
                "api_key": "${OPENROUTER_API_KEY}",
                "thinking": "strip",
            },
        },
        "models": {
            "glm": "zai/glm-5",
            "glm-fast": "zai/glm-5-air",
            "kimi": "kimi/kimi-for-coding",
            "openrouter": "openrouter/qwen/qwen3.6-plus:free",
            "anthropic/*": "anthropic/*",
            "claude-*": "anthropic/claude-*",
        },
        "fallbacks": {
            "anthropic/claude-haiku-*": ["glm-fast"],
            "anthropic/*": ["glm"],
            "claude-haiku-*": ["glm-fast"],
            "claude-*": ["glm"],
        },
        "failover": {"first_byte_timeout": 30, "answer_timeout": 30, "cooldown": 1, "hold": 30, "ping_interval": 0.3},
    }


@pytest.fixture(scope="module")
def env() -> dict[str, str]:
    return {
        "ZAI_API_KEY": "zai-key-0123456789",
        "KIMI_API_KEY": "kimi-key-0123456789",
        "OPENROUTER_API_KEY": "openrouter-key-0123456789",
        "CLAUDE_OAUTH_TOKENS": ",".join(TOKENS),
    }


@pytest.fixture(scope="module")
def gateway(providers: Providers, routing: dict[str, Any], env: dict[str, str]) -> Iterator[Gateway]:
    with Gateway(routing, env, upstream=providers.anthropic.url) as gateway:
        yield gateway


@pytest.fixture
def start_gateway(
    providers: Providers, routing: dict[str, Any], env: dict[str, str]
) -> Iterator[Callable[..., Gateway]]:
    """Starts a gateway like `gateway` but for the options given; `changes` replaces sections of the routing."""
    with ExitStack() as stack:

        def start(changes: dict[str, Any] | None = None, **options: Any) -> Gateway:
            defaults = {"env": env, "upstream": providers.anthropic.url}
            return stack.enter_context(Gateway({**routing, **(changes or {})}, **{**defaults, **options}))

        yield start


@pytest.fixture
def fresh_gateway(start_gateway: Callable[..., Gateway]) -> Gateway:
    return start_gateway()


@pytest.fixture
def session() -> dict[str, str]:
    return {"x-claude-code-session-id": str(uuid.uuid4())}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed test shows what its gateways logged and what its providers saw."""
    report = yield
    if report.failed:
        for name, value in getattr(item, "funcargs", {}).items():
            if isinstance(value, Gateway):
                report.sections.append((f"log of {name}", "\n".join(value.log().splitlines()[-100:])))
            elif isinstance(value, Providers):
                report.sections.append((name, "\n".join(map(repr, value))))
    return report
