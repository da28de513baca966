"""A body is read to the same end whether anything of it is known or not.

parsing.py is tested here too.
"""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from addons.wire.errors import BadRequest
from addons.wire.messages import reading as recall
from addons.wire.messages.body import Draft, RequestBody
from addons.wire.messages.memory import Memory
from addons.wire.messages.parsing import parse
from addons.wire.steps.context import Context
from addons.wire.steps.table import apply
from tests.client_messages import assistant, text, thinking, tool_result, tool_use, user
from tests.wire.any_body import compact, message, messages, spelled, tool, top_level
from tests.wire.bodies import ANTHROPIC, KIMI, ZAI, request

CACHE = {"type": "ephemeral"}
BILLING = [text(f"x-anthropic-billing-header: {number};") for number in range(9)]
SYSTEM = [text("You are Claude Code", cache_control=CACHE), text("s" * 100, cache_control=CACHE)]
TOOLS = [{"name": "Bash", "input_schema": {}}, {"name": "Read", "input_schema": {}, "defer_loading": True}]
CONTEXTS = (ANTHROPIC, ZAI, KIMI, Context(provider="zai", is_anthropic=False, drop_all_thinking=True))


@pytest.fixture(autouse=True)
def memories(monkeypatch):
    """Empty ones, and for the smallest texts too."""
    monkeypatch.setattr(recall, "LEAST", 1)
    monkeypatch.setattr(recall, "LEAST_ARRAY", 1)
    return forget(monkeypatch)


def forget(monkeypatch):
    for name in recall.MEMORIES:
        monkeypatch.setitem(recall.MEMORIES, name, Memory[Any](4))


def claude_code(*said: Any, number: int = 0, tools: Any = TOOLS, **fields: Any) -> dict[str, Any]:
    """As Claude Code writes it: in this order, with a cache_control on the last message."""
    written = request(*said)["messages"]
    last = written[-1]
    blocks = [text(last["content"])] if isinstance(last["content"], str) else last["content"]
    written[-1] = last | {"content": [*blocks[:-1], blocks[-1] | {"cache_control": CACHE}]}
    body = {"model": "glm", "messages": written, "system": [BILLING[number], *SYSTEM], "tools": tools}
    return body | {"metadata": {"user_id": "x"}, "max_tokens": 32000, "stream": True} | fields


STORY: list[Any] = ["hi"]
for turn in range(4):
    STORY.append(assistant(thinking(f"gw1.zai.s{turn}"), text("a"), tool_use(f"toolu_{turn}")))
    STORY.append(user(tool_result(f"toolu_{turn}", "é" * 50)))


def known(body: RequestBody) -> int:
    return len(body.messages.text.known.ends)


def outcome(body: RequestBody, context: Context) -> Any:
    """All that there is to see of a body."""
    draft = Draft(body)
    lines = apply(draft, context, {})
    shown = [
        (message.role, message.text, [block.type for block in message.blocks], bytes(message.raw))
        for message in body.messages
    ]
    fields = {name: bytes(piece) for name, piece in body.fields.items()}
    traits = [body.messages.with_trait(name) for name in ("thinking", "empty text", "tool ids", "cache control")]
    return lines, draft.encode(), body.raw, body.model, body.stream, shown, fields, traits


def same_as_unknown(data: bytes, monkeypatch) -> RequestBody:
    """The body as it is read now. What is seen of it must be what is seen when nothing is known."""
    body = RequestBody.parse(data)
    seen = [outcome(body, context) for context in CONTEXTS]
    with monkeypatch.context() as patch:
        forget(patch)
        assert seen == [outcome(RequestBody.parse(data), context) for context in CONTEXTS]
    return body


def test_a_conversation_goes_on(monkeypatch):
    counts = []
    for number, length in enumerate(range(1, len(STORY) + 1, 2)):
        body = same_as_unknown(compact(claude_code(*STORY[:length], number=number)), monkeypatch)
        counts.append(known(body))
    assert counts == [0, 0, 2, 4, 6], "all but the last, which had a cache_control"
    assert RequestBody.parse(body.raw).messages.text.known.thoughts.signatures[5]
    assert [len(memory) for memory in recall.MEMORIES.values()] == [1, 1, 1]


def test_only_what_is_new_is_parsed(monkeypatch):
    RequestBody.parse(compact(claude_code(*STORY)))
    parsed: list[bytes] = []

    def spy(data):
        parsed.append(data)
        return parse(data)

    monkeypatch.setattr(recall, "parse", spy)
    body = same_as_unknown(compact(claude_code(*STORY, assistant(text("new")), "more", number=1)), monkeypatch)
    assert known(body) == len(STORY) - 1
    first = parsed[0].decode()
    assert "new" in first
    assert "toolu_3" in first
    assert all(words not in first for words in ("toolu_2", "Claude Code", "Bash"))


