"""`./run.sh safeguards` where its calls are missing; what it measures is tested end to end (e2e/test_safeguards.py)."""

from __future__ import annotations

from pathlib import Path

import pytest

from addons.commands import safeguards
from addons.commands.running_gateway import Failed, NotRunning
from tests.credentials import OWN
from tests.fakes.answers import Reply
from tests.fakes.provider import Provider
from tests.fakes.request import Request
from tests.fakes.scripts import error, plain_error


def test_without_its_calls_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(safeguards, "CASES", tmp_path / "cases.json")
    with pytest.raises(Failed, match=r"cases.json, which is not there: clone the whole repository"):
        safeguards.main(["--measure", "glm"])


def test_a_gateway_that_lets_nobody_in_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def knows_the_key(request: Request) -> Reply:
        return plain_error(200, "{}") if request.headers.get("x-litellm-api-key") == OWN else error(401, "who is it?")

    with Provider("gateway", always=knows_the_key) as gateway:
        with pytest.raises(NotRunning, match="answered 401: who is it"):
            safeguards.main(["--measure", "glm", "--url", gateway.url])
        monkeypatch.setenv("GATEWAY_KEY", OWN)
        assert safeguards.main(["--measure", "glm", "--url", gateway.url]) == 1, "it is let in, and has no verdicts"
