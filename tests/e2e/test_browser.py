"""A person opens mitmweb and sees what happened: in Debian's Chromium, headless."""

import time
from typing import Any

import pytest

from tests import browser
from tests.e2e.gateway import SAVING
from tests.e2e.mitmweb import WebGateway
from tests.fakes.provider import Provider
from tests.fakes.scripts import agent, oauth_429, text, thinking

pytestmark = [
    pytest.mark.skipif(
        not (browser.CHROMIUM and browser.DRIVER), reason="no Chromium: apt-get install chromium chromium-driver"
    ),
    pytest.mark.skipif(SAVING, reason="all that mitmweb shows is searched by test_mitmweb.py and test_no_secret.py"),
]
TOOLS = [{"name": "Bash", "description": "Runs a command.", "input_schema": {"type": "object"}}]


def test_what_a_person_sees(routing: dict[str, Any], env: dict[str, str], anthropic: Provider, zai: Provider) -> None:
    anthropic.always(oauth_429({"5h": time.time() + 3600}))
    zai.always(agent(before=(thinking("I should run it."), text("Let me see. ")), usage_at_start=False))
    with WebGateway(routing, env) as gateway:
        gateway.post("glm", text="What is in this folder?")
        gateway.post("claude-sonnet-5-5", text="Please run echo hi.", stream=True, tools=TOOLS)
        with browser.page(gateway.page_url) as page:
            page.wait(lambda: len(page.rows()) >= 2, "the flows")
            newest = page.rows()[0]
            assert "claude-sonnet-5-5 → anthropic 429" in newest
            assert "→ zai/glm-5" in newest
            assert "glm → zai/glm-5" in page.rows()[1]
            width = page.driver.execute_script("return document.querySelector('td.col-comment').clientWidth")
            assert width > 700, "the comment has no room"

            page.open("anthropic 429")
            conversation = page.view("Conversation")
            assert "Please run echo hi." in conversation
            assert "Bash" in conversation
            trail = page.view("Trail")
            assert "attempt 1 · anthropic/claude-sonnet-5-5 · 429" in trail
            assert "sk-ant-oat01…" in trail
            assert "verdict" in trail
            changes = page.view("Changes")
            assert '"model": "glm-5"' in changes
            page.pane("Response")
            answer = page.view("Answer")
            assert "Let me see." in answer
            assert "command: echo hi" in answer
            for secret in gateway.secrets():
                assert secret.value not in page.driver.page_source
