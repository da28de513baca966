"""The SDK's tool helper, which leaves the conversation to Anthropic's servers where it can: elsewhere it is told."""

from typing import Any

import anthropic as sdk
import pytest

from tests.e2e.gateway import Gateway
from tests.fakes.provider import Provider
from tests.fakes.scripts import Reply, Request, error, message, say, tool_use
from tests.received import either_way


@sdk.beta_tool(name="Bash")
def bash(command: str) -> str:
    """Runs a command."""
    return f"ran {command}"


@either_way
@pytest.mark.parametrize("model", ["glm", "claude-sonnet-5-5"])
def test_who_holds_no_conversation_gets_the_whole(
    gateway: Gateway, anthropic: Provider, zai: Provider, model: str, stream: bool
) -> None:
    """Asked directly, and as a fallback in the middle of it."""

    def claude(request: Request) -> Reply:
        return error(529, headers={"x-should-retry": "false"}) if request.number > 1 else call

    call = message(tool_use("Bash", {"command": "ls"}))
    anthropic.always(claude)
    zai.script(*[call] * (model == "glm"), say("Done."))
    loop: Any = gateway.anthropic().beta.messages.tool_runner(
        model=model, max_tokens=40, tools=[bash], messages=[{"role": "user", "content": "go"}], stream=stream
    )
    finals = [step.get_final_message() if stream else step for step in loop]
    assert finals[-1].content[0].text == "Done."
    assert [turn["role"] for turn in zai.last.messages] == ["user", "assistant", "user"]
    assert "thread" not in zai.last.fields
    if model != "glm":
        assert anthropic.requests[0].fields["thread"] == {"type": "create"}
