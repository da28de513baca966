"""The log of a running gateway: an object a line for machines, on the terminal and in a file."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.gateway import SAVING, Gateway
from tests.fakes.provider import Provider
from tests.fakes.scripts import error
from tests.views.test_log_line import KEYS

KEY = "zai-key-e2e-0123456789"


@pytest.fixture(scope="module")
def env() -> dict[str, str]:
    return {"ZAI_API_KEY": KEY}


@pytest.mark.skipif(SAVING, reason="all that is known is logged then, more than once")
def test_an_object_a_line(
    start_gateway: Callable[..., Gateway], zai: Provider, tmp_path: Path, session: dict[str, str]
) -> None:
    file = tmp_path / "gateway.log"
    options = ("gateway_log=json", f"gateway_log_file={file}", "termlog_verbosity=alert")
    gateway = start_gateway(options=tuple(chain(*(("--set", option) for option in options))))
    assert gateway.post("glm", headers=session).status_code == 200
    zai.script(error(400, f"no, {KEY} is wrong"))
    assert gateway.post("glm").status_code == 400

    def requests(text: str) -> list[dict[str, Any]]:
        return [line for line in map(json.loads, text.splitlines()) if line["event"] == "request"]

    def whole(text: str) -> str:
        return text[: text.rfind("\n") + 1]

    gateway.wait_until(lambda: len(requests(whole(gateway.log()))) == 2)
    gateway.wait_until(lambda: len(requests(whole(file.read_text()))) == 2)
    assert requests(whole(file.read_text())) == requests(whole(gateway.log()))
    good, bad = requests(whole(file.read_text()))
    assert list(good) == ["time", "level", "event", *KEYS]
    assert (good["model"], good["provider"], good["target_model"], good["status"]) == ("glm", "zai", "glm-5", 200)
    assert (good["session"], good["attempts"], good["error"]) == (next(iter(session.values())), 1, None)
    assert good["output_tokens"] > 0
    assert good["duration_s"] >= good["first_event_s"] > 0
    assert (bad["level"], bad["status"]) == ("warning", 400)
    assert bad["error"].startswith("no, …6789 is wrong")
    assert KEY not in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600
    messages = [line["message"] for line in map(json.loads, file.read_text().splitlines()) if line["event"] == "log"]
    assert len([message for message in messages if message.startswith("gateway: ")]) <= 8
    assert f"gateway: listening on http://127.0.0.1:{gateway.port}" in messages
