"""`./run.sh user` without a running gateway: what it does to the file, prints, and exits with.

commands/user_shown.py and commands/database.py are tested here too. (With a running one: tests/e2e/test_users.py.)
"""

from __future__ import annotations

import json
import re
import sqlite3
import stat
from argparse import ArgumentParser
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from addons.commands.database import add_option, path_of
from addons.commands.running_gateway import Failed
from addons.commands.user import main
from addons.config.settings import HOME
from addons.state.users import UserFile
from addons.team.keys import public_id
from tests.fakes.ports import port_of, reserve

Run = Callable[..., Any]


class Said(NamedTuple):
    """What the command has printed."""

    out: str
    errors: str


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("GATEWAY_HOST", "GATEWAY_CONTROL"):
        monkeypatch.delenv(name, raising=False)
    with reserve() as nobody:
        monkeypatch.setenv("GATEWAY_PORT", str(port_of(nobody)))
    monkeypatch.setenv("GATEWAY_DB", str(tmp_path / "gateway.db"))
    monkeypatch.setenv("GATEWAY_ENV", str(tmp_path / ".env"))
    return tmp_path / "gateway.db"


@pytest.fixture
def run(database: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """The JSON that the command prints."""

    def call(*arguments: str) -> Any:
        assert main([*arguments, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    return call


def test_a_user_as_json(run: Run, database: Path) -> None:
    limits = ("--budget", "day=5,month=100", "--models", "glm*,claude-*", "--rpm", "60", "--sessions", "4", "--admin")
    added = run("add", "alice", *limits)
    assert public_id(added["key"]) == added["id"]
    plain = {name: value for name, value in added.items() if name != "key"}
    assert plain == run("show", "alice") == run("list")[0]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", added.pop("created_at"))
    assert added == {
        "name": "alice",
        "id": added["id"],
        "budget": {"day": 5.0, "week": None, "month": 100.0},
        "models": ["glm*", "claude-*"],
        "rpm": 60,
        "sessions": 4,
        "spent": {"day": 0.0, "week": 0.0, "month": 0.0},
        "revoked": False,
        "revoked_at": None,
        "admin": True,
        "old_key_until": None,
        "key": added["key"],
    }
    assert stat.S_IMODE(database.stat().st_mode) == 0o600
    for file in database.parent.glob("gateway.db*"):
        assert added["key"].encode() not in file.read_bytes() and added["key"][-20:].encode() not in file.read_bytes()


def test_options_may_stand_before_the_action(
    run: Run, database: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("add", "alice")
    assert main(["--json", "show", "alice"]) == 0
    assert json.loads(capsys.readouterr().out)["name"] == "alice"
    assert main(["--db", str(tmp_path / "other.db"), "--json", "list"]) == 0
    assert json.loads(capsys.readouterr().out) == []


def test_a_model_that_there_is_not_is_said(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GATEWAY_ROUTING", str(Path(__file__).parents[2] / "routing.yaml.example"))
    assert main(["add", "alice", "--models", "GLM*,claude-sonnet-*,kimi,gml"]) == 0
    assert "no model is called GLM*, gml (as it is written); there are: glm, glm-fast, " in capsys.readouterr().err
    assert main(["set", "alice", "--models", "glm*,anthropic/claude-x,*-fast"]) == 0
    assert "no model" not in capsys.readouterr().err
    (tmp_path / "routing.yaml").write_text("models: [")
    monkeypatch.setenv("GATEWAY_ROUTING", str(tmp_path / "routing.yaml"))
    assert main(["set", "alice", "--models", "whatever"]) == 0, "users can be changed while it has a mistake"


def test_an_old_key_is_told_while_it_is_good(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    run("add", "alice")
    assert run("rotate", "alice", "--grace", "24h")["old_key_until"]
    assert main(["show", "alice"]) == 0
    assert re.search(r"^old key   good until \d{4}-", capsys.readouterr().out, re.MULTILINE)
    assert run("revoke", "alice")["old_key_until"] is None
    assert run("set", "shared", "--rpm", "5")["created_at"] is None


def test_changes(run: Run) -> None:
    first = run("add", "alice", "--budget", "day=5", "--rpm", "60")
    assert run("set", "alice", "--budget", "month=50")["budget"] == {"day": 5.0, "week": None, "month": 50.0}
    assert run("set", "ALICE", "--budget", "day=none", "--rpm", "none")["rpm"] is None
    assert run("set", "alice", "--admin")["admin"] and not run("set", "alice", "--no-admin")["admin"]
    assert run("show", "alice")["budget"] == {"day": None, "week": None, "month": 50.0}
    second = run("rotate", "alice", "--grace", "24h")
    assert (second["id"], second["budget"]["month"]) == (first["id"], 50.0)
    assert second["key"] != first["key"] and second["old_key_until"]
    assert run("rotate", "alice")["old_key_until"] is None
    assert run("revoke", "alice")["revoked"] is True
    assert run("revoke", "alice")["revoked"] is True
    assert run("list")[0]["revoked_at"]
    assert run("rotate", "alice", "--grace", "1h")["old_key_until"] is None, "a revoked key is not brought back"
    assert run("set", "shared", "--rpm", "5")["name"] == "shared"
    assert run("delete", "alice")["name"] == "alice"
    assert [one["name"] for one in run("list")] == ["shared"]
    assert run("open-gate") == {"gate": "open"}


def test_in_words(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    def said(*arguments: str) -> Said:
        assert main(arguments) == 0
        return Said(*capsys.readouterr())

    assert said("list").out == "there are no users: ./run.sh user add NAME makes one\n"
    out, errors = said("add", "alice", "--budget", "day=5,week=2.5")
    assert public_id(out.strip()), "nothing but the key, to be put somewhere"
    assert "shown this once" in errors and "the gate is closed from now on" in errors
    assert "no gateway has been started here" in errors
    assert "the gate is closed" not in said("add", "bob", "--models", "glm").errors
    head, alice, bob = said("list").out.splitlines()
    assert head.split() == ["NAME", "ID", "STATE", "BUDGET", "MODELS", "RPM", "SESSIONS"]
    assert re.fullmatch(r"alice  [a-z2-7]{8}  active  day \$5, week \$2\.50  all     -    -", alice)
    assert re.fullmatch(r"bob    [a-z2-7]{8}  active  -  +glm     -    -", bob)
    assert (
        "budget day $5, week $2.50, 3 requests a minute, administrator"
        in said("set", "alice", "--rpm", "3", "--admin").out
    )
    assert "spent     $0.00 this day, $0.00 this week, $0.00 this month" in said("show", "alice").out
    assert "the old one is good until 20" in said("rotate", "alice", "--grace", "2h").errors
    assert "the old one is no good any more" in said("rotate", "alice").errors
    assert said("revoke", "alice").out == "alice is not let in any more, and running answers end\n"
    assert "revoked 20" in said("list").out
    assert "alice was revoked, and may come in again" in said("rotate", "alice").errors
    assert said("delete", "alice").out == "alice and 0 rows of requests are forgotten\n"
    said("delete", "bob")
    assert "the gate is closed all the same" in said("list").out
    assert "the gate is open" in said("open-gate").out
    run("add", "carol")
    run("open-gate")
    assert "the gate is open" in said("list").out
    assert "the gate is open: without a key, everybody comes in" in said("revoke", "carol").errors


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "ACTION"),
        (["frobnicate"], "invalid choice"),
        (["add"], "name"),
        (["add", "a b"], "'a b' is no name"),
        (["add", "admin"], "name of a caller that is no user"),
        (["add", "x", "--budget", "year=5"], "is no budget"),
        (["add", "x", "--budget", "day=lots"], "'lots' is no amount of US dollars"),
        (["add", "x", "--rpm", "0"], "is no number"),
        (["add", "x", "--models", "a*b*"], "is no pattern"),
        (["set", "x"], "set what?"),
        (["rotate", "x", "--grace", "soon"], "'soon' is no time"),
    ],
)
def test_wrong_use(database: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str) -> None:
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2
    assert words in capsys.readouterr().err
    assert not database.exists()


def test_what_cannot_be_done(run: Run, database: Path) -> None:
    for action in (["show"], ["set", "--rpm", "1"], ["rotate"], ["revoke"], ["delete"]):
        with pytest.raises(Failed, match="there is no user"):
            main([action[0], "nobody.there", *action[1:]])
    run("add", "alice")
    with pytest.raises(Failed, match="there is a user alice already"):
        main(["add", "Alice"])
    run("set", "shared", "--rpm", "5")
    with pytest.raises(Failed, match="all of them would be administrators"):
        main(["set", "shared", "--admin"])
    for keyless in ("revoke", "rotate"):  # it has no key: saying that it is kept out would be a lie
        with pytest.raises(Failed, match="shared is whoever has PROXY_STATIC_TOKEN: change it"):
            main([keyless, "shared"])
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(Failed, match=r"gateway\.db can't be used: its version is 99"):
        main(["list"])


def test_where_the_file_is(tmp_path: Path) -> None:
    parser = ArgumentParser()
    add_option(parser)
    assert path_of(parser.parse_args([]), {}) == HOME / ".gateway.db"
    assert path_of(parser.parse_args([]), {"GATEWAY_DB": "/srv/x.db"}) == Path("/srv/x.db")
    assert path_of(parser.parse_args(["--db", "~/y.db"]), {"GATEWAY_DB": "/srv/x.db"}) == Path.home() / "y.db"


def test_no_key_is_in_what_python_shows(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []
    monkeypatch.setattr(UserFile, "add", lambda _, known: seen.append(repr(known)))
    key = run("add", "alice")["key"]
    assert key not in str(seen) and "digest" not in str(seen)
