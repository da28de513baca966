"""The steps together: one conversation told in full, and any conversation by property.

context.py is tested here too.
"""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from addons.wire.messages.body import Draft, RequestBody
from addons.wire.provenance import encode_tool_id, wrap_signature
from addons.wire.steps.context import Context
from addons.wire.steps.table import STEP_NAMES, STEPS, apply
from tests.client_messages import assistant, system, text, thinking, tool_result, tool_use, user
from tests.wire.bodies import ANTHROPIC, KIMI, ZAI, request
from tests.wire.request_checker import Refused, check, check_ids

CACHE = {"type": "ephemeral", "ttl": "1h"}
PLAIN_CACHE = {"type": "ephemeral"}
BILLING = text("x-anthropic-billing-header: cc_version=2.1.330.abc;")
TOOL = {"name": "Bash", "input_schema": {"type": "object"}}
CONTEXTS = {"anthropic": ANTHROPIC, "zai": ZAI, "kimi": KIMI}


def claude_code(*messages: Any, mode: str | None = "adaptive") -> dict[str, Any]:
    """A request with the top-level fields of Claude Code 2.1.330."""
    budget = {"budget_tokens": 31999} if mode == "enabled" else {}
    asked = {
        "thinking": {"type": mode, "display": "omitted", **budget},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
    }
    return request(
        *messages,
        system=[BILLING, text("You are Claude Code", cache_control=CACHE)],
        tools=[TOOL, TOOL | {"name": "DeferredToolPlaceholder", "defer_loading": True}],
        metadata={"user_id": '{"session_id":"x"}'},
        max_tokens=32000,
        output_config={"effort": "high"},
        stream=True,
        **(asked if mode else {}),
    )


def for_others(*messages: Any, thinks: bool = True) -> dict[str, Any]:
    """What is left of it for another provider."""
    return request(
        *messages,
        system=[text("You are Claude Code", cache_control=PLAIN_CACHE)],
        tools=[TOOL],
        max_tokens=32000,
        stream=True,
        **({"thinking": {"type": "enabled", "budget_tokens": 31999}} if thinks else {}),
    )


def adapted(body: dict[str, Any], context: Context, **switches: bool) -> tuple[list[tuple[str, str]], dict[str, Any]]:
    draft = Draft(RequestBody.parse(json.dumps(body).encode()))
    lines = apply(draft, context, switches)
    assert (draft.encode() is draft.body.raw) == (not lines)
    return lines, json.loads(draft.encode())


def test_names_are_what_a_provider_can_switch():
    assert {step.name for step in STEPS} - {"thinking"} == STEP_NAMES
    assert len({step.name for step in STEPS}) == len(STEPS)


def test_a_conversation_of_anthropics_own_goes_there_untouched():
    body = claude_code(
        user(text("hi", cache_control=CACHE)),
        system("env"),
        assistant(thinking("native"), tool_use(caller={"type": "direct"})),
        user(tool_result(content=[{"type": "tool_reference", "tool_name": "X"}])),
    )
    assert adapted(body, ANTHROPIC) == ([], body)


def test_every_default_can_be_switched():
    body = claude_code(user(text(" "), text("hi")), system("env"))
    lines, sent = adapted(body, ZAI, **dict.fromkeys(STEP_NAMES, False))
    assert (lines, sent) == ([], body)
    lines, sent = adapted(body, ANTHROPIC, **{"metadata": True, "empty-text": False})
    assert lines == [("metadata", "dropped metadata")]
    assert sent["messages"] == body["messages"]


def test_thinking_has_no_switch():
    lines, _ = adapted(request("a", assistant(thinking("native"), text("b")), "c"), ZAI, thinking=False)
    assert lines == [("thinking", "dropped 1 thinking block (1 of Anthropic)")]


def test_the_trail_of_a_first_request_to_another_provider():
    lines, sent = adapted(claude_code("hi", system("env"), mode="adaptive"), ZAI)
    assert sent == for_others(user(text("hi"), text("<system-reminder>\nenv\n</system-reminder>")))
    assert lines == [
        ("billing-header", "dropped the billing header block of system"),
        ("context-management", "dropped context_management"),
        ("output-config", "dropped output_config"),
        ("metadata", "dropped metadata"),
        ("beta-tools", "dropped 1 tool that only Anthropic has (DeferredToolPlaceholder)"),
        ("system-messages", "1 system message became user text"),
        ("cache-control", "removed ttl and scope from 1 cache_control"),
        ("thinking-display", "dropped thinking.display"),
        ("thinking-adaptive", "adaptive thinking became a budget of 31999 tokens"),
    ]


