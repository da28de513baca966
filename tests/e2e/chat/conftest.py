"""Fixtures of the tests with a Chat Completions provider: its models in the routing, and the server itself."""

from typing import Any

import pytest

from tests.e2e.chat.server import CHAT_KEY, with_chat
from tests.e2e.conftest import Providers
from tests.fakes.provider import Provider


@pytest.fixture(scope="module")
def routing(routing: dict[str, Any], providers: Providers) -> dict[str, Any]:
    return with_chat(routing, providers)


@pytest.fixture(scope="module")
def env(env: dict[str, str]) -> dict[str, str]:
    return {**env, "CHAT_KEY": CHAT_KEY}


@pytest.fixture
def server(kimi: Provider) -> Provider:
    return kimi
