"""The Changes view: what became of the request for each attempt, and of the answer."""

import gzip
import json
import re

from hypothesis import given
from hypothesis import strategies as st

from addons.state.attempt import Outcome
from addons.views import changes
from addons.views.changes import body_changes, families, header_changes, line_changes
from addons.views.summary import Ending
from addons.wire.errors import ProviderError
from tests.exchanges import exchange, target
from tests.views.looked_at import ASKED, Watched, kept, section
from tests.wire.streams import MESSAGE_STOP, PING, sse, text, thinking, whole

OVER = Ending(over=True, status=200, error="", told="", seconds=1)


def answered(events, **fields):
    watched = Watched("zai")
    watched.sends(headers=[("authorization", "Bearer …abcd")])
    watched.streams(sse(events), **fields)
    return watched


def errand():
    """An answer of the gateway's own."""
    yield from ()
    return b"{}"


def test_a_request_on_its_way_out():
    lines = section(changes.render(answered(whole(text(0, "a"))).ends()), "attempt 1 · request · client → zai/glm-5")
    body = answered(whole(text(0, "a"))).exchange.attempts[0].recorded.request.body
    assert lines == [
        "- POST /v1/messages?beta=true",
        "+ POST https://zai.test/v1/messages?beta=true",
        f"  body: {len(json.dumps(ASKED))} bytes → {len(body)} bytes (1 line out, 1 in)",
        "  {",
        '-   "model": "claude-sonnet-5-5"',
        '+   "model": "glm-5"',
        "    … unchanged: max_tokens, messages, stream",
        "  }",
        "  headers: 2 new or changed",
        "- host: 127.0.0.1:4000",
        "+ host: zai.test",
        "+ authorization: Bearer …abcd",
    ]


def test_headers_in_any_order_and_case():
    old = kept("GET /", headers=[("A", "1"), ("B", "2"), ("C", "3"), ("C", "4"), ("D", "5")])
    new = kept("GET /", headers=[("c", "3"), ("c", "4"), ("b", "x"), ("a", "1"), ("e", "6")])
    assert header_changes(old, new) == [
        "  headers: 2 unchanged, 1 not passed on, 2 new or changed",
        "  … unchanged: a, c",
        "- … not passed on: d",
        "- b: 2",
        "+ b: x",
        "+ e: 6",
    ]
    assert line_changes(old, new) == ["  GET /"]
    assert header_changes(kept("GET /"), kept("GET /")) == ["  headers: none"]


NAMES = st.sampled_from(["accept", "x-a-1", "x-a-2", "x-a-3", "X-A-4", "host", "x-b-1"])
HEADERS = st.lists(st.tuples(NAMES, st.sampled_from(["1", "2"])), max_size=8)


@given(HEADERS, HEADERS)
def test_every_header_is_told_of(before, after):
    title, *lines = header_changes(kept("GET /", headers=before), kept("GET /", headers=after))
    come = {line[2:].partition(": ")[0] for line in lines if line.startswith("+ ")}
    sums = {what: int(count) for count, what in re.findall(r"(\d+) ([a-z][a-z ]*)", title)}
    names = [{name.lower() for name, _ in headers} for headers in (before, after)]
    assert sum(sums.values()) == len(names[0] | names[1])
    assert sums.get("not passed on", 0) == len(names[0] - names[1])
    assert names[1] - names[0] <= come <= names[1]
    assert len(come) == sums.get("new or changed", 0)


def test_headers_that_are_many_take_one_line():
    names = [f"x-stainless-{name}" for name in ("arch", "lang", "os", "retry-count")]
    assert families(["accept", *names, "x-app", "x-claude-code-session-id"]) == [
        "accept",
        "x-stainless-* (4)",
        "x-app",
        "x-claude-code-session-id",
    ]
    shown = header_changes(kept("GET /", headers=[(name, "1") for name in names]), kept("GET /"))
    assert shown == ["  headers: 4 not passed on", "- … not passed on: x-stainless-* (4)"]


def test_the_same_body_is_shown_once():
    watched = Watched("zai")
    watched.exchange.plan.targets *= 2
    watched.sends()
    watched.fails(status=529, words="Overloaded")
    watched.sends()
    shown = changes.render(watched.exchange)
    assert section(shown, "attempt 1")[-1] == "Its answer was not passed on: 529 overloaded_error: Overloaded"
    assert section(shown, "attempt 2")[2:] == [
        "  body: that of attempt 1",
        "  headers: 1 new or changed",
        "  … 2 lines as before",
    ]


def test_an_attempt_that_was_not_sent():
    watched = Watched("anthropic", "zai")
    error = ProviderError(429, "rate_limit_error", "all tokens rest")
    watched.exchange.begin().outcome = Outcome("skipped", error)
    assert section(changes.render(watched.exchange), "attempt 1")[0] == "Nothing was sent: skipped: all tokens rest"