def test_thinking_that_is_known_is_cut_out_of_the_text(monkeypatch):
    RequestBody.parse(compact(claude_code(*STORY)))
    draft = Draft(same_as_unknown(compact(claude_code(*STORY)), monkeypatch))
    assert dict(apply(draft, ZAI, {}))["thinking"] == "gave 4 thinking blocks back to zai"
    assert all(isinstance(edition, tuple) for edition in draft.messages._edited.values())
    assert json.loads(draft.encode())["messages"][1]["content"][0] == thinking("s0")
    assert draft.messages[1].blocks[0].type == "thinking"


PLAIN = b'{"type":"thinking","thinking":"t","signature":"gw1.zai.s"}'
WORDS = b'{"type":"text","text":"a"}'


@pytest.mark.parametrize(
    ("message", "is_plain"),
    [
        (b'{"role":"assistant","content":[%b,%b]}' % (PLAIN, WORDS), True),
        (b'{"role":"assistant","content":[{"type":"redacted_thinking","data":"gw1.zai.s"},%b]}' % WORDS, True),
        (b'{"role":"assistant","content":[%b,%b],"id":1}' % (PLAIN, WORDS), True),
        (b'{"role":"assistant","content":[%b]}' % PLAIN, False),
        (b'{"role":"assistant","content":[%b,%b]}' % (WORDS, PLAIN), False),
        (b'{"role":"assistant","content":[%b,%b,%b]}' % (PLAIN, PLAIN.replace(b".s", b".t"), WORDS), False),
        (b'{"content":[%b,%b],"role":"assistant"}' % (PLAIN, WORDS), False),
        (b'{"role":"assistant","content":[ %b,%b]}' % (PLAIN, WORDS), False),
        (b'{"role":"assistant","content":[%b ,%b]}' % (PLAIN, WORDS), False),
        (b'{"role":"assistant","content":[%b,%b],"content":[%b,%b]}' % (PLAIN, WORDS, PLAIN, WORDS), False),
        (
            b'{"role":"assistant","content":[%b,%b],"content":[%b,%b]}'
            % (PLAIN, WORDS, PLAIN.replace(b".s", b".t"), WORDS),
            False,
        ),
        (b'{"role":"assistant","content":[%b,{"type":"text","text":"gw1.zai.s"}]}' % PLAIN, False),
        (b'{"role":"assistant","content":[{"signature":"gw1.zai.s","type":"thinking"},%b]}' % WORDS, False),
        (b'{"role":"assistant","content":[%b,%b]}' % (PLAIN.replace(b'"}', b'","a":1}'), WORDS), False),
        (b'{"role":"assistant","content":[%b,%b]}' % (PLAIN.replace(b'"}', b'","signature":"x"}'), WORDS), False),
        (b'{"role":"assistant","content":[%b,%b]}' % (PLAIN.replace(b".s", rb".\u0073"), WORDS), False),
        (b'{"role":"assistant","content":[%b,%b]}' % (PLAIN.replace(b"gw1.zai.s", b""), WORDS), False),
        (b'{"role":"assistant","content":[%b,%b]}' % (PLAIN.replace(b'"gw1.zai.s"', b"314"), WORDS), False),
    ],
)
def test_where_thinking_stands_is_known_of_plain_messages(monkeypatch, message, is_plain):
    data = compact(claude_code("a", "@", "b", "c", "d")).replace(b'{"role":"user","content":"@"}', message)
    RequestBody.parse(data)
    body = same_as_unknown(data, monkeypatch)
    assert known(body) == 4
    assert bool(body.messages.text.known.thoughts.signatures[1]) == is_plain


@pytest.mark.parametrize("marks", [1, 2, 3])
def test_a_cache_control_that_moves_on_keeps_nothing_from_being_known(monkeypatch, marks):
    def marked(length):
        said = json.loads(json.dumps(request(*STORY[:length])["messages"]))
        for one in [one for one in said if one["role"] == "user" and isinstance(one["content"], list)][-marks:]:
            one["content"][0]["cache_control"] = CACHE
        return compact({"model": "glm", "messages": said})

    for length in (7, 9):
        body = same_as_unknown(marked(length), monkeypatch)
    assert known(body) >= 2


def test_two_conversations_with_the_same_beginning(monkeypatch):
    first = [*STORY, assistant(text("b")), "c", assistant(text("d")), "e"]
    second = [*STORY[:5], assistant(text("other")), "words", assistant(text("more")), "x"]
    for length in (5, 7, 9):
        one = same_as_unknown(compact(claude_code(*first[:length])), monkeypatch)
        two = same_as_unknown(compact(claude_code(*second[:length])), monkeypatch)
    assert (known(one), known(two)) == (6, 6)


