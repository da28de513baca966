"""What is relayed and with which credential; and the attempt loop for it: it goes upstream as it is, once."""

import pytest
from mitmproxy import http

from addons.config.config import Config, Provider
from addons.proxy.relay import accepted, may_be_relayed, point_at_upstream
from addons.state.exchange import Client, ClientCredential, Exchange
from tests.exchanges import provider
from tests.proxy.playbook import Playbook
from tests.proxy.provider_bytes import LAST_CHUNK, chunk, error, head


def test_an_answer_is_streamed_as_it_comes():
    with Playbook() as play:
        play.client_asks(path="/v1/files")
        assert play.server(1).host == "default.test"
        play.server(1).sends(head(200, "content-length: 6") + b"abc")
        assert play.sent_to_client.endswith(b"abc")
        play.server(1).sends(b"def")
        assert play.answer.body == b"abcdef"
        assert play.ends == ["response"]


def test_an_error_is_an_answer_too():
    with Playbook() as play:
        play.client_asks(path="/v1/files")
        play.server(1).sends(error(500))
        assert play.answer.status == 500
        assert play.hooks.count("verdict") == 0


def test_it_may_take_as_long_as_it_likes_once_it_has_begun():
    with Playbook(answer_timeout=600) as play:
        play.client_asks(path="/v1/files")
        play.advance(500)
        play.server(1).sends(head(200, "content-length: 6") + b"abc")
        play.advance(5000)
        play.server(1).sends(b"def")
        assert play.answer.body == b"abcdef"
        assert play.outcomes == [None]


def test_it_must_begin_in_time():
    with Playbook(answer_timeout=600) as play:
        play.client_asks(path="/v1/files")
        play.advance(600)
        assert play.answer.status == 504
        assert play.server(1).given_up


@pytest.mark.parametrize(
    ("lines", "body"), [("Content-Length: 0", b""), ("Transfer-Encoding: chunked", chunk(b"abc") + LAST_CHUNK)]
)
def test_a_body_is_sent_with_its_length(lines, body):
    with Playbook() as play:
        play.on["attempt"] = lambda trying: None
        play.client_sends(f"PUT /v1/files HTTP/1.1\r\nHost: g\r\n{lines}\r\n\r\n".encode() + body)
        (asked,) = play.server(1).asked
        assert asked.body == body[3:6]
        assert asked.headers["content-length"] == str(len(asked.body))
        assert "transfer-encoding" not in asked.headers


def test_an_empty_post_has_a_length():
    with Playbook() as play:
        play.client_sends(b"POST /v1/files HTTP/1.1\r\nHost: g\r\n\r\n")
        assert play.server(1).asked[0].headers["content-length"] == "0"


def test_an_answer_without_a_body():
    with Playbook() as play:
        play.client_sends(b"GET /nothing HTTP/1.1\r\nHost: g\r\n\r\n")
        assert "content-length" not in play.server(1).asked[0].headers
        play.server(1).sends(head(204))
        assert play.answer.status == 204


def test_a_refused_connection_is_told():
    with Playbook() as play:
        play.answers_connects = False
        play.client_asks(path="/v1/files")
        play.server(1).refuses()
        assert play.answer.status == 502
        assert play.outcomes == ["connect"]


def test_an_answer_that_breaks_off_takes_the_clients_connection_with_it():
    with Playbook() as play:
        play.may_break = True
        play.client_asks(path="/v1/files")
        play.server(1).sends(head(200, "content-length: 6") + b"abc")
        play.server(1).closes()
        assert not play.answer.complete
        assert play.ends == ["error"]
        assert play.client_is_gone


def test_a_connection_that_becomes_something_else():
    """From there on the bytes are mitmproxy's business, and our timers must not get in its way."""
    play = Playbook()  # without the rules for HTTP, which this is no more
    play.client_sends(b"GET /socket HTTP/1.1\r\nHost: g\r\n\r\n")
    play.server(1).sends(head(101, "Connection: Upgrade", "Upgrade: something"))
    play.advance(3600)
    play.server(1).sends(b"from the provider")
    play.client_sends(b"from the client")
    assert play.sent_to_client.endswith(b"from the provider")
    assert play.server(1).received.endswith(b"from the client")