def test_an_answer_that_passed_as_it_was():
    lines = section(changes.render(answered(whole(text(0, "a"))).ends()), "answer · zai → client")
    size = len(sse(whole(text(0, "a"))))
    assert lines == [
        "  200 OK",
        f"  body: unchanged, {size} bytes, 6 events",
        "  headers: 1 unchanged",
        "  … unchanged: content-type",
    ]


def test_an_answer_that_was_filtered():
    made = answered(whole(thinking(0, "hm"), text(1, "a")), strip=True).ends()
    lines = section(changes.render(made), "answer")
    assert lines[1].endswith("(9 → 6 events, 3 lines out, 0 in)")
    assert "- content_block_delta thinking_delta [0]: hm" in lines
    assert "~ content_block_start text [1 → 0]" in lines


def test_an_answer_that_is_still_running():
    watched = answered(whole(text(0, "a"))[:3])
    assert section(changes.render(watched.exchange), "answer")[-1].startswith("Still running")
    watched.exchange.recorded.response = None
    assert section(changes.render(watched.exchange), "answer") == ["Still running: nothing has come yet."]
    assert section(changes.render(watched.exchange, OVER), "answer") == ["The client got nothing."]


def test_an_answer_of_the_gateways_own():
    watched = Watched("zai")
    watched.sends().instead = errand()
    assert "Nothing was sent" not in changes.render(watched.exchange)
    watched.exchange.attempts[0].recorded.request = None
    assert section(changes.render(watched.exchange), "attempt 1") == [
        "Nothing was sent: the gateway answers in its place"
    ]
    watched.exchange.recorded.response = kept("502 Bad Gateway", {"type": "error"})
    watched.exchange.attempts[0].ended = watched.now
    assert section(changes.render(watched.exchange, OVER), "answer") == ["The gateway answered itself."]


def test_a_stream_that_became_json():
    stream = sse(whole(text(0, "Hello")))
    message = {"type": "message", "content": [{"type": "text", "text": "HELLO"}]}
    shown = body_changes(stream, json.dumps(message).encode())
    assert "a stream became JSON; both as messages" in shown[0]
    assert shown[shown.index('-       "text": "Hello"') + 1] == '+       "text": "HELLO"'


def test_an_error_page_that_became_an_envelope():
    shown = body_changes(b"<html>\nno</html>", b'{"type": "error"}')
    assert shown == [
        "  body: 16 bytes → 17 bytes (not JSON, 2 lines out, 1 in)",
        "- <html>",
        "- no</html>",
        '+ {"type": "error"}',
    ]


def test_the_same_in_other_words():
    assert body_changes(b'{"a":  1}', b'{"a":1}') == [
        "  body: 9 bytes → 7 bytes (nothing changed but how it is written)"
    ]


def test_no_bodies():
    assert body_changes(b"", b"") == ["  no body"]
    assert body_changes(b"", b"x") == ["  body: 0 bytes → 1 byte (not JSON, 0 lines out, 1 in)", "+ x"]
    assert body_changes(b"", sse([PING]))[1:] == ["+ ping"]


def test_texts_with_empty_lines():
    assert body_changes(b"a\n\nb", b"a\n\nc")[1:] == ["  a", "", "- b", "+ c"]


def test_a_compressed_answer():
    watched = answered(whole(text(0, "a")))
    received = watched.exchange.attempts[0].recorded.response
    received.headers = (("content-encoding", "gzip"),)
    received.body[:] = gzip.compress(bytes(received.body))
    assert "6 events" in section(changes.render(watched.ends()), "answer")[1]
    received.body[:] = received.body[:30]  # not all of it has come
    assert section(changes.render(watched.exchange), "answer")


def test_a_long_diff_has_an_end():
    old, new = {str(n): n for n in range(2000)}, {str(n): -n - 1 for n in range(2000)}
    shown = body_changes(json.dumps(old).encode(), json.dumps(new).encode())
    assert len(shown) == 402
    assert shown[0].endswith("(more than 400 lines)")
    assert shown[-1] == "  … more: the first 400 lines are shown"


def test_a_diff_with_a_tail_says_so_though_the_tail_was_not_made():
    asked = {"messages": [{"role": "user", "content": [{"type": "text", "text": f"{n}"}]} for n in range(3000)], "z": 1}
    sent = {"messages": [{"role": "user", "content": [{"type": "text", "text": f"{n}!"}]} for n in range(3000)], "z": 2}
    shown = body_changes(json.dumps(asked).encode(), json.dumps(sent).encode())
    assert len(shown) == 402
    assert shown[-1] == "  … more: the first 400 lines are shown"


def test_nothing_to_compare():
    made = exchange(target("zai"))
    assert changes.render(made) == changes.NOT_KEPT
    made.recorded.request = kept("GET /health")
    assert changes.render(made) == "No provider was asked: nothing was changed."


def test_an_extra_event_after_the_end_is_seen():
    events = whole(text(0, "a"))
    shown = body_changes(sse([*events, MESSAGE_STOP]), sse(events))
    assert shown[1:] == ["  … 6 unchanged events", "- message_stop"]
