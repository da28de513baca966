"""Settings of all tests: how long an example takes says more about the machine than about the code."""

import pytest
from hypothesis import settings

from tests.playbook import Playbook

settings.register_profile("gateway", deadline=None)
settings.load_profile("gateway")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """What a playbook plays goes both ways: hooks called in place, as in mitmdump, and by mitmproxy, as in mitmweb."""
    if getattr(metafunc.module, "Playbook", None) is Playbook:
        if "hooks_in_place" not in metafunc.fixturenames:
            metafunc.fixturenames.append("hooks_in_place")
        metafunc.parametrize("hooks_in_place", [True, False], ids=["in place", "by mitmproxy"], indirect=True)


@pytest.fixture
def hooks_in_place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Playbook, "in_place", request.param)