def test_other_tools_and_another_system(monkeypatch):
    RequestBody.parse(compact(claude_code(*STORY)))
    for tools in (TOOLS[:1], [*TOOLS, {"name": "new", "type": "bash_2025"}], [], None, [3]):
        assert known(same_as_unknown(compact(claude_code(*STORY, tools=tools)), monkeypatch)) == len(STORY) - 1
    for system in ("s", [], None, [BILLING[0]], [*SYSTEM, *SYSTEM], [BILLING[0], *SYSTEM, text(" ")], [text("")]):
        body = same_as_unknown(compact(claude_code(*STORY) | {"system": system}), monkeypatch)
        assert known(body) == len(STORY) - 1


def test_with_white_space_nothing_is_remembered(monkeypatch):
    body = claude_code(*STORY)
    for data in (json.dumps(body).encode(), compact(body).replace(b"},{", b"}, {"), b" " + compact(body)):
        RequestBody.parse(data)
        assert known(same_as_unknown(data, monkeypatch)) == 0


def test_a_lone_surrogate_is_repaired_all_the_same(monkeypatch):
    RequestBody.parse(compact(claude_code(*STORY)))
    data = compact(claude_code(*STORY, assistant(text("cut @")), "b")).replace(b"@", rb"\ud83d")
    body = same_as_unknown(data, monkeypatch)
    assert (body.repaired, known(body)) == (1, 0)
    assert rb"cut \ufffd" in body.raw


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda data: data[:-1], "not valid JSON: Input data was truncated"),
        (lambda data: data.replace(b'"more"', b"'more'"), "not valid JSON: "),
        (lambda data: data.replace(b"more", b"\xff"), "it is not UTF-8"),
        (lambda data: data.replace(b'"text":"more"', b'"type":3'), "messages.10.content.0.type: must be a string"),
        (lambda data: data.replace(b'"model":"glm"', b'"mode1":"glm"'), "model: is missing"),
        (lambda data: data.replace(b'"stream":true', b'"stream":1234'), "stream: must be true or false"),
    ],
)
def test_what_is_wrong_with_the_rest_is_said_in_the_same_words(change, words):
    data = compact(claude_code(*STORY))
    RequestBody.parse(data)
    with pytest.raises(BadRequest, match=words):
        RequestBody.parse(change(compact(claude_code(*STORY, assistant(text("a")), "more"))))


START = b'{"model":"glm","messages":['


def twice(data: bytes) -> bytes:
    return data[:-1] + b',"messages":[{"role":"user","content":"the last one counts"}]}'


def in_a_string(data: bytes) -> bytes:
    return START.replace(b'l"', b'\\"', 1) + data[len(START) :]


def inside(data: bytes) -> bytes:
    before = b'{"messages":['
    return b'{"x":'.ljust(len(START) - len(before)) + before + data[len(START) :] + b',"model":"m","messages":[]}'


def without_its_first(data: bytes) -> bytes:
    return data.replace(b'[{"role":"user","content":"hi"}', b'[["role","user","content","hi"]', 1)


@pytest.mark.parametrize("change", [twice, in_a_string, inside, without_its_first])
def test_the_same_text_elsewhere_is_something_else(monkeypatch, change):
    data = compact(claude_code(*STORY))
    RequestBody.parse(data)
    changed = change(data)
    try:
        body = same_as_unknown(changed, monkeypatch)
    except BadRequest as error:
        forget(monkeypatch)
        with pytest.raises(BadRequest, match=str(error).partition(" (byte")[0]):
            RequestBody.parse(changed)
    else:
        assert known(body) == 0
        json.loads(changed)


@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(top_level, st.lists(message(), min_size=1, max_size=6), st.lists(messages, min_size=1, max_size=3), st.data())
def test_any_conversation_goes_on(monkeypatch, fields, said, turns, data):
    forget(monkeypatch)
    for turn in [[], *turns]:
        said = [*said, *turn]
        body = {**fields, "messages": said}
        is_odd = data.draw(st.integers(1, 9)) == 9
        same_as_unknown(data.draw(spelled(body)) if is_odd else compact(body), monkeypatch)
        change = data.draw(st.integers(1, 12))
        if change == 1:
            fields = {**fields, "tools": [data.draw(tool)]}
        elif change == 2:
            fields = dict(reversed(fields.items()))
        elif change == 3:
            said[data.draw(st.integers(0, len(said) - 1))] = data.draw(message())
