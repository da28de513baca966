"""The gateway that a command talks to: where it is looked for, and what is shown to it."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import pytest

from addons.commands.running_gateway import (
    Failed,
    NotRunning,
    Refused,
    RunningGateway,
    add_options,
    address,
    is_here,
    run,
    said,
    table,
)
from addons.config.yaml_reader import ConfigError
from addons.state.control import FILE_NAME, HEADER, make_secret
from addons.team.admission import refusal
from addons.team.users import Users
from tests.credentials import ADMIN, OWN
from tests.fakes.answers import Reply
from tests.fakes.ports import port_of, reserve
from tests.fakes.provider import Provider
from tests.fakes.request import Request
from tests.fakes.scripts import close_at_accept, error, plain_error


def gateway(*arguments: str, **env: str) -> RunningGateway:
    parser = argparse.ArgumentParser()
    add_options(parser)
    return RunningGateway(parser.parse_args(arguments), env)


@pytest.mark.parametrize(
    ("env", "url"),
    [
        ({}, "http://127.0.0.1:4000"),
        ({"GATEWAY_HOST": "0.0.0.0", "GATEWAY_PORT": "5000"}, "http://127.0.0.1:5000"),
        ({"GATEWAY_HOST": "::"}, "http://[::1]:4000"),
        ({"GATEWAY_HOST": "192.0.2.1", "GATEWAY_PORT": ""}, "http://192.0.2.1:4000"),
    ],
)
def test_the_address(env: dict[str, str], url: str) -> None:
    assert address(env) == url


@pytest.mark.parametrize("port", ["abc", "0", "65536", "-1", "4000/x"])
def test_a_port_that_is_none(port: str) -> None:
    with pytest.raises(ConfigError, match=f"GATEWAY_PORT={port} is no port"):
        address({"GATEWAY_PORT": port})


@pytest.mark.parametrize("url", ["nonsense", "127.0.0.1:4000", "ftp://x", "http://", "http://x:abc", "http://[::1", ""])
def test_an_address_that_is_none_is_wrong_use(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        gateway("--url", url)
    assert ended.value.code == 2
    assert "is no address: http://HOST:PORT" in capsys.readouterr().err


class TestWhatLetsACommandIn:
    def test_here_it_is_the_secret(self, tmp_path: Path) -> None:
        secret = make_secret(tmp_path / FILE_NAME)
        for found in (
            gateway("--control", str(tmp_path / FILE_NAME)),
            gateway(GATEWAY_CONTROL=str(tmp_path / FILE_NAME), LITELLM_MASTER_KEY=ADMIN),
            gateway("--url", "http://localhost:1/", GATEWAY_CONTROL=str(tmp_path / FILE_NAME), GATEWAY_ENV="/nowhere"),
        ):
            assert found.headers == {"content-type": "application/json", HEADER: secret}

    def test_it_is_beside_the_database(self, tmp_path: Path) -> None:
        secret = make_secret(tmp_path / FILE_NAME)
        assert gateway(GATEWAY_DB=str(tmp_path / "x.db")).headers[HEADER] == secret
        with pytest.raises(NotRunning, match="no gateway has been started here"):
            gateway(GATEWAY_DB=str(tmp_path / "x.db"), GATEWAY_CONTROL=str(tmp_path / "y"))

    def test_a_secret_that_is_not_its_own_is_named(self, tmp_path: Path) -> None:
        make_secret(tmp_path / FILE_NAME)
        with Provider("another", always=error(401, refusal(Users(), ""))) as another, pytest.raises(Refused) as refused:
            gateway(GATEWAY_DB=str(tmp_path / "x.db"), GATEWAY_PORT=str(another.port)).ask("pool")
        assert f"doesn't take {tmp_path / FILE_NAME}: GATEWAY_CONTROL" in str(refused.value)

    def test_a_users_key_is_for_what_concerns_the_user(self, tmp_path: Path) -> None:
        """Else whoever has GATEWAY_KEY in the shell, for `claude`, could administer nothing any more."""
        secret, env = make_secret(tmp_path / FILE_NAME), {"GATEWAY_DB": str(tmp_path / "x.db"), "GATEWAY_KEY": OWN}
        assert gateway(**env).headers[HEADER] == secret
        options = argparse.Namespace(url=None, control=None)
        shown = RunningGateway(options, env, as_user=True).headers
        assert shown["x-litellm-api-key"] == OWN and HEADER not in shown
        url = ("--url", "https://gateway.test")
        assert gateway(*url, GATEWAY_KEY=OWN, GATEWAY_ENV="/nowhere").headers["x-litellm-api-key"] == OWN
        assert gateway(*url, GATEWAY_KEY=OWN, LITELLM_MASTER_KEY=ADMIN).headers["x-litellm-api-key"] == ADMIN
        (tmp_path / FILE_NAME).unlink()
        assert gateway(**env).headers["x-litellm-api-key"] == OWN

    def test_a_key_is_shown_where_the_secret_is_another_gateways(self, tmp_path: Path) -> None:
        make_secret(tmp_path / FILE_NAME)

        def knows_the_key(request: Request) -> Reply:
            key = request.headers.get("x-litellm-api-key", "")
            return (
                plain_error(200, "[]")
                if key == OWN and HEADER not in request.headers
                else error(401, refusal(Users(), ""))
            )

        with Provider("another", always=knows_the_key) as another:
            env = {"GATEWAY_DB": str(tmp_path / "x.db"), "GATEWAY_PORT": str(another.port)}
            assert gateway(**env, GATEWAY_KEY=OWN).ask("pool") == []
            with pytest.raises(Refused, match="missing or wrong"):
                gateway(**env, GATEWAY_KEY="gw-wrong").ask("pool")

    def test_elsewhere_it_is_the_administrators_key(self) -> None:
        found = gateway("--url", "https://gateway.test/", LITELLM_MASTER_KEY=f'"{ADMIN}"', GATEWAY_ENV="/nowhere")
        assert (found.url, found.headers["x-litellm-api-key"]) == ("https://gateway.test", ADMIN)
        assert HEADER not in found.headers

    def test_without_either_it_says_so(self, tmp_path: Path) -> None:
        with pytest.raises(NotRunning, match="no gateway has been started here"):
            gateway(GATEWAY_CONTROL=str(tmp_path / FILE_NAME))
        with pytest.raises(Failed, match="LITELLM_MASTER_KEY is not set"):
            gateway("--url", "https://gateway.test", GATEWAY_ENV="/nowhere")

    def test_a_secret_that_others_may_read_is_not_used(self, tmp_path: Path) -> None:
        make_secret(tmp_path / FILE_NAME)
        (tmp_path / FILE_NAME).chmod(0o644)
        with pytest.raises(Failed, match="others may read it"):
            gateway(GATEWAY_CONTROL=str(tmp_path / FILE_NAME))


def test_nobody_answers(tmp_path: Path) -> None:
    make_secret(tmp_path / FILE_NAME)
    with reserve() as nobody, pytest.raises(NotRunning, match=r"no gateway answers at http://\S+: Connection refused"):
        gateway(GATEWAY_CONTROL=str(tmp_path / FILE_NAME), GATEWAY_PORT=str(port_of(nobody))).ask("pool")


@pytest.mark.parametrize(
    ("url", "here"),
    [("http://localhost:4000", True), ("http://[::1]:1", True), ("http://localhost.test", False), ("nonsense", False)],
)
def test_is_here(url: str, here: bool) -> None:
    assert is_here(url) is here


@pytest.mark.parametrize(
    ("body", "words"),
    [(b'{"error": {"message": "no"}}', "no"), (b"<html>", ""), (b'{"error": 1}', "")],
)
def test_the_words_of_an_error(body: bytes, words: str) -> None:
    assert said(body) == words


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (plain_error(501, "<html>"), "no gateway: it answers 501"),
        (plain_error(200, "<html>"), "is no gateway$"),
        (close_at_accept(), "no gateway answers at"),
    ],
)
def test_something_else_answers(tmp_path: Path, answer: Reply, words: str) -> None:
    make_secret(tmp_path / FILE_NAME)
    with Provider("else", always=answer) as other, pytest.raises(NotRunning, match=words):
        gateway(GATEWAY_CONTROL=str(tmp_path / FILE_NAME), GATEWAY_PORT=str(other.port)).ask("pool")


def test_a_table() -> None:
    assert table([["A", "BB", ""], ["long", "b", "x"]]) == "A     BB\nlong  b   x\n"
    assert table([]) == ""


def wrong(_arguments: object) -> int:
    raise Failed("it is so")


def misconfigured(_arguments: object) -> int:
    raise ConfigError("line 3")


def interrupted(_arguments: object) -> int:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("main", "status", "words"),
    [(lambda _: 0, 0, ""), (wrong, 1, "it is so\n"), (misconfigured, 1, "line 3\n"), (interrupted, 130, "")],
)
def test_exit_codes(main: Callable[[object], int], status: int, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        run(main)
    assert (caught.value.code, capsys.readouterr().err) == (status, words)
