"""The Conversation view: a request as a person reads it.

content_blocks.py is tested here too.
"""

import base64
import gzip
import json

from hypothesis import given
from hypothesis import strategies as st

from addons.state.attempt import Kept
from addons.views import conversation
from addons.wire.provenance import encode_tool_id
from tests.client_messages import assistant, system, text, thinking, tool_result, tool_use, user
from tests.exchanges import exchange, target
from tests.views.looked_at import Watched, section
from tests.views.test_image_size import PNG
from tests.wire.bodies import request

EPHEMERAL = {"type": "ephemeral"}


def shown(*messages, **fields):
    return conversation.render(Watched("zai", body=request(*messages, **fields)).exchange)


def message(*blocks, number=0):
    return section(shown(*[user(text("hi"))] * number, user(*blocks)), f"{number} · user")


def test_the_head_names_model_and_parameters():
    lines = shown("hi", max_tokens=32000, thinking={"type": "adaptive"}, stream=True).split("\n")
    body = json.dumps(request("hi", max_tokens=32000, thinking={"type": "adaptive"}, stream=True))
    assert lines[:4] == [
        f"glm · 1 message · {len(body)} bytes",
        'max_tokens: 32000 · thinking: {"type": "adaptive"} · stream: true',
        "",
        lines[3],
    ]
    assert lines[3].startswith("── 0 · user · the last ──")


def test_the_newest_message_comes_first_and_the_system_prompt_last():
    said = shown("one", assistant(text("two")), "three", system="Be brief.", tools=[{"name": "Bash"}])
    titles = [line.strip("─ ") for line in said.split("\n") if line.startswith("── ")]
    assert [title.partition(" · ")[0] for title in titles] == ["2", "earlier", "1", "0", "tools", "system"]
    assert titles[:2] == ["2 · user · the last", "earlier · 2 messages, the newest first"]


def test_the_last_message_is_on_the_first_page_of_any_conversation():
    said = shown(*["line\n" * 400] * 200, "and now this", system="rule\n" * 5000)
    assert "  and now this" in said.split("\n")[:10]


def test_the_system_prompt_is_folded():
    prompt = [text("You are Claude Code.", cache_control=EPHEMERAL | {"ttl": "1h"}), text("rule\n" * 1000)]
    lines = section(shown("hi", system=prompt), "system · 2 blocks · 5,020 characters")
    assert lines[:3] == ["You are Claude Code.  ⚑ cache 1h", "", "rule"]
    assert lines[-1].endswith("more characters")
    assert len(lines) < 130


def test_a_system_prompt_may_be_a_string():
    assert section(shown("hi", system="Be brief."), "system · 1 block") == ["Be brief."]


def test_tools_by_name():
    tools = [
        {"name": "Bash", "input_schema": {}},
        {"name": "Grep", "defer_loading": True},
        {"type": "web_search_20250305", "name": "web_search"},
        {"type": "bash_20250124", "name": "bash", "cache_control": EPHEMERAL},
        {"type": "custom", "name": "Read"},
    ]
    assert section(shown("hi", tools=tools), "tools · 5") == [
        "Bash, Grep (deferred), web_search (server: web_search_20250305), bash (bash_20250124, ⚑ cache), Read"
    ]


def test_messages_with_number_and_role():
    said = shown("question", assistant(text("answer")), system("a note"), {"role": "user", "content": "", "x": 1})
    assert section(said, "0 · user") == ["  question"]
    assert section(said, "1 · assistant") == ["  answer"]
    assert section(said, "2 · system") == ["  a note"]
    assert section(said, "3 · user") == ["  x: 1", "  (an empty text)"]


def test_whose_thinking_it_is():
    blocks = [
        thinking("EqQBabc"),
        thinking("gw1.zai.abc"),
        thinking("gw1.kimi."),
        thinking(None),
        {"type": "redacted_thinking", "data": "x"},
    ]
    assert section(shown("hi", assistant(*blocks)), "1 · assistant") == [
        "  [thinking · 2 characters · signed by Anthropic]",
        "    hm",
        "",
        "  [thinking · 2 characters · signed, of zai (gw1)]",
        "    hm",
        "",
        "  [thinking · 2 characters · unsigned, of kimi (gw1)]",
        "    hm",
        "",
        "  [thinking · 2 characters · unsigned]",
        "    hm",
        "",
        "  [redacted thinking · signed by Anthropic]",
    ]


def test_a_tool_call_with_its_arguments():
    call = tool_use(
        name="Edit", input={"file": "a.py", "old": "def f():\n    pass\n", "lines": [1, 2], "opts": {"all": True}}
    )
    assert section(shown("hi", assistant(call)), "1 · assistant") == [
        "  [tool call · Edit · toolu_1]",
        "    file: a.py",
        "    old: |",
        "      def f():",
        "          pass",
        "",
        "    lines: [1, 2]",
        '    opts: {"all": true}',
    ]


