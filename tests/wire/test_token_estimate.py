"""The estimate of input tokens, against counts of two real vocabularies."""

import base64
import json
import struct
from time import thread_time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from addons.wire import raw_json
from addons.wire.messages.body import RequestBody
from addons.wire.token_estimate import IMAGE_TOKENS, PAGE_TOKENS, at_most, estimate, estimate_messages, image_tokens
from addons.wire.token_estimate import estimate_request as estimate_fields
from tests.client_messages import user

PROSE = """
When a gateway sits between a person and a model, the first thing it owes that person is the truth about what
happened. A request that was answered by another provider must say so. A request that failed must say why, in the
words of whoever refused it, and must say it soon enough for something to be done. Everything else follows from
this: retries that hide a broken credential are worse than an error, and a fallback nobody can see is a change of
model that nobody agreed to. The second thing is not to get in the way. Most of the time there is nothing to do but
to pass bytes along, and the best gateway is the one whose owner forgets that it is running.

It helps to think of the conversation as a letter that is copied by several clerks. Each clerk may correct the
address, and one of them puts a stamp on the envelope, but none of them may rewrite the letter. If a clerk cannot
read a page, the page is not thrown away; it is set aside and handed on as it is. People who have run such systems
for years tell the same story: the bugs that hurt were never in the clever parts. They were in the places where
somebody tidied up something that was not theirs.
"""

PYTHON = '''
class Splitter:
    """Splits a byte stream into server-sent events, whatever the sizes of the pieces that arrive."""

    def __init__(self, limit: int = 16 * 1024 * 1024) -> None:
        self.buffer = bytearray()
        self.limit = limit
        self.searched = 0

    def feed(self, data: bytes) -> list[Event]:
        self.buffer += data
        events: list[Event] = []
        while (end := self.find_end()) is not None:
            start, stop = end
            raw = bytes(self.buffer[:stop])
            del self.buffer[:stop]
            self.searched = 0
            if event := parse_event(raw[:start]):
                events.append(event)
        if len(self.buffer) > self.limit:
            raise EventTooLong(f"an event of more than {self.limit} bytes")
        return events

    def find_end(self) -> tuple[int, int] | None:
        for index in range(self.searched, len(self.buffer) - 1):
            if self.buffer[index : index + 2] == b"\\n\\n":
                return index, index + 2
            if self.buffer[index : index + 4] == b"\\r\\n\\r\\n":
                return index, index + 4
        self.searched = max(0, len(self.buffer) - 3)
        return None


def parse_event(raw: bytes) -> Event | None:
    name, data = "message", []
    for line in raw.splitlines():
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"event":
            name = value.decode("utf-8", "replace")
        elif field == b"data":
            data.append(value)
    return Event(name, b"\\n".join(data)) if data else None
'''

TYPESCRIPT = """
export async function fetchWithRetry(url: string, init: RequestInit, retries = 3): Promise<Response> {
  let lastError: unknown;
  for (let attempt = 0; attempt <= retries; attempt++) {
    try {
      const response = await fetch(url, { ...init, signal: AbortSignal.timeout(30_000) });
      if (response.ok || !RETRYABLE_STATUS_CODES.has(response.status)) {
        return response;
      }
      lastError = new HttpError(response.status, await response.text());
      const retryAfter = Number(response.headers.get("retry-after"));
      await sleep(Number.isFinite(retryAfter) ? retryAfter * 1000 : backoffDelay(attempt));
    } catch (error) {
      lastError = error;
      if (error instanceof DOMException && error.name === "AbortError") throw error;
      await sleep(backoffDelay(attempt));
    }
  }
  throw lastError;
}

function backoffDelay(attempt: number): number {
  const base = Math.min(1000 * 2 ** attempt, 32_000);
  return base + Math.random() * base * 0.25;
}
"""

TOOL = json.dumps(
    {
        "name": "Bash",
        "description": "Executes a given bash command and returns its output. The working directory persists "
        "between commands, but shell state does not. The shell environment is initialized from the profile.",
        "input_schema": {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": {
                "command": {"description": "The command to execute", "type": "string"},
                "timeout": {"description": "Optional timeout in milliseconds (max 600000)", "type": "number"},
                "description": {"description": "What this command does, in a few words", "type": "string"},
                "run_in_background": {"description": "Set to true to run in the background", "type": "boolean"},
                "dangerouslyDisableSandbox": {"description": "Override sandbox mode", "type": "boolean"},
            },
            "required": ["command"],
            "additionalProperties": False,
        },
    }
)

