"""What became of a stream on its way: dropped, put in, renumbered, rewritten events.

views/bodies.py is tested here too.
"""

import re

from hypothesis import given
from hypothesis import strategies as st

from addons.views.bodies import events_of
from addons.views.diff.event_changes import event_changes
from addons.wire.messages.answer import MessagesAnswer, Rewrite
from tests.wire.streams import (
    MESSAGE_STOP,
    PING,
    bytes_of,
    message_delta,
    messages,
    sse,
    start,
    text,
    thinking,
    tool,
    whole,
)


def passed(raw, *, strip=False):
    answer = MessagesAnswer(Rewrite(provider="zai", is_anthropic=False, strip_thinking=strip))
    return answer.feed(raw) + answer.end()


def test_equal_streams_have_no_diff():
    assert event_changes(sse(whole(text(0, "a"))), sse(whole(text(0, "a")))) == []


def test_what_was_dropped_and_renumbered():
    raw = sse(whole(thinking(0, "Let ", "me\n", "think", signed=["s"]), text(1, "Hel", "lo")))
    assert event_changes(raw, passed(raw, strip=True)) == [
        "  … 1 unchanged event",
        "- content_block_start thinking [0]",
        "- content_block_delta thinking_delta [0]  × 3: Let me think",
        "- content_block_delta signature_delta [0]: s",
        "- content_block_stop [0]",
        "~ content_block_start text [1 → 0]",
        "~ content_block_delta text_delta [1 → 0]  × 2",
        "~ content_block_stop [1 → 0]",
        "  … 2 unchanged events",
    ]


def test_what_was_renumbered_and_spaced_in_another_way():
    raw = sse(whole(thinking(0, "hm"), text(1, "Hel", "lo")), spaced=True)
    told = sse(whole(text(0, "Hel", "lo")))
    assert "~ content_block_start text [1 → 0]" in event_changes(raw, told)
    assert "~ content_block_delta text_delta [1 → 0]  × 2" in event_changes(raw, told)
    assert not [line for line in event_changes(raw, told) if '"index"' in line]


def test_what_was_rewritten():
    raw = sse(whole(tool(0, "functions.Bash:0", "{}")))
    assert event_changes(raw, passed(raw)) == [
        "  … 1 unchanged event",
        "~ content_block_start tool_use [0]",
        '-     "id": "functions.Bash:0"',
        '+     "id": "gw1-zai--ZnVuY3Rpb25zLkJhc2g6MA"',
        "  … 4 unchanged events",
    ]


def test_what_was_put_in():
    events = whole(text(0, "a", "b"))
    told = [*events[:3], PING, *events[3:-1]]
    assert event_changes(sse(events), sse(told)) == [
        "  … 3 unchanged events",
        "+ ping",
        "  … 3 unchanged events",
        "- message_stop",
    ]


def test_another_frame_around_the_same_event():
    events = whole(text(0, "a"))
    assert event_changes(sse(events[:1], named=False) + sse(events[1:]), sse(events)) == [
        "~ message_start, only written differently",
        "  … 5 unchanged events",
    ]


def test_a_dialect_that_is_not_anthropics():
    chunks = b'data: {"choices":[{"delta":{"content":"Hel"}}]}\n\ndata: [DONE]\n\n'
    shown = event_changes(chunks, sse([start(0, type="text", text=""), message_delta(), MESSAGE_STOP]))
    assert shown[0] == '- data  × 2: {"choices":[{"delta":{"content":"Hel"}}]} [DONE]'
    assert shown[-1] == "+ message_stop"


def test_an_event_that_is_not_complete_yet():
    events = whole(text(0, "a"))
    shown = event_changes(sse(events)[:-5], sse(events[:-1]))
    assert shown[0] == "  … 5 unchanged events"
    assert len(shown) == 2


@given(messages().flatmap(bytes_of), st.booleans())
def test_whatever_the_filter_does_every_event_is_accounted_for(raw, strip):
    told = passed(raw, strip=strip)
    counts = {"  … ": 0, "- ": 0, "+ ": 0, "~ ": 0}
    for line in event_changes(raw, told):
        if unchanged := re.fullmatch(r"  … (\d+) unchanged events?", line):
            counts["  … "] += int(unchanged[1])
        elif found := re.match(
            r"([-+~] )\w[\w ]*(?: \[[^]]+\])?(?:, only written differently)?(?:  × (\d+))?(?=:|$)", line
        ):
            counts[found[1]] += int(found[2] or 1)
        else:
            assert line.startswith(("-     ", "+     "))
    if sum(counts.values()):
        assert counts["  … "] + counts["~ "] + counts["- "] == len(events_of(raw))
        assert counts["  … "] + counts["~ "] + counts["+ "] == len(events_of(told))
    else:
        assert events_of(raw) == events_of(told)


@given(st.binary(), st.binary())
def test_any_bytes_at_all(old, new):
    event_changes(old, new)
    event_changes(b"data: " + old + b"\n\n", b"event: x\ndata: " + new + b"\n\n")
