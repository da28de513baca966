"""The attempt loop when the client hangs up: the provider stops generating at once, and nobody is asked again."""

import pytest
from mitmproxy.flow import Error

from addons.proxy.replies import error_response
from addons.wire.answer_reader import AnswerReader
from tests.proxy.playbook import Playbook
from tests.proxy.provider_bytes import (
    LAST_CHUNK,
    PING,
    START,
    STREAM_HEAD,
    answer,
    chunk,
    delta,
    error,
    events,
    head,
    message,
    stream,
)
from tests.proxy.stand_ins import again


def assert_over(play: Playbook, *, ends: str = "error") -> None:
    """Whatever time brings, nothing happens any more."""
    asked = [len(server.received) for server in play.servers]
    play.advance(10_000)
    assert [len(server.received) for server in play.servers] == asked
    assert play.ends == [ends]
    assert play.flows[0].error or ends == "response"
    assert not play.gateway.streams


def test_before_the_body_is_complete():
    with Playbook() as play:
        play.client_sends(b"POST /v1/messages HTTP/1.1\r\nHost: g\r\nContent-Length: 100\r\n\r\n{")
        play.client_closes()
        assert play.hooks == ["requestheaders", "error"]
        assert_over(play)


def test_before_the_head_is_complete():
    with Playbook() as play:
        play.client_sends(b"POST /v1/messages HTTP/1.1\r\nHost: g\r\n")
        play.client_closes()
        assert play.hooks == []


@pytest.mark.parametrize("late", ["ends", "connects", "refuses"])
def test_while_connecting(late):
    with Playbook("one.test", "two.test") as play:
        play.answers_connects = play.ends_promptly = False
        play.client_asks()
        play.client_closes()
        assert play.server(1).given_up
        getattr(play.server(1), late)()
        assert_over(play)
        assert not play.server(1).received


def test_while_waiting_for_headers():
    with Playbook("one.test", "two.test") as play:
        play.client_asks()
        play.client_closes()
        assert play.server(1).given_up
        assert_over(play)


@pytest.mark.parametrize("sent", [STREAM_HEAD, STREAM_HEAD + chunk(START), STREAM_HEAD + chunk(START + PING)])
def test_before_content(sent):
    with Playbook("one.test", "two.test") as play:
        play.client_asks()
        play.server(1).sends(sent)
        play.client_closes()
        assert play.server(1).given_up
        assert_over(play)


def test_in_mid_stream():
    with Playbook("one.test", "two.test") as play:
        play.client_asks()
        play.server(1).sends(STREAM_HEAD + chunk(START + delta("a")))
        play.client_closes()
        assert play.server(1).given_up
        assert_over(play)


def test_in_mid_stream_while_the_provider_goes_on():
    with Playbook() as play:
        play.ends_promptly = False
        play.client_asks()
        play.server(1).sends(STREAM_HEAD + chunk(START + delta("a")))
        play.client_closes()
        play.server(1).sends(chunk(delta("b")), LAST_CHUNK)
        play.server(1).ends()
        assert_over(play)


def test_in_mid_answer_of_json():
    with Playbook("one.test", "two.test") as play:
        play.client_asks(stream=False)
        play.server(1).sends(head(200, "content-length: 100") + b"{")
        play.client_closes()
        assert play.server(1).given_up
        assert_over(play)


def test_in_mid_error():
    with Playbook("one.test", "two.test") as play:
        play.client_asks()
        play.server(1).sends(head(500, "content-length: 100") + b"{")
        play.client_closes()
        assert play.server(1).given_up
        assert_over(play)


def test_while_being_told_to_wait():
    with Playbook("one.test", "two.test", hold=5) as play:
        play.client_asks()
        play.advance(30)
        play.client_closes()
        assert play.server(1).given_up
        assert_over(play)


@pytest.mark.parametrize("failure", ["status", "dropped", "refused"])
def test_between_two_attempts(failure):
    with Playbook("one.test", "two.test") as play:
        play.on["verdict"] = again(3)
        play.answers_connects = failure != "refused"
        play.client_asks()
        if failure == "status":
            play.server(1).sends(error(500))
        elif failure == "dropped":
            play.server(1).closes()
        else:
            play.server(1).refuses()
        play.advance(1)
        play.client_closes()
        assert_over(play)
        assert len(play.servers) == 1


def test_between_two_attempts_with_the_first_one_hanging():
    with Playbook("one.test", "two.test", first_byte_timeout=30) as play:
        play.on["verdict"] = again(3)
        play.ends_promptly = False
        play.client_asks()
        play.advance(31)
        play.client_closes()
        play.server(1).ends()
        assert_over(play)


@pytest.mark.parametrize("hook", ["requestheaders", "request", "attempt"])
def test_while_a_hook_before_sending_is_pending(hook):
    with Playbook() as play:
        play.holds.add(hook)
        play.client_asks()
        play.client_closes()
        play.complete(hook)
        assert_over(play)
        assert not play.servers


@pytest.mark.parametrize("stream_it", [True, False])
def test_while_the_headers_of_the_gateways_own_answer_are_pending(stream_it):
    with Playbook() as play:
        play.on["request"] = lambda flow: setattr(flow, "response", error_response(404, "no route"))
        play.holds.add("responseheaders")
        play.client_asks(stream=stream_it)
        play.client_closes()
        play.complete("responseheaders")
        assert_over(play)