LISTING = """
drwxr-xr-x  7 builder builder   4096 Nov 12 09:14 .
drwxr-xr-x 12 builder builder   4096 Nov 10 17:02 ..
-rw-r--r--  1 builder builder   1843 Nov 12 09:14 pyproject.toml
-rw-r--r--  1 builder builder  20117 Nov 11 22:41 README.md
-rwxr-xr-x  1 builder builder   3310 Nov 11 22:41 run.sh
drwxr-xr-x  3 builder builder   4096 Nov 12 08:55 addons
drwxr-xr-x  4 builder builder   4096 Nov 12 08:55 tests
$ python -m pytest tests/wire -q
........................................................................ [ 33%]
........................................................................ [ 66%]
.......................................................................  [100%]
215 passed in 3.42s
diff --git a/addons/pool.py b/addons/pool.py
index 7a1c9f2..e03b551 100644
--- a/addons/pool.py
+++ b/addons/pool.py
@@ -118,7 +118,7 @@ class TokenPool:
-        start = self.tokens.index(self.last) + 1
+        start = self.tokens.index(self.last) + 1 if self.last in self.tokens else 0
"""

CHINESE = """
人工智能的发展正在改变软件工程的方式。开发者可以使用大型语言模型来编写、审查和重构代码，同时保持对系统架构的控制。
请检查以下函数是否存在并发问题，并给出修改建议：首先，确认锁的获取顺序；其次，检查是否有未释放的资源；最后，补充单元测试。
这个错误是由于配置文件中缺少必要的字段引起的，请在重新启动服务之前修改配置。网关会把请求转发给上游服务，并在失败时自动切换到备用模型。
"""

# Counted with Anthropic's published vocabulary (@anthropic-ai/tokenizer, ai-tokenizer) and with OpenAI's o200k.
COUNTED = {
    "prose": (PROSE, 266, 265, 0.15),
    "python": (PYTHON, 424, 402, 0.15),
    "typescript": (TYPESCRIPT, 263, 245, 0.15),
    "json": (TOOL, 200, 197, 0.15),
    "listing": (LISTING, 303, 313, 0.25),
    "chinese": (CHINESE, 179, 125, 0.33),
}


@pytest.mark.parametrize(("text", "anthropic", "openai", "tolerance"), COUNTED.values(), ids=COUNTED)
def test_the_estimate_is_near_what_real_vocabularies_count(text, anthropic, openai, tolerance):
    assert estimate(text) == pytest.approx(anthropic, rel=tolerance)
    assert estimate(text) == pytest.approx(openai, rel=tolerance)


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        ("x" + " " * 3000, 1, 30),  # 7
        ("=" * 3000, 40, 1000),  # 48
        ("0123456789abcdef" * 500, 3000, 8000),  # hex of 8,000 characters: about 4,600
        (base64.b64encode(bytes(range(256)) * 24).decode(), 3500, 6500),
        ("🎉🚀✅🔥" * 40, 250, 600),
    ],
)
def test_strange_texts_are_in_the_right_order_of_magnitude(text, least, most):
    assert least <= estimate(text) <= most


def test_nothing_is_no_token_and_anything_is_one():
    assert estimate("") == 0
    assert estimate("a") == 1
    assert estimate(" ") == 1
    assert estimate("\ud83d") == 1


@given(st.text())
def test_no_text_raises_and_each_has_a_token(text):
    assert estimate(text) >= (1 if text else 0)


def test_200_kilobytes_take_milliseconds():
    text = (PYTHON + PROSE + TOOL) * 60
    assert len(text) > 200_000
    times = []
    for _ in range(10):
        started = thread_time()
        estimate(text)
        times.append(thread_time() - started)
    assert min(times) < 0.05  # about 4 ms; the rest is for a slow machine


def estimate_request(**fields):
    return estimate_fields({name: raw_json.dump(value) for name, value in fields.items()})


def test_a_parsed_body_is_counted_as_it_is():
    body = {"model": "glm", "max_tokens": 5, "system": PROSE, "messages": [{"role": "user", "content": "Hi"}]}
    fields = RequestBody.parse(json.dumps(body).encode()).fields
    assert estimate_fields(fields) == estimate_request(system=body["system"], messages=body["messages"])


def test_a_request_counts_its_system_its_messages_and_its_tools():
    bare = estimate_request(messages=[{"role": "user", "content": "Hi"}])
    assert 1 < bare < 12
    with_system = estimate_request(system=PROSE, messages=[{"role": "user", "content": "Hi"}])
    assert with_system - bare == pytest.approx(estimate(PROSE), abs=3)
    in_blocks = [{"type": "text", "text": PROSE, "cache_control": {"type": "ephemeral"}}]
    assert estimate_request(system=in_blocks, messages=[{"role": "user", "content": "Hi"}]) == with_system
    with_tool = estimate_request(messages=[{"role": "user", "content": "Hi"}], tools=[json.loads(TOOL)])
    assert with_tool - bare > estimate(TOOL) * 0.9


