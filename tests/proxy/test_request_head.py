"""The head of what goes to a provider: its path, its host, its secrets, and what the client's header lines become."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mitmproxy import http

from addons.proxy import request_head
from addons.proxy.request_head import (
    PATH,
    QUERY_KEY,
    allowed,
    as_bytes,
    as_text,
    host_header,
    on_the_wire,
    put_path,
    unpacked,
    with_flag,
    with_query,
)
from tests.exchanges import provider

KEY = "query-key-0123456789"


def request(*lines: tuple[str, str]) -> http.Request:
    made = http.Request.make("POST", "https://client.test/v1/messages", b"the body")
    made.headers = http.Headers([(name.encode(), value.encode()) for name, value in lines])
    return made


class TestThePath:
    def test_of_a_provider_without_parameters(self) -> None:
        asked, credential = request(), {"authorization": "Bearer x"}
        put_path(asked, credential, provider("zai"), "/api/v1/messages?beta=true")
        assert asked.path == "/api/v1/messages?beta=true"
        assert credential == {"authorization": "Bearer x"}

    def test_has_the_provider_s_parameters(self) -> None:
        azure = provider("azure", query={"api-version": "2026 01"})
        for path, sent in {"/m": "/m?api-version=2026%2001", "/m?a=b": "/m?a=b&api-version=2026%2001"}.items():
            asked, credential = request(), dict[str, str]()
            put_path(asked, credential, azure, path)
            assert asked.path == credential[PATH] == sent

    def test_shows_no_secret_parameter(self) -> None:
        asked, credential = request(), dict[str, str]()
        secret = provider("p", query={"user": "me", "code": KEY}, masked_query=frozenset({"code"}))
        put_path(asked, credential, secret, "/m")
        assert KEY not in asked.path and "user=me" in asked.path
        assert credential[PATH] == f"/m?user=me&code={KEY}"

    def test_shows_no_key(self) -> None:
        asked, credential = request(), {QUERY_KEY: KEY}
        put_path(asked, credential, provider("google", auth="query", auth_name="key"), "/m")
        assert KEY not in asked.path and asked.path.startswith("/m?key=")
        assert credential[PATH] == f"/m?key={KEY}"

    @given(st.dictionaries(st.text(min_size=1), st.text(min_size=1), min_size=1), st.sampled_from(["/m", "/m?"]))
    def test_of_any_parameters_can_be_read_again(self, parameters: dict[str, str], path: str) -> None:
        read = parse_qs(urlsplit(with_query(path, parameters)).query, strict_parsing=path == "/m")
        assert {name: values[0] for name, values in read.items()} == parameters


class TestOnTheWire:
    def test_secrets_stand_where_their_masks_were(self) -> None:
        shown = request(("Authorization", "Bearer sk-…"), ("accept", "a"))
        credential = {"authorization": "Bearer real", "x-more": "too", PATH: "/real", QUERY_KEY: KEY}
        head = on_the_wire(shown, credential)
        assert head.headers.fields == (
            (b"Authorization", b"Bearer real"),
            (b"accept", b"a"),
            (b"x-more", b"too"),
        )
        assert (head.path, head.data.content, head.http_version) == ("/real", None, "HTTP/1.1")

    def test_the_flow_s_own_head_stays_masked(self) -> None:
        shown = request(("authorization", "Bearer sk-…"))
        on_the_wire(shown, {"authorization": "Bearer real", PATH: "/real"})
        assert (shown.headers["authorization"], shown.path, shown.content) == (
            "Bearer sk-…",
            "/v1/messages",
            b"the body",
        )


class TestTheHost:
    @pytest.mark.parametrize(
        ("where", "host"),
        [
            ({"scheme": "https", "port": 443}, "p.test"),
            ({"scheme": "https", "port": 80}, "p.test:80"),
            ({"scheme": "http", "port": 80}, "p.test"),
            ({"scheme": "http", "port": 8080, "host": "::1"}, "[::1]:8080"),
        ],
    )
    def test_has_its_port_where_that_is_not_the_scheme_s(self, where: dict[str, object], host: str) -> None:
        assert host_header(provider("p", **where)) == host


class TestTheClientsLines:
    LINES = (
        ("Anthropic-Beta", "one, two,three"),
        ("anthropic-version", "2023-06-01"),
        ("User-Agent", "claude-cli"),
        ("x-app", "cli"),
        ("accept-encoding", "br"),
    )

    def names(self, **fields: object) -> list[str]:
        return [name for name, _ in allowed(self.LINES, provider("zai", **fields))]

    def test_anthropic_gets_all_but_what_packs_the_body(self) -> None:
        lines = allowed(self.LINES, provider("anthropic"))
        assert lines == list(self.LINES[:-1])

    def test_others_get_what_they_need(self) -> None:
        assert self.names() == ["anthropic-version", "User-Agent"]
        assert self.names(format="openai-chat") == ["User-Agent"]

    def test_others_get_the_flags_that_they_know(self) -> None:
        lines = allowed(self.LINES, provider("zai", betas=frozenset({"three", "one", "four"})))
        assert lines[0] == ("Anthropic-Beta", "one,three")

    def test_two_in_one_are_two(self) -> None:
        packed = [(b"X-Litellm-Api-Key", b"TOKEN, x-claude-token-mode: passthrough"), (b"a", b"b, c: d")]
        assert unpacked(packed) == [
            (b"X-Litellm-Api-Key", b"TOKEN"),
            (b"x-claude-token-mode", b"passthrough"),
            (b"a", b"b, c: d"),
        ]


@pytest.mark.parametrize(
    ("flags", "expected"), [("", "new"), ("a", "a,new"), ("a, b ,", "a,b,new"), ("new,a", "new,a")]
)
def test_a_beta_flag_stands_there_once(flags: str, expected: str) -> None:
    assert with_flag(flags, "new") == expected


@given(st.binary())
def test_any_bytes_survive_being_text(value: bytes) -> None:
    assert as_bytes(as_text(value)) == value


def test_a_long_name_is_known_like_any_other_and_not_kept():
    request_head._known_kind.cache_clear()
    long = b"X-" + b"a" * request_head.LONGEST_KNOWN
    assert request_head.kind_of(long) == (long.decode(), long.decode().lower(), False, False)
    assert request_head.kind_of(b"X-Api-Key")[1:3] == ("x-api-key", True)
    assert request_head._known_kind.cache_info().currsize == 1
