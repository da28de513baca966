"""Fixtures of the attacks: the providers and gateways of the end-to-end tests, and somebody else who is served."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from tests.attacks.bystander import bystander
from tests.e2e.conftest import (  # noqa: F401  # fixtures, which pytest finds here
    _as_new,
    _overhearing,
    anthropic,
    env,
    fresh_gateway,
    gateway,
    kimi,
    openrouter,
    providers,
    pytest_runtest_makereport,
    routing,
    session,
    start_gateway,
    zai,
)


@pytest.fixture
def unharmed() -> Callable[..., AbstractContextManager[None]]:
    """`with unharmed(gateway):` around an attack fails when the gateway, or anybody else, suffers from it."""
    return bystander
