"""A login as Claude Code keeps it: read, renewed, written back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addons.wire.claude_login import (
    CLIENT_ID,
    EARLY,
    Later,
    Login,
    Refused,
    Renewed,
    read_login,
    read_renewal,
    renewal,
    renewed,
)

ACCESS, REFRESH = "sk-ant-oat01-access-of-the-login-0001", "sk-ant-ort01-refresh-of-the-login-0001"
NOW = 1_800_000_000.0


def document(**fields: Any) -> bytes:
    """A credentials file, with some fields of the login changed (None: left out)."""
    login = {
        "accessToken": ACCESS,
        "refreshToken": REFRESH,
        "expiresAt": 1_800_000_000_000,
        "refreshTokenExpiresAt": 1_900_000_000_000,
        "scopes": ["user:inference", "user:profile"],
        "subscriptionType": "max",
        "later": {"a": 1},
        **fields,
    }
    return json.dumps(
        {"claudeAiOauth": {k: v for k, v in login.items() if v is not None}, "mcpOAuth": {"x": 1}}
    ).encode()


def test_a_login_is_read() -> None:
    assert read_login(document()) == Login(ACCESS, REFRESH, NOW, ("user:inference", "user:profile"))
    assert read_login(document(refreshToken=None, expiresAt=None, scopes=None)) == Login(ACCESS)
    assert read_login(document(refreshToken="", expiresAt="soon", scopes=[1])) == Login(ACCESS)


def test_when_a_login_is_due() -> None:
    login = read_login(document())
    assert [login.is_due(NOW - EARLY + at) for at in (-1, 0)] == [False, True]
    assert [login.is_over(NOW + at) for at in (-1, 0)] == [False, True]
    assert not Login(ACCESS).is_due(NOW) and not Login(ACCESS).is_over(NOW)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "it is not JSON"),
        (b"[1]", "it is no JSON object"),
        (b"[" * 100_000, "it is not JSON"),
        (b"{}", "there is no claudeAiOauth in it"),
        (document(accessToken=None), "there is no access token in it: log in again"),
        (document(accessToken=""), "there is no access token in it: log in again"),
        (document(accessToken="two words"), "there is no access token in it: log in again"),
    ],
)
def test_a_file_without_a_login_says_why(data: bytes, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        read_login(data)


def test_the_request_is_the_clients() -> None:
    fields = {"grant_type": "refresh_token", "refresh_token": REFRESH, "client_id": CLIENT_ID}
    assert json.loads(renewal(Login(ACCESS, REFRESH))) == fields
    assert json.loads(renewal(read_login(document()))) == fields | {"scope": "user:inference user:profile"}


def test_new_tokens_are_read() -> None:
    body = b'{"access_token": "new", "refresh_token": "newer", "expires_in": 28800, "scope": "a b", "x": {}}'
    assert read_renewal(200, {}, body, NOW) == Renewed("new", "newer", 28800, None, ("a", "b"))
    assert read_renewal(200, {}, b'{"access_token": "new"}', NOW) == Renewed("new")


INVALID_GRANT = b'{"error": "invalid_grant", "error_description": "Refresh token not found or invalid"}'


@pytest.mark.parametrize(
    ("status", "headers", "body", "outcome"),
    [
        (400, {}, INVALID_GRANT, Refused),
        (401, {}, INVALID_GRANT, Refused),
        (404, {}, b"", Refused),
        (403, {}, b'{"error": {"message": "on hold, see https://claude.ai/x"}}', Refused),
        (400, {}, b'{"error": "invalid_request"}', Later),
        (403, {}, b"<html>", Later),
        (500, {}, b"", Later),
        (200, {}, b"", Later),
        (200, {}, b'{"access_token": 5}', Later),
        (200, {}, b"[" * 100_000, Later),
        (302, {"location": "https://elsewhere.test"}, b"", Later),
    ],
)
def test_what_else_the_endpoint_says(status: int, headers: dict[str, str], body: bytes, outcome: type) -> None:
    answer = read_renewal(status, headers, body, NOW)
    assert isinstance(answer, outcome)


@pytest.mark.parametrize(("said", "wait"), [("60", 60), ("1", 5), ("86400", 300), ("", None)])
def test_a_limit_is_waited_for_in_bounds(said: str, wait: float | None) -> None:
    answer = read_renewal(429, {"retry-after": said}, b'{"error": "rate_limited"}', NOW)
    assert answer == Later("429 rate_limited", wait)


def test_no_token_is_told() -> None:
    login = read_login(document())
    answer = read_renewal(400, {}, json.dumps({"error": f"invalid_grant {REFRESH}"}).encode(), NOW)
    for shown in (repr(login), repr(Renewed(ACCESS, REFRESH)), repr(answer)):
        assert "of-the-login" not in shown


def test_what_else_is_in_the_file_stays() -> None:
    before = json.loads(document())
    after = json.loads(renewed(document(), Renewed("new", "newer", 100, 200, ("c",)), NOW))
    changed = {"accessToken", "refreshToken", "expiresAt", "refreshTokenExpiresAt", "scopes"}
    assert after["mcpOAuth"] == before["mcpOAuth"]
    section = after["claudeAiOauth"]
    assert list(section) == list(before["claudeAiOauth"])
    assert {key: section[key] for key in section if key not in changed} == {
        "subscriptionType": "max",
        "later": {"a": 1},
    }
    assert section["expiresAt"] == (NOW + 100) * 1000
    assert section["refreshTokenExpiresAt"] == (NOW + 200) * 1000
    assert read_login(json.dumps(after).encode()) == Login("new", "newer", NOW + 100, ("c",))


def test_what_the_endpoint_leaves_out_stays() -> None:
    after = read_login(renewed(document(), Renewed("new"), NOW))
    assert after == Login("new", REFRESH, NOW, ("user:inference", "user:profile"))


@given(st.binary(max_size=50), st.integers(100, 599))
def test_nothing_that_is_said_raises(body: bytes, status: int) -> None:
    read_renewal(status, {}, body, NOW)
