import pytest

from addons.wire.steps.compaction import HEAD, compaction
from tests.client_messages import assistant, system, text, tool_result, tool_use, user
from tests.wire.bodies import request, run, unchanged


def compacted(content, **fields):
    return {"type": "compaction", "content": content, **fields}


def sent(*messages):
    return run(compaction, request(*messages))[1]["messages"]


SUMMARY = text(f"{HEAD}<summary>x</summary>")
BLOCK = compacted("<summary>x</summary>")


def test_what_it_summarizes_is_left_out():
    line, body = run(compaction, request("old", assistant(text("older")), "ask", assistant(BLOCK, text("so")), "next"))
    assert body["messages"] == [user(SUMMARY), assistant(text("so")), {"role": "user", "content": "next"}]
    assert line == "wrote the summary of a compaction as text of the user, in place of 3 earlier messages"


def test_a_conversation_that_begins_with_it_begins_with_the_user():
    assert sent(assistant(BLOCK, text("so")), "next") == [
        user(SUMMARY),
        assistant(text("so")),
        {"role": "user", "content": "next"},
    ]


def test_alone_it_joins_what_the_user_says_next():
    assert sent("old", assistant(BLOCK), "next") == [user(SUMMARY, text("next"))]
    assert sent("old", assistant(BLOCK)) == [user(SUMMARY)]


def test_the_last_one_counts():
    assert sent(assistant(compacted("first")), "a", assistant(compacted("b"), BLOCK, text("so")), "next")[:2] == [
        user(SUMMARY),
        assistant(text("so")),
    ]


def test_what_stands_before_it_in_its_message_goes_too():
    assert sent("old", assistant(text("before"), BLOCK, tool_use()), user(tool_result())) == [
        user(SUMMARY),
        assistant(tool_use()),
        user(tool_result()),
    ]


def test_system_messages_stay():
    assert sent("old", system("env"), assistant(BLOCK, text("so")), "next")[:2] == [system("env"), user(SUMMARY)]


@pytest.mark.parametrize("content", [None, "", " ", [], 3])
def test_a_compaction_that_failed_is_nothing(content):
    line, body = run(compaction, request("old", assistant(compacted(content), text("so")), "next"))
    assert body["messages"][1] == assistant(text("so"))
    assert len(body["messages"]) == 3
    assert line == "dropped 1 compaction without a summary"


def test_text_blocks_are_a_summary_too():
    assert sent(assistant(compacted([text("a"), text("b")])), "next") == [user(text(f"{HEAD}a\n\nb"), text("next"))]


def test_its_mark_for_the_cache_stays():
    cache = {"type": "ephemeral"}
    assert sent(assistant(BLOCK | {"cache_control": cache}), "next")[0]["content"][0] == SUMMARY | {
        "cache_control": cache
    }


def test_without_one_nothing_changes():
    assert unchanged(compaction, request("hi", assistant(text("ok")), "more"))
