"""The Trail view: who asked, what each addon did, how each attempt went, what came of it."""

from addons.state.attempt import Outcome
from addons.views import trail
from addons.views.summary import Ending
from addons.wire.errors import ProviderError
from tests.exchanges import exchange, target
from tests.views.looked_at import Watched, kept, section
from tests.wire.streams import sse, text, whole


def failed_over():
    watched = Watched("anthropic", "zai")
    watched.exchange.client.session = "a1b2c3d4-1111"
    watched.sends(headers=[("authorization", "Bearer sk-ant-oat01…3f9a")])
    watched.exchange.note("oauth", "token 2 of 5 (sk-ant-oat01…3f9a), session a1b2")
    watched.fails()
    watched.sends(headers=[("authorization", "Bearer …abcd")])
    watched.streams(sse(whole(text(0, "Hello"))[:4]), sse(whole(text(0, "Hello"))[4:]))
    return watched.ends()


def test_the_first_line_says_it_all():
    first, *_ = trail.render(failed_over()).split("\n")
    assert first == (
        "alice · claude-sonnet-5-5 → zai/glm-5 (fallback) · 200 · 2.5 s"
        " · 32 in (3 cached, 4 written to the cache) / 15 out · $0.0743"
    )


def test_the_story_comes_first():
    assert trail.render(failed_over()).split("\n")[1:5] == [
        "",
        "✗ 1  anthropic/claude-sonnet-5-5  after 0.300 s: 429 rate_limit_error: slow down → next target",
        "✓ 2  zai/glm-5                    answered after 2.0 s: end_turn",
        "",
    ]


def test_what_identifies_the_request():
    lines = trail.render(failed_over()).split("\n")
    assert lines[5].startswith("request      POST /v1/messages?beta=true, ")
    assert "session      a1b2c3d4-1111" in lines
    assert "first event  after 1.5 s" in lines
    assert "stop reason  end_turn" in lines


def test_a_failed_attempt_tells_where_with_what_and_why_it_went_on():
    lines = section(trail.render(failed_over()), "attempt 1 · anthropic/claude-sonnet-5-5 · 429")
    up, down = (
        len(m.body) for m in (failed_over().attempts[0].recorded.request, failed_over().attempts[0].recorded.response)
    )
    assert lines == [
        "sent to      POST https://anthropic.test/v1/messages?beta=true",
        "credential   authorization: Bearer sk-ant-oat01…3f9a",
        f"bytes        {up} bytes up, {down} bytes down",
        "  +0.100 s  router  claude-sonnet-5-5 → anthropic/claude-sonnet-5-5, host anthropic.test",
        "  +0.100 s  oauth   token 2 of 5 (sk-ant-oat01…3f9a), session a1b2",
        "failed       after 0.300 s: 429 rate_limit_error: slow down",
        "verdict      next target",
    ]


def test_the_attempt_that_answered():
    lines = section(trail.render(failed_over()), "attempt 2 · zai/glm-5, the fallback zai-alias · 200")
    assert "first event  1.0 s after it was sent" in lines
    assert lines[-1] == "verdict      answered after 2.0 s: end_turn"


def test_a_running_request():
    watched = Watched("zai")
    watched.sends()
    watched.now += 3
    text = trail.render(watched.exchange)
    assert text.split("\n")[0] == "alice · claude-sonnet-5-5 · still running, 3.1 s so far"
    assert text.split("\n")[2] == "… 1  zai/glm-5  still running"
    assert section(text, "attempt 1")[-1] == "verdict      still running"


def test_a_request_that_nobody_could_serve():
    watched = Watched("anthropic", "zai")
    watched.sends()
    watched.fails()
    watched.sends()
    watched.fails(status=529, words="Overloaded", verdict="nothing is left to try")
    shown = trail.render(watched.exchange)
    assert shown.split("\n")[0] == "alice · claude-sonnet-5-5 → no answer · 529 · 0.800 s"
    assert shown.split("\n")[3:5] == [
        "✗ 2  zai/glm-5                    after 0.300 s: 529 overloaded_error: Overloaded → nothing is left to try",
        "✗ the client was told: Overloaded",
    ]
    assert section(shown, "attempt 2")[-1] == "verdict      nothing is left to try"


