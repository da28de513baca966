"""Settings of all tests: how long an example takes says more about the machine than about the code."""

from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.proxy.playbook import Playbook

settings.register_profile("gateway", deadline=None)
settings.load_profile("gateway")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """What a playbook plays goes both ways: hooks called in place, as in mitmdump, and by mitmproxy, as in mitmweb."""
    if getattr(metafunc.module, "Playbook", None) is Playbook:
        metafunc.parametrize("hooks_in_place", [True, False], ids=["in place", "by mitmproxy"], indirect=True)


@pytest.fixture(autouse=True)
def hooks_in_place(request: pytest.FixtureRequest) -> Iterator[None]:
    """How playbooks call hooks. (Only an `autouse` fixture is set up for a test that doesn't name it.)"""
    Playbook.in_place = getattr(request, "param", False)
    yield
    Playbook.in_place = False
