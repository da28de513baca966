"""Empty texts and marks of the cache, which most providers refuse.

cache_control.py is tested here too.
"""

import pytest

from addons.wire.steps.cache_control import cache_control
from addons.wire.steps.empty_text import empty_text
from tests.client_messages import assistant, system, text, thinking, tool_result, tool_use, user
from tests.wire.bodies import ANTHROPIC, request, run, unchanged

LONG = {"type": "ephemeral", "ttl": "1h", "scope": "global"}
SHORT = {"type": "ephemeral"}
SAID = text("(no content)")


def test_cache_control_is_plain_everywhere():
    def body(cache):
        return request(
            user(text("a", cache_control=cache)),
            assistant(tool_use(cache_control=cache)),
            user(tool_result(content=[text("r", cache_control=cache)], cache_control=cache), text("b")),
            system=[text("s"), text("t", cache_control=cache)],
            tools=[{"name": "A", "input_schema": {}}, {"name": "B", "type": "custom", "cache_control": cache}],
        )

    line, sent = run(cache_control, body(LONG))
    assert sent == body(SHORT)
    assert line == "removed ttl and scope from 6 cache_control"
    assert unchanged(cache_control, body(SHORT))


@pytest.mark.parametrize("cache", [None, {}, "ephemeral", [], {"type": "ephemeral", "new": 1}])
def test_other_cache_controls_stay(cache):
    assert unchanged(cache_control, request(user(text("a", cache_control=cache)), system="s"))


def test_schemas_and_inputs_that_speak_of_cache_control_stay():
    body = request(
        user(text("a")),
        assistant(tool_use() | {"input": {"cache_control": LONG}}),
        tools=[{"name": "A", "input_schema": {"properties": {"cache_control": LONG}}}, "odd"],
    )
    assert unchanged(cache_control, body)


@pytest.mark.parametrize("nothing", ["", " \n\t", "\u00a0\u3000"])
def test_empty_text_goes_everywhere(nothing):
    body = request(
        user(text(nothing), text("a")),
        assistant(thinking("sig"), text(nothing), tool_use()),
        user(tool_result(content=[text(nothing), text("r")]), text(nothing)),
        system=[text(nothing), text("s")],
    )
    line, sent = run(empty_text, body, ANTHROPIC)
    assert line == "removed 5 empty texts"
    assert sent == request(
        user(text("a")),
        assistant(thinking("sig"), tool_use()),
        user(tool_result(content=[text("r")])),
        system=[text("s")],
    )


@pytest.mark.parametrize("nothing", ["", "  ", [text("")], [text(" "), text("")]])
def test_an_empty_system_goes(nothing):
    assert run(empty_text, request(system=nothing))[1] == request()


def test_a_tool_result_of_empty_text_is_an_empty_string():
    body = request("a", assistant(tool_use()), user(tool_result(content=[text("")], is_error=True)))
    assert run(empty_text, body)[1]["messages"][2] == user(tool_result(content="", is_error=True))


@pytest.mark.parametrize("nothing", [" ", "", [], [text("")]])
def test_an_assistant_message_without_words_is_left_out(nothing):
    body = request("a", {"role": "assistant", "content": nothing}, user(text("b")), assistant(text("c")), "d")
    assert run(empty_text, body)[1]["messages"] == [
        user(text("a"), text("b")),
        assistant(text("c")),
        {"role": "user", "content": "d"},
    ]


@pytest.mark.parametrize("nothing", [" ", "", [], [text("")]])
def test_a_user_message_without_words_keeps_its_place(nothing):
    silent = {"role": "user", "content": nothing}
    _, sent = run(empty_text, request(silent, assistant(text("a")), silent, assistant(text("b")), silent))
    assert sent["messages"] == [user(SAID), assistant(text("a")), user(SAID), assistant(text("b")), user(SAID)]


def test_system_messages_may_be_without_content():
    setting = {"role": "system", "output_config": {"effort": "low"}}
    assert unchanged(empty_text, request("a", setting, "b"))
    assert run(empty_text, request("a", system("  "), setting))[1] == request("a", setting)


@pytest.mark.parametrize(
    "body",
    [
        request("a", assistant(text("b"), tool_use()), user(tool_result(content="")), system="s"),
        request(user({"type": "text"}, {"type": "text", "text": None}, {"type": "image", "text": ""})),
        request(user({"type": "document", "source": {"type": "text", "data": ""}})),
        request("a", assistant(tool_use()), user(tool_result(content=["", 3]), tool_result(content={"text": ""}))),
        request("a", assistant(tool_use()), user({"type": "tool_result", "tool_use_id": "toolu_1"})),
        request("\u200b"),
    ],
)
def test_what_is_not_empty_text_stays(body):
    assert unchanged(empty_text, body)