@pytest.mark.parametrize(
    "block",
    [
        {"type": "text", "text": PROSE},
        {"type": "thinking", "thinking": PROSE, "signature": "x" * 5000},
        {"type": "tool_use", "id": "toolu_1", "name": "Write", "input": {"content": PROSE}},
        {"type": "tool_result", "tool_use_id": "toolu_1", "content": PROSE},
        {"type": "tool_result", "tool_use_id": "toolu_1", "content": [{"type": "text", "text": PROSE}]},
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": PROSE}},
        {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": PROSE}]}},
        {"type": "something_new", "text": PROSE},
    ],
)
def test_every_block_counts_its_text(block):
    assert estimate_request(messages=[user(block)]) == pytest.approx(estimate(PROSE), rel=0.15)


def test_redacted_thinking_costs_nothing():
    block = {"type": "redacted_thinking", "data": "x" * 9000}
    assert estimate_request(messages=[user(block)]) == estimate_request(messages=[user()])


def test_a_pdf_is_counted_by_its_size():
    source = {"type": "base64", "media_type": "application/pdf", "data": "A" * 200_000}
    assert estimate_request(messages=[user({"type": "document", "source": source})]) == pytest.approx(
        3 * PAGE_TOKENS, rel=0.01
    )


def png(width, height):
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", width, height) + b"\x08\x06\x00\x00\x00"


def jpeg(width, height, metadata=b""):
    segments = b"\xff\xe1" + struct.pack(">H", 2 + len(metadata)) + metadata
    tables = b"\xff\xff\xdb" + struct.pack(">H", 4) + b"\x00\x00"
    return b"\xff\xd8" + segments + tables + b"\xff\xc2" + struct.pack(">HBHHB", 11, 8, height, width, 3) + b"\x00" * 50


def source_of(data):
    return {"type": "base64", "media_type": "image/png", "data": base64.b64encode(data).decode()}


@pytest.mark.parametrize(
    ("width", "height", "tokens"),
    [(200, 200, 54), (1000, 1000, 1334), (1092, 1092, 1590), (8000, 8000, 1600), (3136, 100, 105), (1, 1, 1)],
)
@pytest.mark.parametrize("picture", [png, jpeg])
def test_an_image_costs_its_pixels_after_scaling_down(picture, width, height, tokens):
    assert image_tokens(source_of(picture(width, height) + b"pixels" * 999)) == tokens


def test_a_jpegs_size_behind_its_metadata_is_found():
    assert image_tokens(source_of(jpeg(200, 200, b"EXIF" * 10_000))) == 54


@pytest.mark.parametrize(
    "source",
    [
        {"type": "url", "url": "https://example.com/x.png"},
        {"type": "base64", "data": "not base64 at all!"},
        {"type": "base64", "data": "é"},
        {"type": "base64", "data": 5},
        source_of(b"GIF89a" + b"\x00" * 50),
        source_of(b"\x89PNG\r\n\x1a\n"),
        source_of(png(0, 5)),
        source_of(b"\xff\xd8\xff\xe0\x00\x00"),
        source_of(jpeg(5, 5)[:20]),
        None,
    ],
)
def test_an_image_of_unknown_size_costs_the_most(source):
    assert image_tokens(source) == IMAGE_TOKENS


def test_an_image_in_a_tools_result_counts_as_an_image():
    result = {
        "type": "tool_result",
        "content": [{"type": "image", "source": source_of(png(1000, 1000) + b"x" * 90_000)}],
    }
    assert estimate_request(messages=[user(result)]) == pytest.approx(1334, abs=10)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "text", "content", "source", "data", "input", "name", "title"]),
            inner | st.sampled_from(["text", "image", "document", "tool_result", "tool_use", "base64", "content"]),
            max_size=4,
        )
    ),
    max_leaves=15,
)


@given(json_values, json_values, json_values)
def test_no_request_raises(system, messages, tools):
    assert estimate_request(system=system, messages=messages, tools=tools) >= 0
    assert estimate_request(messages=[user(messages, system)], tools=[tools]) >= 0


@pytest.mark.parametrize("depth", [400, 100_000])
def test_deep_nesting_does_not_raise(depth):
    opening, end = b'[{"type": "tool_result", "content": ', b"}]"
    messages = Raw(b'[{"role": "user", "content": ' + opening * depth + b"1" + end * depth + b"}]")
    assert estimate_fields({"messages": messages}) >= 0


def test_what_a_request_has_grown_by() -> None:
    messages = [{"role": "user", "content": text} for text in ("one", "two and more", "three")]
    written = [Raw(json.dumps(message).encode()) for message in messages]
    assert estimate_messages([]) == 0
    assert estimate_messages(written) > estimate_messages(written[:2]) > estimate_messages(written[:1]) > 0
    assert estimate_messages([Raw(b"5"), Raw(b'{"content": [1]}')]) > 0


def test_no_request_has_more_tokens_than_it_can_have() -> None:
    picture = {"type": "image", "source": {"type": "url", "url": "https://a.test"}}
    content = [picture, {"type": "document", "source": {"type": "url", "url": "https://a.test"}}, picture]
    raw = json.dumps({"messages": [{"role": "user", "content": content}]}).encode()
    assert at_most(raw) >= estimate_request(messages=json.loads(raw)["messages"]) > 5000