def test_a_clamped_max_tokens_makes_the_budget():
    context = Context(provider="zai", is_anthropic=False, max_output_tokens=8192)
    _, sent = adapted(claude_code("hi"), context)
    assert (sent["max_tokens"], sent["thinking"]["budget_tokens"]) == (8192, 8191)


def test_a_replaced_surrogate_is_said():
    draft = Draft(RequestBody.parse(rb'{"model":"m","messages":[{"role":"user","content":"\ud83d"}]}'))
    assert apply(draft, ANTHROPIC, {}) == [("surrogates", "replaced 1 lone surrogate by U+FFFD")]


def test_a_tool_loop_that_was_over_stays_over():
    # Its last answer is nothing but thinking of zai and empty text.
    body = claude_code(
        "hi",
        assistant(tool_use()),
        user(tool_result()),
        assistant(thinking(wrap_signature("zai", "z")), text("")),
        user(text("next")),
        mode="enabled",
    )
    _, sent = adapted(body, ANTHROPIC)
    assert sent["messages"][3:] == [assistant(text("(no content)")), user(text("next"))]
    assert "thinking" in sent


# One tool loop that wanders: zai, kimi, Anthropic, and back.

KIMI_ID = encode_tool_id("kimi", "functions.Bash:1")
OF_ZAI = assistant(thinking(wrap_signature("zai", "z")), text("first"), tool_use("call_0"))
OF_KIMI = assistant(thinking(wrap_signature("kimi", "")), tool_use(KIMI_ID))
OF_ANTHROPIC = assistant(text("third"), tool_use("toolu_2"))
STORY: list[Any] = [
    "hi",
    OF_ZAI,
    user(tool_result("call_0")),
    OF_KIMI,
    user(tool_result(KIMI_ID), text("<system-reminder>x</system-reminder>")),
    OF_ANTHROPIC,
    user(tool_result("toolu_2")),
]


def test_the_story_at_kimi_after_zai():
    _, sent = adapted(claude_code(*STORY[:3]), KIMI)
    assert sent == for_others("hi", assistant(text("first"), tool_use("call_0")), STORY[2])


@pytest.mark.parametrize("mode", ["adaptive", "enabled"])
def test_the_story_at_anthropic_after_kimi(mode):
    lines, sent = adapted(claude_code(*STORY[:5], mode=mode), ANTHROPIC)
    expected = claude_code(
        "hi", assistant(text("first"), tool_use("call_0")), STORY[2], assistant(tool_use(KIMI_ID)), STORY[4], mode=None
    )
    assert sent == expected
    assert lines == [
        (
            "thinking",
            "dropped 2 thinking blocks (1 of kimi, 1 of zai); "
            "turned thinking off: the open tool turn has none of its own",
        )
    ]
    check(sent, is_anthropic=True, signatures=())
    check_ids(sent)


def test_the_story_back_at_zai():
    _, sent = adapted(claude_code(*STORY), ZAI)
    assert sent == for_others(
        "hi",
        assistant(thinking("z"), text("first"), tool_use("call_0")),
        STORY[2],
        assistant(tool_use(KIMI_ID)),
        *STORY[4:],
    )


def test_the_story_back_at_kimi():
    _, sent = adapted(claude_code(*STORY), KIMI)
    assert sent == for_others(
        "hi",
        assistant(text("first"), tool_use("call_0")),
        STORY[2],
        assistant(thinking(""), tool_use("functions.Bash:1")),
        user(tool_result("functions.Bash:1"), text("<system-reminder>x</system-reminder>")),
        *STORY[5:],
    )


def test_the_story_goes_on_with_thinking_after_the_turn():
    lines, sent = adapted(claude_code(*STORY, assistant(text("done")), "next"), ANTHROPIC)
    assert sent["thinking"] == {"type": "adaptive", "display": "omitted"}
    assert "context_management" in sent
    assert lines == [("thinking", "dropped 2 thinking blocks (1 of kimi, 1 of zai)")]


# Any conversation.

PROVIDERS = tuple(CONTEXTS)
NATIVE, ZAI_SIGNATURES, KIMI_SIGNATURES = ("EqQBCkg=", "ErUB"), ("z.1", ""), ("k", "")
OWN_SIGNATURES = {"anthropic": NATIVE, "zai": ZAI_SIGNATURES, "kimi": KIMI_SIGNATURES}