def test_an_invalid_answer_is_not_passed_on():
    with Playbook() as play:
        play.client_asks(path="/v1/files")
        play.server(1).sends(head(200, "b\u00e4d: 1", "content-length: 6"))
        assert play.answer.status == 502
        assert b"not valid HTTP" in play.answer.body


def test_a_request_of_which_nobody_has_decided_where_it_goes_goes_nowhere():
    for path in ("/v1/messages", "/v1/files"):
        with Playbook() as play:
            play.on["request"] = lambda flow: None  # the handler that should have, has failed
            play.client_asks(path=path, stream=False)
            assert play.servers == []
            assert play.answer.status == 500
            assert b"does not know where to send" in play.answer.body


# What may be relayed

KEY, LOGIN = "sk-ant-api03-0123456789", "Bearer sk-ant-oat01-0123456789"
HOME = "api.anthropic.com"


def relayed(own: ClientCredential, default_host: str = HOME, path: str = "/v1/files", **providers: Provider) -> bool:
    config = Config(providers=providers, models=())
    return may_be_relayed(Exchange(config, lambda: 0.0, 0.0, "POST", path, client=Client(credential=own)), default_host)


@pytest.mark.parametrize(
    ("own", "home", "elsewhere"),
    [
        (ClientCredential(), False, False),
        (ClientCredential(x_api_key="any-value"), False, False),
        (ClientCredential("Bearer any-value", "any-value"), False, False),
        (ClientCredential(x_api_key="sk-proj-0123456789"), False, True),
        (ClientCredential("Basic sk-ant-api03-0123456789"), False, True),
        (ClientCredential(x_api_key="sk-ant-"), False, True),
        (ClientCredential(x_api_key=KEY), True, True),
        (ClientCredential(LOGIN), True, True),
        (ClientCredential("bearer  SK-ANT-OAT01-x"), True, True),
        (ClientCredential("Bearer any-value", KEY), True, True),
    ],
)
def test_the_credential_must_be_one_for_where_it_goes(own: ClientCredential, home: bool, elsewhere: bool):
    assert relayed(own) == home
    assert relayed(own, "proxy.corp.example") == elsewhere
    assert relayed(own, HOME, anthropic=provider("anthropic")) == elsewhere
    assert relayed(own, "proxy.corp.example", anthropic=provider("anthropic", host=HOME)) == home
    assert relayed(own, HOME, zai=provider("zai")) == home
    assert not relayed(own, path="*")


@pytest.mark.parametrize("fields", [{"host": "", "base_url": "", "missing": "URL"}, {"format": "openai-chat"}])
def test_an_anthropic_that_can_not_be_asked_has_no_stand_in(fields: dict[str, str]):
    assert not relayed(ClientCredential(LOGIN), anthropic=provider("anthropic", **fields))


def test_only_what_can_be_anthropics_goes_there():
    own = ClientCredential("Bearer any-value", KEY)
    assert accepted(own, HOME) == {"x-api-key": KEY}
    assert accepted(own, "proxy.corp.example") == {"x-api-key": KEY}
    assert accepted(ClientCredential(LOGIN, "k"), HOME) == {"authorization": LOGIN}
    assert accepted(ClientCredential(LOGIN, "k"), "proxy.corp.example") == {"authorization": LOGIN, "x-api-key": "k"}


def test_it_goes_to_the_base_url_of_anthropic():
    at = provider("anthropic", host="proxy.corp.example", port=8443, path="/anthropic", headers={"x-secret": "s"})
    made = Exchange(
        Config(providers={"anthropic": at}, models=()), lambda: 0.0, 0.0, "PUT", "/v1/files?a=1",
        headers=(("X-App", "cli"),), client=Client(credential=ClientCredential(LOGIN)),
    )  # fmt: skip
    request, credential = http.Request.make("POST", "https://api.anthropic.com/v1/files"), dict[str, str]()
    point_at_upstream(request, made, credential)
    assert (request.method, request.url) == ("PUT", "https://proxy.corp.example:8443/anthropic/v1/files?a=1")
    assert dict(request.headers) == {
        "host": "proxy.corp.example:8443", "X-App": "cli", "authorization": "Bearer sk-ant-oat01…"
    }  # fmt: skip
    assert credential == {"authorization": LOGIN}
