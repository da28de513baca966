import pytest

from addons.wire.steps.system_messages import system_messages
from tests.client_messages import assistant, system, text, tool_result, tool_use, user
from tests.wire.bodies import request, run, unchanged


def reminder(words: str, **fields):
    return text(f"<system-reminder>\n{words}\n</system-reminder>", **fields)


def sent(*messages):
    return run(system_messages, request(*messages))[1]["messages"]


def test_it_joins_the_user_message_before_it():
    line, body = run(system_messages, request("hi", system("be brief"), assistant(text("ok"))))
    assert body["messages"] == [user(text("hi"), reminder("be brief")), assistant(text("ok"))]
    assert line == "1 system message became user text"


def test_several_in_a_row_keep_their_order():
    assert sent("hi", system("a"), system([text("b"), text("c")])) == [
        user(text("hi"), reminder("a"), reminder("b"), reminder("c"))
    ]


def test_between_a_tool_use_and_its_result_it_goes_behind_the_result():
    assert sent(
        "hi",
        assistant(tool_use("1"), tool_use("2")),
        system("a"),
        system("b"),
        user(tool_result("1"), tool_result("2"), text("more")),
    ) == [
        {"role": "user", "content": "hi"},
        assistant(tool_use("1"), tool_use("2")),
        user(tool_result("1"), tool_result("2"), reminder("a"), reminder("b"), text("more")),
    ]


def test_after_tool_results_it_stays_behind_them():
    assert sent("hi", assistant(tool_use()), user(tool_result()), system("a"))[2] == user(tool_result(), reminder("a"))


def test_after_the_assistants_last_word_it_starts_the_users_turn():
    assert sent("hi", assistant(text("ok")), system("a"), "next") == [
        {"role": "user", "content": "hi"},
        assistant(text("ok")),
        user(reminder("a"), text("next")),
    ]


def test_alone_it_is_a_message_of_its_own():
    assert sent(system("a"), assistant(text("ok")), system("b")) == [
        user(reminder("a")),
        assistant(text("ok")),
        user(reminder("b")),
    ]


def test_cache_control_and_pictures_are_kept():
    picture = {"type": "image", "source": {"type": "base64", "data": ""}}
    cache = {"type": "ephemeral"}
    assert sent("hi", system([text("a", cache_control=cache), picture])) == [
        user(text("hi"), reminder("a", cache_control=cache), picture)
    ]


def test_what_has_no_other_form_is_dropped_and_said():
    addition = {"type": "tool_addition", "tool": {"type": "tool_reference", "name": "X"}}
    line, body = run(system_messages, request("hi", system([addition, text("a"), {"type": "new"}, {}, addition])))
    assert body["messages"] == [user(text("hi"), reminder("a"))]
    assert line == (
        "1 system message became user text; dropped what has no other form (1 new, 2 tool_addition, 1 untyped)"
    )


@pytest.mark.parametrize("content", ["", " \n", [], [text("")], [text(" ")]])
def test_without_words_it_leaves_nothing(content):
    assert sent("hi", system(content), assistant(text("ok"))) == [
        {"role": "user", "content": "hi"},
        assistant(text("ok")),
    ]


def test_a_setting_without_content_leaves_nothing():
    assert sent("hi", {"role": "system", "output_config": {"effort": "low"}}) == [{"role": "user", "content": "hi"}]


def test_what_was_for_an_earlier_turn_is_left_out():
    once = system("now only", clear_at="next_user_message")
    assert sent("hi", once) == [user(text("hi"), reminder("now only"))]
    assert sent("hi", once, assistant(text("ok"))) == [user(text("hi"), reminder("now only")), assistant(text("ok"))]
    assert sent("hi", once, assistant(text("ok")), "next") == [
        {"role": "user", "content": "hi"},
        assistant(text("ok")),
        {"role": "user", "content": "next"},
    ]
    assert sent("hi", system("a", clear_at="never"), "next")[0] == user(text("hi"), reminder("a"))


def test_a_reminder_is_not_marked_twice():
    assert sent("hi", system("\n<system-reminder>x</system-reminder>")) == [
        user(text("hi"), text("\n<system-reminder>x</system-reminder>"))
    ]


def test_an_empty_user_message_gets_no_empty_block():
    assert sent("", system("a")) == [user(reminder("a"))]


def test_without_system_messages_nothing_changes():
    assert unchanged(system_messages, request("hi", assistant(text("ok")), "more", system="top"))
    assert unchanged(system_messages, {"model": "m", "messages": []})


def test_earlier_messages_become_the_same_in_the_next_request():
    history = ["hi", system("a"), assistant(tool_use()), system("b"), user(tool_result()), assistant(text("ok"))]
    later = [*history, "next", system("c"), assistant(text("fine")), system("d"), "last"]
    earlier = sent(*history)
    assert sent(*later)[: len(earlier)] == earlier
