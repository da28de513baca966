"""Settings of all tests: how long an example takes says more about the machine than about the code."""

import pytest
from hypothesis import settings

from addons.proxy import short_way
from tests.fakes.launch import SHORT_WAY
from tests.proxy.playbook import Playbook
from tests.proxy.transports import create_task

settings.register_profile("gateway", deadline=None, max_examples=50)
settings.load_profile("gateway")


LONGEST = (
    "tests/e2e/test_ordeal.py",
    "tests/proxy/test_interleavings.py",
    "tests/test_linear.py",
    "tests/e2e/test_browser.py",
    "tests/e2e/test_commands.py",
    "tests/e2e/test_startup.py",
    "tests/e2e/test_hostile.py",
    "tests/e2e/test_no_secret.py",
    "tests/bench/test_bench.py",
)
"""The modules that take half a minute: a run must not end with waiting for one of them."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest modules come first: whoever has a worker for a module keeps it (`--dist=loadfile`)."""
    items.sort(key=lambda item: item.nodeid.partition("::")[0] not in LONGEST)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """What a playbook plays goes both ways: hooks called in place, as in mitmdump, and by mitmproxy, as in mitmweb; and
    answers the short way, and through the layers."""
    if getattr(metafunc.module, "Playbook", None) is Playbook:
        metafunc.parametrize("hooks_in_place", [True, False], ids=["in place", "by mitmproxy"], indirect=True)


@pytest.fixture(autouse=True)
def hooks_in_place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """How playbooks call hooks. (Only an `autouse` fixture is set up for a test that doesn't name it.)"""
    if (in_place := getattr(request, "param", None)) is not None:
        monkeypatch.setattr(Playbook, "in_place", in_place)
        monkeypatch.setattr(Playbook, "short_way", in_place == SHORT_WAY)
        monkeypatch.setattr(short_way, "create_task", create_task)
