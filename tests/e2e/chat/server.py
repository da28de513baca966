"""Scripted servers that speak Chat Completions, and routes to them.

Rule of this file: a server is strict: it refuses what a strict one would, which fails the test.
"""

from typing import Any

from tests.e2e.conftest import Providers
from tests.fakes.request import Request
from tests.fakes.scripts import Answer, Reply
from tests.wire.chat.chat_checker import check
from tests.wire.chat.dialects import DIALECTS, Dialect, Said

CHAT_KEY = "chat-key-0123456789abcdef"
MODEL = "local"
OPENAI = DIALECTS["openai"]


def with_chat(routing: dict[str, Any], providers: Providers) -> dict[str, Any]:
    """The routing with the models `local` (a chat provider with everything), `hidden` (that strips thinking),
    `second` (another chat provider) and `backed` (the first, with the second behind it)."""
    chat = {"base_url": f"{providers.kimi.url}/v1", "format": "openai-chat", "auth": "bearer", "api_key": "${CHAT_KEY}"}
    second = {"base_url": f"{providers.openrouter.url}/v1", "format": "openai-chat", "auth": "none"}
    beta = "interleaved-thinking-2025-05-14"
    more = {"chat": {**chat, "betas": [beta]}, "hidden": {**chat, "thinking": "strip"}, "second": second}
    models = {
        MODEL: {"provider": "chat", "model": "qwen3-coder:30b", "max_output_tokens": 50},
        "hidden": "hidden/m",
        "second": "second/m",
        "backed": "chat/backed",
    }
    return {
        **routing,
        "providers": {**routing["providers"], **more},
        "models": {**routing["models"], **models},
        "fallbacks": {**routing["fallbacks"], "backed": ["second"]},
        "failover": {**routing["failover"], "retries": 0, "cooldown": 0},
    }


def answers(said: Said, dialect: Dialect = OPENAI) -> Reply:
    """The answer as this dialect says it, streamed if that is asked for."""

    def reply(request: Request) -> Answer:
        check(request.json)
        if request.stream:
            headers = (("content-type", dialect.content_type),)
            return Answer(headers=headers, pieces=tuple(dialect.events(dialect.can_say(said))), framing="chunked")
        body = dialect.body(dialect.can_say(said))
        return Answer(headers=(("content-type", "application/json"),), pieces=(body,))

    return reply
