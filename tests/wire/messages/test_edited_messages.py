"""The messages of a request after edits: who is joined, what keeps its place, what goes.

original_messages.py is tested here too.
"""

import json

from addons.wire.messages.body import RequestBody
from addons.wire.messages.edited_messages import EditedMessages, open_turn
from addons.wire.messages.message import DROP, KEEP, new_message
from addons.wire.raw_json import dump
from addons.wire.steps.context import counted
from tests.client_messages import assistant, system, text, thinking, tool_result, tool_use, user
from tests.wire.bodies import request

THOUGHT = thinking("s")


def conversation(*said):
    return EditedMessages(RequestBody.parse(json.dumps(request(*said)).encode()).messages)


def sent(messages):
    joined = json.loads(b"".join(messages.parts()))
    assert joined == [json.loads(bytes(message.raw)) for message in messages]
    return joined


def without_thinking(*said):
    messages = conversation(*said)
    messages.edit(range(len(messages.original)), lambda block: DROP if block.type == "thinking" else KEEP)
    return sent(messages)


def test_users_meet_when_the_answer_between_them_goes():
    assert without_thinking("a", assistant(THOUGHT), user(text("b"), text("c"))) == [
        user(text("a"), text("b"), text("c"))
    ]


def test_several_answers_in_a_row():
    assert without_thinking("a", assistant(THOUGHT), assistant(THOUGHT), "b", assistant(THOUGHT), "c") == [
        user(text("a"), text("b"), text("c"))
    ]


def test_other_fields_of_a_joined_message_are_those_of_the_first():
    first = user(text("a")) | {"id": "1"}
    second = user(text("b")) | {"id": "2"}
    assert without_thinking(first, assistant(THOUGHT), second) == [user(text("a"), text("b")) | {"id": "1"}]


def test_what_the_client_sent_in_a_row_stays_so():
    said = [user(text("a")), user(text("b")), assistant(text("c")), assistant(text("d"))]
    assert without_thinking(*said) == said
    assert without_thinking("a", assistant(THOUGHT), "b", "c", assistant(text("d"))) == [
        user(text("a"), text("b")),
        {"role": "user", "content": "c"},
        assistant(text("d")),
    ]


def test_only_users_are_joined():
    said = [user(text("a")), system("b"), assistant(THOUGHT), system("c"), user(text("d"))]
    assert without_thinking(*said) == [said[0], said[1], said[3], said[4]]
    assert without_thinking(assistant(text("a")), system([THOUGHT]), assistant(text("b"))) == [
        assistant(text("a")),
        assistant(text("b")),
    ]


def test_a_user_message_keeps_its_place():
    assert without_thinking(user(THOUGHT), assistant(text("a"))) == [user(text("(no content)")), assistant(text("a"))]


def test_an_answer_that_ended_a_tool_loop_keeps_its_place():
    loop = ["a", assistant(tool_use()), user(tool_result())]
    start = [{"role": "user", "content": "a"}, *loop[1:]]
    said = assistant(text("(no content)"))
    assert without_thinking(*loop, assistant(THOUGHT), user(text("b"))) == [*start, said, user(text("b"))]
    assert without_thinking(*loop, system("s"), assistant(THOUGHT), system("t"), user(text("b"))) == [
        *start,
        system("s"),
        said,
        system("t"),
        user(text("b")),
    ]
    assert without_thinking(*loop, assistant(THOUGHT)) == start
    assert without_thinking(*loop, assistant(THOUGHT), assistant(text("b"))) == [*start, assistant(text("b"))]
    assert without_thinking(*loop, system([THOUGHT]), user(text("b"))) == [
        *start[:2],
        user(tool_result(), text("b")),
    ]


def test_what_was_empty_before_is_not_touched():
    said = [user(), {"role": "assistant", "content": ""}, system("")]
    assert without_thinking(*said) == said


def test_a_gap_is_closed_once():
    assert without_thinking("a", assistant(THOUGHT), "b", user(THOUGHT), assistant(text("c"))) == [
        user(text("a"), text("b")),
        user(text("(no content)")),
        assistant(text("c")),
    ]
    assert without_thinking("a", assistant(THOUGHT), user(THOUGHT), "b") == [
        user(text("a"), text("(no content)")),
        {"role": "user", "content": "b"},
    ]


def test_a_message_keeps_its_index():
    messages = conversation("a", assistant(text("b")), "c", assistant(text("d")))
    del messages[1]
    del messages[3]
    messages[2] = new_message("user", [dump(text("new"))])
    assert (messages.before(2), messages.after(2), messages.before(0), messages.after(0)) == (0, None, None, 2)
    assert list(messages.indexes()) == [0, 2]
    assert sent(messages) == [{"role": "user", "content": "a"}, user(text("new"))]
    assert messages.original[1].blocks[0].type == "text"


def test_all_of_it_can_go():
    messages = conversation("a", "b")
    del messages[0]
    assert sent(messages) == [{"role": "user", "content": "b"}]
    del messages[1]
    assert sent(messages) == []


def test_what_a_message_gains_is_seen_by_steps_where_it_is_then():
    messages = conversation("a", assistant(THOUGHT), user(text(" "), text("b")))
    messages.edit(messages.with_trait("thinking"), lambda block: DROP if block.type == "thinking" else KEEP)
    assert messages.with_trait("thinking") == []
    assert messages.with_trait("empty text") == [0]
    assert len(messages[0].blocks) == 3


def turn(*said):
    messages = conversation(*said)
    return [messages[index].blocks[0].type for index in open_turn(messages)]


def test_the_open_turn():
    loop = [assistant(tool_use()), user(tool_result())]
    assert turn("a") == []
    assert turn("a", assistant(text("b")), "c") == []
    assert turn("a", *loop) == ["tool_use"]
    assert turn("a", assistant(text("b")), "c", assistant(THOUGHT), user(tool_result()), *loop) == [
        "tool_use",
        "thinking",
    ]
    assert turn("a", *loop, system("b")) == ["tool_use"]
    assert turn("a", *loop, "c") == []
    assert turn("a", *loop, assistant(text("b"))) == ["text", "tool_use"]
    assert turn("a", assistant(tool_use()), user(tool_result(), text("more"))) == ["tool_use"]
    assert turn() == []


def test_numbers_and_nouns():
    assert [counted(number, "block") for number in (0, 1, 2)] == ["0 blocks", "1 block", "2 blocks"]