def test_an_attempt_that_was_not_sent():
    watched = Watched("anthropic", "zai")
    attempt = watched.exchange.begin()
    attempt.outcome = Outcome("skipped", ProviderError(429, "rate_limit_error", "all 2 Claude tokens are rate limited"))
    lines = section(trail.render(watched.exchange), "attempt 1")
    assert lines == ["failed       skipped: all 2 Claude tokens are rate limited"]


def test_a_client_that_hung_up():
    watched = Watched("zai")
    watched.sends()
    end = Ending(over=True, status=None, error="Client disconnected.", told="", seconds=4.0)
    shown = trail.render(watched.exchange, end)
    assert shown.split("\n")[0] == "alice · claude-sonnet-5-5 → no answer · Client disconnected. · 4.0 s"
    assert shown.split("\n")[2] == "✗ 1  zai/glm-5  given up: Client disconnected."
    assert section(shown, "attempt 1")[-1] == "verdict      given up: Client disconnected."


def test_a_request_that_was_refused_before_its_body_was_read():
    made = exchange(target("zai"))
    made.body = None
    made.recorded.response = kept(
        "401 Unauthorized", {"type": "error", "error": {"type": "x", "message": "wrong gateway token"}}
    )
    shown = trail.render(made)
    assert shown.split("\n")[0] == "anyone · POST /v1/messages · 401 · 0.000 s"
    assert shown.split("\n")[2] == "✗ the client was told: wrong gateway token (x)"
    assert shown.endswith("No provider was asked.")


def test_a_bad_request():
    made = exchange(target("zai"))
    made.body = None
    made.note("router", "answered 400: model: is missing")
    made.recorded.response = kept("400 Bad Request", {"type": "error", "error": {"message": "model: is missing"}})
    assert section(trail.render(made), "before the first attempt") == [
        "  +0.000 s  router  answered 400: model: is missing",
        "",
        "No provider was asked.",
    ]


def test_a_relayed_request():
    made = exchange()
    made.kind, made.body, made.method, made.path = "relay", None, "GET", "/v1/files?x=1"
    attempt = made.begin()
    attempt.status = 200
    end = Ending(over=True, status=200, error="", told="", seconds=0.2)
    shown = trail.render(made, end)
    assert shown.split("\n")[0] == "anyone · GET /v1/files → the default upstream · 200 · 0.200 s"
    assert shown.split("\n")[2] == "✓ 1  the default upstream  answered"
    attempt.status = 404
    assert trail.render(made, end).split("\n")[2].startswith("✗ 1")
    attempt.status = 200
    assert section(shown, "attempt 1 · the default upstream · 200") == ["verdict      answered"]


def test_an_answer_that_was_cut():
    watched = Watched("zai")
    watched.sends()
    watched.streams(sse(whole(text(0, "Hello"))[:3]))
    watched.exchange.note("failover", "dropped (gone) after content: the client was told")
    lines = section(trail.render(watched.breaks_off("gone")), "attempt 1")
    assert lines[-2:] == [
        "failed       after 1.0 s: dropped: gone",
        "verdict      the client was told",
    ]


def test_a_step_of_several_lines_is_told_in_one_and_a_long_one_is_cut():
    watched = Watched("zai")
    watched.exchange.note("router", "one\ntwo")
    watched.exchange.note("oauth", "word " * 1000)
    first, second = section(trail.render(watched.exchange), "before")[:2]
    assert first.endswith("one\N{REPLACEMENT CHARACTER}two")
    assert second.endswith("more characters")
    assert len(second) < 700
