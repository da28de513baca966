"""The Attempts view: what each provider was sent and what it answered, as it was on the wire."""

import gzip
import json

from hypothesis import given
from hypothesis import strategies as st

from addons.state.attempt import Outcome
from addons.views import attempts
from addons.wire.errors import ProviderError
from tests.exchanges import exchange, target
from tests.views.looked_at import ASKED, Watched, kept, section
from tests.views.test_changes import errand
from tests.wire.bodies import request
from tests.wire.streams import sse, text, whole


def failed_over():
    watched = Watched("anthropic", "zai")
    watched.sends(headers=[("authorization", "Bearer sk-ant-oat01…3f9a")])
    watched.fails()
    watched.sends()
    watched.streams(sse(whole(text(0, "Hello"))))
    return watched.ends()


def test_a_failed_attempt_is_shown_as_it_was():
    shown = attempts.render(failed_over())
    assert section(shown, "attempt 1 · anthropic/claude-sonnet-5-5 · answer") == [
        "429 No",
        "content-type: application/json",
        "",
        "{",
        '  "type": "error",',
        '  "error": {',
        '    "type": "rate_limit_error",',
        '    "message": "slow down"',
        "  }",
        "}",
    ]
    lines = section(shown, "attempt 1 · anthropic/claude-sonnet-5-5 · request")
    assert lines[:3] == [
        "POST https://anthropic.test/v1/messages?beta=true",
        "host: anthropic.test",
        "authorization: Bearer sk-ant-oat01…3f9a",
    ]
    assert json.loads("\n".join(lines[4:])) == ASKED


def test_a_stream_is_shown_as_it_came():
    made = failed_over()
    lines = section(attempts.render(made), "attempt 2 · zai/glm-5 · answer")
    assert "\n".join(lines[3:]) == sse(whole(text(0, "Hello"))).decode().rstrip("\n")


def test_the_answers_come_before_the_requests():
    titles = [line for line in attempts.render(failed_over()).split("\n") if line.startswith("── ")]
    assert [title.split(" ")[2] + title.split(" · ")[2].rstrip(" ─") for title in titles] == [
        "1answer",
        "2answer",
        "1request",
        "2request",
    ]


def test_the_values_keep_their_bytes():
    body = b'{"a":1.0,"b":"\\u00e9","n":12345678901234567890123,"c":[]}'
    assert attempts.body_lines(kept("x"), body, 1000)[1:-1] == [
        '  "a": 1.0,',
        '  "b": "\\u00e9",',
        '  "n": 12345678901234567890123,',
        '  "c": []',
    ]


def test_of_a_long_body_both_ends_are_shown():
    body = request(*[f"message {n}" for n in range(20_000)])
    watched = Watched("zai", body=body)
    watched.sends()
    shown = attempts.render(watched.exchange)
    assert len(shown) < attempts.MOST + 2_000
    for words in ("message 0", "message 19999", " characters that an export has"):
        assert words in shown


def test_a_body_is_shown_once():
    watched = Watched("zai")
    watched.exchange.plan.targets *= 2
    watched.sends()
    watched.fails(status=529)
    watched.sends()
    assert section(attempts.render(watched.exchange), "attempt 2 · zai/glm-5 · request")[-1] == (
        "(the body is that of attempt 1)"
    )


def test_what_failed_without_an_answer_says_how():
    watched = Watched("anthropic", "zai")
    watched.exchange.begin().outcome = Outcome("skipped", ProviderError(429, "rate_limit_error", "all tokens rest"))
    shown = attempts.render(watched.exchange)
    assert section(shown, "answer") == ["Failed: skipped: all tokens rest"]
    assert section(shown, "request") == ["Nothing was sent."]


def test_an_attempt_that_is_still_running():
    watched = Watched("zai")
    watched.sends()
    assert section(attempts.render(watched.exchange), "answer") == ["Nothing has come yet."]


def test_an_answer_of_the_gateways_own():
    watched = Watched("zai")
    watched.exchange.begin().instead = errand()
    shown = attempts.render(watched.exchange)
    assert section(shown, "attempt 1 · the gateway, in place of zai/glm-5 · answer") == [
        "The gateway's own: see Answer."
    ]


def test_bodies_of_other_kinds():
    image = kept("200 OK", headers=[("content-type", "image/png")])
    assert attempts.body_lines(image, b"\0\1\2", 99) == ["(3 bytes of image/png, not text)"]
    assert attempts.body_lines(kept("x"), b"<p>\r\nno\n", 99) == ["<p>", "no"]
    assert attempts.body_lines(kept("x"), b"", 99) == ["(no body)"]
    assert attempts.body_lines(kept("x"), b"[" * 100_000 + b"]" * 100_000, 99)


def test_a_compressed_answer_is_unpacked():
    made = failed_over()
    answer = made.attempts[0].recorded.response
    assert answer
    answer.headers = (("content-encoding", "gzip"),)
    answer.body = gzip.compress(b'{"error": "no"}')
    assert section(attempts.render(made), "attempt 1")[-2] == '  "error": "no"'


def test_nothing_to_show():
    made = exchange(target("zai"))
    assert attempts.render(made) == attempts.NOT_KEPT
    made.recorded.request = kept("GET /health")
    assert attempts.render(made) == "No provider was asked."


@given(st.text(), st.integers(0, 300))
def test_the_ends_of_a_text_are_ends_of_it(words, limit):
    shown = attempts.ends_of(words * 20, limit)
    if " characters that an export has" not in "\n".join(shown):
        assert "\n".join(shown) == words * 20
    else:
        at = next(n for n, line in enumerate(shown) if line.endswith(" that an export has"))
        assert (words * 20).startswith("\n".join(shown[:at]))
        assert (words * 20).endswith("\n".join(shown[at + 1 :]))


@given(st.binary())
def test_any_bytes_at_all(data):
    assert attempts.body_lines(kept("x", data), data, 100)