@pytest.mark.parametrize("stream_it", [True, False])
def test_while_responseheaders_is_pending(stream_it):
    with Playbook("one.test", "two.test") as play:
        play.holds.add("responseheaders")
        play.client_asks(stream=stream_it)
        play.server(1).sends(stream(events()) if stream_it else answer(200, message()))
        play.client_closes()
        play.complete("responseheaders")
        assert play.server(1).given_up
        assert_over(play)
        assert not play.sent_to_client


def test_while_the_verdict_is_pending():
    with Playbook("one.test", "two.test") as play:
        play.holds.add("verdict")
        play.client_asks()
        play.server(1).sends(error(500))
        play.client_closes()
        play.complete("verdict")
        assert_over(play)
        assert len(play.servers) == 1


def test_while_the_last_verdict_is_pending():
    with Playbook() as play:
        play.holds.add("verdict")
        play.client_asks()
        play.server(1).sends(error(500))
        play.client_closes()
        play.complete("verdict")
        assert_over(play)
        assert not play.sent_to_client


@pytest.mark.parametrize("stream_it", [True, False])
def test_while_the_response_hook_is_pending(stream_it):
    with Playbook() as play:
        play.holds.add("response")
        play.client_asks(stream=stream_it)
        play.server(1).sends(stream(events()) if stream_it else answer(200, message()))
        play.client_closes()
        play.complete("response")
        assert_over(play, ends="response")


def test_while_the_response_hook_is_pending_after_a_cut():
    with Playbook() as play:
        play.holds.add("response")
        play.client_asks()
        play.server(1).sends(STREAM_HEAD + chunk(START + delta("a")))
        play.server(1).closes()
        play.client_closes()
        play.complete("response")
        assert_over(play, ends="response")


def test_while_the_error_hook_is_pending():
    with Playbook("one.test", "two.test", first_byte_timeout=30) as play:
        play.holds.add("error")
        play.client_asks()
        play.client_closes()
        play.advance(100)
        play.complete("error")
        assert_over(play)


@pytest.mark.parametrize("hook", ["attempt", "responseheaders", "verdict"])
def test_when_time_is_up_while_a_hook_is_pending(hook):
    """Timers that came due meanwhile wait behind the client's end, or before it: neither sends anything."""
    for first in ("time", "client"):
        with Playbook("one.test", "two.test", first_byte_timeout=30, hold=5) as play:
            play.holds.add(hook)
            play.client_asks()
            if hook == "responseheaders":
                play.server(1).sends(STREAM_HEAD)
            elif hook == "verdict":
                play.server(1).sends(error(500))
            if first == "time":
                play.advance(100)
            play.client_closes()
            play.advance(100)
            play.complete(hook)
            assert_over(play)


def test_after_the_answer():
    with Playbook() as play:
        play.client_asks()
        play.server(1).sends(stream(events()))
        play.client_closes()
        assert_over(play, ends="response")


def test_a_relayed_answer():
    with Playbook() as play:
        play.client_asks(path="/v1/files")
        play.server(1).sends(head(200, "content-length: 6") + b"abc")
        play.client_closes()
        assert play.server(1).given_up
        assert_over(play)


class TestKilled:
    """`flow.kill()`, mitmweb's delete key: the client's connection ends, and so does the provider's."""

    @pytest.mark.parametrize("hook", ["requestheaders", "request", "attempt", "responseheaders", "verdict"])
    def test_in_a_hook(self, hook):
        def kill(data):
            usual(data)
            getattr(data, "flow", data).error = Error(Error.KILLED_MESSAGE)

        with Playbook("one.test", "two.test") as play:
            usual = play.on[hook]
            play.on[hook] = kill
            play.may_break = True
            play.client_asks()
            if play.servers:
                play.server(1).sends(error(500) if hook == "verdict" else stream(events()))
            assert play.client_is_gone
            assert not play.hung_up
            assert_over(play)
            assert all(server.given_up for server in play.servers) or hook == "verdict"

    def test_in_mid_stream(self):
        with Playbook() as play:
            play.may_break = True
            play.client_asks()
            play.server(1).sends(STREAM_HEAD + chunk(START + delta("a")))
            play.flows[0].kill()
            play.server(1).sends(chunk(delta("b")) + LAST_CHUNK)
            assert play.client_is_gone
            assert_over(play, ends="response")


def test_an_exception_in_the_loop_itself_ends_the_request_as_if_the_client_had_gone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    def raises(self, data):
        raise RecursionError("the model said: hi")

    with Playbook() as play:
        play.may_fail = play.may_break = True
        play.client_asks()
        monkeypatch.setattr(AnswerReader, "feed", raises)
        play.server(1).sends(STREAM_HEAD, chunk(START))
        assert play.client_is_gone
        assert play.server(1).given_up
        assert play.ends == ["error"]
    assert [record.message.partition(" (")[0] for record in caplog.records if record.levelname == "ERROR"] == [
        "gateway: RecursionError in a connection"
    ]
    assert "the model said" not in caplog.text