def test_tool_results():
    results = [
        tool_result("t1", "ok"),
        tool_result("t2", [text("bad\nworse")], is_error=True, cache_control=EPHEMERAL),
        tool_result(encode_tool_id("kimi", "functions.Bash:0"), []),
    ]
    assert message(*results) == [
        "  [tool result · t1]",
        "    ok",
        "",
        "  [tool result · t2 · error]  ⚑ cache",
        "    bad",
        "    worse",
        "",
        "  [tool result · functions.Bash:0 of kimi (gw1)]",
        "    (no content)",
    ]


def test_images_and_documents():
    data = base64.b64encode(PNG).decode()
    blocks = [
        {
            "type": "image",
            "source": {"type": "base64", "media_type": "image/png", "data": data},
            "cache_control": EPHEMERAL,
        },
        {"type": "image", "source": {"type": "url", "url": "https://x.test/a.png"}},
        {
            "type": "document",
            "title": "Plan",
            "source": {"type": "base64", "media_type": "application/pdf", "data": data},
        },
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "a text"}},
    ]
    assert message(*blocks) == [
        f"  [image · image/png · 640 × 480 · {len(PNG)} bytes]  ⚑ cache",
        "",
        "  [image]",
        "    type: url",
        "    url: https://x.test/a.png",
        "",
        f"  [document · application/pdf · Plan · {len(PNG)} bytes]",
        "",
        "  [document · text/plain · 6 characters]",
        "    a text",
    ]


def test_an_odd_block_is_json():
    assert message({"type": "container_upload", "file_id": "f1"}) == [
        "  {",
        '    "type": "container_upload",',
        '    "file_id": "f1"',
        "  }",
    ]


def test_the_last_message_is_shown_at_length():
    said = shown("word " * 2000, "word " * 2000)
    assert len(section(said, "0 · user")[0]) < 4_100
    assert len(section(said, "1 · user")[0]) > 9_000


def test_the_longer_a_conversation_the_less_of_each_text():
    said = shown(*["word " * 1000] * 400)
    assert len(said) < 200_000
    assert section(said, "0 · user")[-1].endswith("more characters")
    assert len(section(said, "395 · user")[0]) > 10 * len(section(said, "0 · user")[0])


def test_the_middle_of_an_endless_conversation_is_left_out():
    said = shown(*[f"message {n}" for n in range(600)])
    assert "… 380 messages not shown" in said
    assert "message 19\n" in said
    assert "message 20\n" not in said
    assert "message 400\n" in said
    assert "message 599" in said
    order = [said.index(f"message {number}") for number in (599, 400, 19, 0)]
    assert order == sorted(order)
    assert order[1] < said.index("… 380 messages not shown") < order[2]


def test_a_compressed_request():
    watched = Watched("zai")
    asked = watched.exchange.recorded.request
    assert asked
    watched.exchange.recorded.request = Kept(
        asked.first_line, (("Content-Encoding", "gzip"),), bytearray(gzip.compress(asked.body))
    )
    assert section(conversation.render(watched.exchange), "0 · user") == ["  hi"]


def test_a_body_that_is_no_json_says_so():
    said = conversation.render(Watched("zai", body=b'{"model": "glm", "messages": [').exchange)
    assert said.startswith("The body (30 bytes) is not valid JSON: ")
    assert said.endswith('\n\n{"model": "glm", "messages": [')


def test_json_of_another_shape():
    assert conversation.render_body(b"[1]") == "The body (3 bytes) is JSON, but no object\n\n[1]"
    assert section(conversation.render_body(b'{"messages": "x", "tools": 1}'), "tools") == ["1"]


def test_a_request_that_nobody_watched():
    made = exchange(target("zai"))
    assert conversation.render(made).startswith("asked · ")
    made.body = None
    assert conversation.render(made) == "The client's request was not kept."


KINDS = [
    "text",
    "thinking",
    "redacted_thinking",
    "tool_use",
    "tool_result",
    "image",
    "document",
    "web_search_tool_result",
]
KEYS = (
    "type role content text thinking signature data id name input tool_use_id source media_type cache_control is_error"
)
KEYS += " model messages system tools defer_loading title citations"
ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=9)
    | st.sampled_from(KINDS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS.split()), inner, max_size=4),
    max_leaves=20,
)


@given(ANYTHING)
def test_any_json_at_all(value):
    assert conversation.render_body(json.dumps(value).encode())


@given(ANYTHING)
def test_any_message_at_all(value):
    conversation.render_body(json.dumps({"messages": [value, {"role": "user", "content": [value]}]}).encode())


@given(st.binary())
def test_any_bytes_at_all(data):
    conversation.render_body(data)


def test_deeper_than_anybody_nests():
    deep = b'{"messages": [{"role": "user", "content": %b1%b}]}'
    for opening, closing in (
        (b"[", b"]"),
        (b'[{"type":"tool_result","tool_use_id":"t","content":', b"}]"),
        (b'{"a":', b"}"),
    ):
        conversation.render_body(deep % (opening * 900, closing * 900))
        conversation.render_body(deep % (opening * 90_000, closing * 90_000))