class Conversation:
    """A conversation as a client of the gateway would hold it, each block in a spelling of its own."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.mode = draw(st.sampled_from([None, "adaptive", "enabled"]))
        self.messages: list[dict[str, Any]] = []
        self.originals: dict[str, str] = {}
        """Encoded tool id → the provider's own."""

    def __repr__(self) -> str:
        return f"{self.mode}: {self.encoded().decode()}"

    def tool_id(self, provider: str, original: str, *, encoded: bool) -> str:
        """A new id as the client has it."""
        original = f"{original}{len(self.originals)}"
        tool_id = encode_tool_id(provider, original) if encoded else original
        self.originals[tool_id] = original
        return tool_id

    def chance(self) -> bool:
        return self.draw(st.booleans())

    def words(self) -> str:
        return self.draw(st.sampled_from(["a", 'é \\ "q" \n', "1.10", "thinking", "<system-reminder>", "😀"]))

    def spelled(self, block: dict[str, Any]) -> bytes:
        indent = self.draw(st.sampled_from([None, 1]))
        spelling = json.dumps(block, indent=indent, ensure_ascii=self.chance()).encode()
        return spelling.replace(b'"type"', b'"ty\\u0070e"', 1) if self.chance() else spelling

    def say(self, role: str, *blocks: dict[str, Any]) -> None:
        extra = [text(self.draw(st.sampled_from(["", " \n"])))] if self.chance() and role != "system" else []
        content = [*blocks[:1], *extra, *blocks[1:]] if role == "assistant" else [*blocks, *extra]
        self.messages.append({"role": role, "blocks": [(block, self.spelled(block)) for block in content]})

    def note(self) -> None:
        if self.draw(st.integers(0, 3)) == 0:
            self.say("system", text("note"))

    def turn(self, *, last: bool) -> None:
        opening = text(self.words(), **({"cache_control": CACHE} if self.chance() else {}))
        self.say("user", opening)
        self.note()
        rounds = self.draw(st.integers(0, 3))
        first = True
        may_think_natively = self.mode is not None
        for _ in range(rounds):
            provider = self.draw(st.sampled_from(PROVIDERS))
            uses, results = self.tools(provider)
            thoughts = self.thoughts(provider, first=first, allowed=may_think_natively)
            if self.mode == "enabled" and not (thoughts and provider == "anthropic") and (first or thoughts):
                may_think_natively = False
            first = False
            self.say("assistant", *thoughts, *self.answer(provider), *uses)
            self.note()
            self.say("user", *results)
            self.note()
        if not last:
            provider = self.draw(st.sampled_from(PROVIDERS))
            thoughts = self.thoughts(provider, first=first, allowed=may_think_natively)
            answer = self.answer(provider)
            self.say("assistant", *thoughts, *(answer if answer or thoughts else [text("ok")]))

    def thoughts(self, provider: str, *, first: bool, allowed: bool) -> list[dict[str, Any]]:
        signature = self.draw(st.sampled_from(OWN_SIGNATURES[provider]))
        if provider == "anthropic":
            wanted = allowed and (self.chance() or (self.mode == "enabled" and first))
            kind = "redacted_thinking" if self.chance() else "thinking"
            block = {"type": kind, "data": signature} if kind == "redacted_thinking" else thinking(signature)
            return [block] if wanted else []
        if not self.chance():
            return []
        return [thinking(self.draw(st.sampled_from([wrap_signature(provider, signature), ""])))]

    def answer(self, provider: str) -> list[dict[str, Any]]:
        blocks = [text(self.words())] if self.chance() else []
        if self.draw(st.integers(0, 3)) == 0:
            server_id = self.tool_id(provider, "srvtoolu_", encoded=provider != "anthropic")
            blocks.append({"type": "server_tool_use", "id": server_id, "name": "web_search", "input": {}})
            blocks.append({"type": "web_search_tool_result", "tool_use_id": server_id, "content": []})
        return blocks

    def tools(self, provider: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        uses, results = [], []
        for _ in range(self.draw(st.integers(1, 2))):
            is_kimi = provider == "kimi"
            tool_id = self.tool_id(provider, "functions.Bash:" if is_kimi else "call_", encoded=is_kimi)
            content = self.draw(st.sampled_from(["", "ok", [text("r")], [text("r"), text(" ")]]))
            uses.append(tool_use(tool_id, input={"n": 1.10, "w": self.words()}))
            results.append(tool_result(tool_id, content))
        return uses, results

    def encoded(self) -> bytes:
        said = [
            b'{ "role": "%s", "content" : [%s] }'
            % (message["role"].encode(), b" , ".join(spelling for _, spelling in message["blocks"]))
            for message in self.messages
        ]
        fields = claude_code(mode=self.mode)
        fields["messages"] = []
        return json.dumps(fields).encode().replace(b'"messages": []', b'"messages": [ %s ]' % b",".join(said))


@st.composite
def conversations(draw: st.DrawFn) -> Conversation:
    conversation = Conversation(draw)
    turns = draw(st.integers(1, 3))
    for turn in range(turns):
        conversation.turn(last=turn == turns - 1)
    return conversation


def travels(block: dict[str, Any], target: str, originals: dict[str, str]) -> dict[str, Any] | None:
    """What the target gets of a block: said again, in another way than the steps say it."""
    kind = block["type"]
    if kind == "text":
        if not block["text"].strip():
            return None
        return block | {"cache_control": PLAIN_CACHE} if "cache_control" in block and target != "anthropic" else block
    if "thinking" in kind:
        name = "signature" if kind == "thinking" else "data"
        if block[name] in NATIVE:
            return block if target == "anthropic" else None
        owner, _, original = block[name].removeprefix("gw1.").partition(".")
        return block | {name: original} if owner == target else None
    name = "tool_use_id" if kind.endswith("tool_result") else "id"
    owner = next((owner for owner in PROVIDERS if block[name].startswith(f"gw1-{owner}-")), None)
    if kind in ("server_tool_use", "web_search_tool_result"):
        if (owner or "anthropic") != target:
            return None
        return block | {name: originals[block[name]]}
    if owner == target:
        block = block | {name: originals[block[name]]}
    if isinstance(block.get("content"), list):
        block = block | {"content": [inner for inner in block["content"] if inner["text"].strip()]}
    return block


@settings(deadline=None)
@given(conversations(), st.sampled_from(PROVIDERS), st.booleans())
def test_any_conversation_may_go_anywhere(conversation, target, drop_all):
    context = CONTEXTS[target]
    context = Context(provider=target, is_anthropic=context.is_anthropic, drop_all_thinking=drop_all)
    draft = Draft(RequestBody.parse(conversation.encoded()))
    apply(draft, context, {})
    sent_bytes = draft.encode()
    sent = json.loads(sent_bytes)

    check(sent, is_anthropic=context.is_anthropic, signatures=() if drop_all else OWN_SIGNATURES[target])
    if context.is_anthropic:
        check_ids(sent)

    turned_off = conversation.mode is not None and "thinking" not in sent
    expected = []
    for message in conversation.messages:
        if message["role"] == "system" and target != "anthropic":
            continue
        for block, spelling in message["blocks"]:
            goes = travels(block, target, conversation.originals)
            is_thinking = "thinking" in block["type"]
            if goes is None or (is_thinking and drop_all):
                continue
            expected.append((goes, is_thinking))
            if goes == block and not (is_thinking and turned_off):
                assert spelling in sent_bytes, "re-written without need"
    got = [
        block
        for message in sent["messages"]
        for block in message["content"]
        if not (block["type"] == "text" and is_added(block["text"], target))
    ]
    # Where thinking was turned off some of Anthropic's own may be left out, and nothing else.
    if turned_off:
        kept = [block for block, is_thinking in expected if not is_thinking]
        assert [block for block in got if "thinking" not in block["type"]] == kept
    else:
        assert got == [block for block, _ in expected]
    if target != "anthropic":
        assert not turned_off


def is_added(words: str, target: str) -> bool:
    return words == "(no content)" or (target != "anthropic" and words.startswith("<system-reminder>\n"))


@settings(deadline=None)
@given(conversations())
def test_attempts_on_one_body_do_not_disturb_each_other(conversation):
    body = RequestBody.parse(conversation.encoded())

    def sent(context: Context) -> bytes:
        draft = Draft(body)
        apply(draft, context, {})
        return draft.encode()

    first = [sent(context) for context in CONTEXTS.values()]
    again = [sent(context) for context in CONTEXTS.values()]
    assert first == again
    alone = []
    for context in CONTEXTS.values():
        draft = Draft(RequestBody.parse(conversation.encoded()))
        apply(draft, context, {})
        alone.append(draft.encode())
    assert alone == first


def test_the_checker_can_refuse():
    bad = claude_code("hi", assistant(tool_use("functions.Bash:0")), "more")
    with pytest.raises(Refused, match="without `tool_result`"):
        check(bad, is_anthropic=True, signatures=())
    with pytest.raises(Refused, match="Invalid `signature`"):
        check(claude_code("hi", assistant(thinking("x"), text("a")), "b"), is_anthropic=True, signatures=())
    with pytest.raises(Refused, match="but found `tool_use`"):
        check(
            claude_code("hi", assistant(tool_use()), user(tool_result()), mode="enabled"),
            is_anthropic=True,
            signatures=(),
        )
    with pytest.raises(Refused, match="invalid id"):
        check_ids(bad)
