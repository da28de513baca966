"""The table, the CSV and the JSON of `usage`, and the file when no gateway runs."""

from __future__ import annotations

import csv
import io
import json
import time
from contextlib import closing
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest

from addons.commands import usage
from addons.commands.running_gateway import Failed, NotRunning, RunningGateway
from addons.state.database import opened, transaction
from addons.state.ledger_rows import write
from addons.state.store import Store
from tests.finished import finished

ROW = {
    "day": "2026-11-28",
    "models": ["claude-opus-5-5", "glm-5"],
    "requests": 3,
    "input_tokens": 1234,
    "output_tokens": 5678,
    "cache_write_tokens": 9012,
    "cache_read_tokens": 3456789,
    "cost_usd": 12.345,
    "estimated": 0,
}
TOTAL = {name: value for name, value in ROW.items() if name != "day"}
FOUND = {"rows": [ROW], "total": TOTAL}


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What a running gateway answers, and in `asked` what it was asked."""
    known: dict[str, Any] = {"answer": FOUND}

    class Running:
        def __init__(self, options: object, *, as_user: bool) -> None:
            pass

        def ask(self, name: str, **asked: str) -> Any:
            known["asked"] = (name, {key: value for key, value in asked.items() if value})
            return known["answer"]

    monkeypatch.setattr(usage, "RunningGateway", Running)
    monkeypatch.delenv("COLUMNS", raising=False)
    return known


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert usage.main(arguments) == 0
    return capsys.readouterr().out


def test_json_is_what_the_gateway_says(told: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert json.loads(printed(capsys, "weekly", "--json", "--since", "7d", "--user", "bob")) == FOUND
    assert told["asked"] == ("usage", {"view": "weekly", "since": "7d", "user": "bob"})


def test_csv(told: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    told["answer"] = {"rows": [ROW, {**ROW, "cost_usd": None, "unpriced": 1}], "total": TOTAL}
    [first, second] = csv.DictReader(io.StringIO(printed(capsys, "--csv")))
    assert (first["models"], first["cost_usd"], first["unpriced"]) == ("claude-opus-5-5 glm-5", "12.345", "")
    assert (second["cost_usd"], second["unpriced"]) == ("", "1")
    told["answer"] = {"rows": [], "total": TOTAL}
    assert printed(capsys, "--csv") == f"day,{','.join(TOTAL)}\n"
    assert printed(capsys, "session", "--csv") == f"session,user,last,{','.join(TOTAL)}\n"


def test_a_wide_table(
    told: dict[str, Any], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    shown = printed(capsys)
    for text in (
        "Date",
        "Models",
        "Cache write",
        "Cache read",
        "Total",
        "Cost (USD)",
        "- glm-5",
        "3,472,713",
        "$12.35",
    ):
        assert text in shown
    assert shown.count("$12.35") == 2
    assert max(map(len, shown.splitlines())) <= 120


def test_numbers_never_push_the_models_out(
    told: dict[str, Any], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    large = {**ROW, "cache_read_tokens": 10**11, "input_tokens": 10**9, "output_tokens": 10**9, "cost_usd": 98765.43}
    told["answer"] = {"rows": [large], "total": {**large, "unpriced": 1}}
    for columns in (100, 110, 120, 140):
        monkeypatch.setenv("COLUMNS", str(columns))
        shown = printed(capsys)
        assert "opus" in shown
        assert "$98,765.43" in shown
        assert ("Cache read" in shown) == (columns >= 140)


@pytest.mark.parametrize("columns", [40, 60, 80, 99])
def test_a_narrow_table(
    told: dict[str, Any], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    shown = printed(capsys)
    assert "Cache" not in shown.partition("a wider terminal")[0]
    assert max(map(len, shown.splitlines())) <= columns
    assert "5,678" in shown
    assert "$12.35" in shown
    assert str(ROW["day"]) in shown, "a date stays in one piece"
    assert ("glm-5" in shown) == (columns >= 60), "and so does a name, or it isn't there"


def test_long_sessions_make_room_for_numbers(
    told: dict[str, Any], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "115")
    told["answer"] = {"rows": [{**ROW, "session": "x" * 36}], "total": TOTAL}
    shown = printed(capsys, "session")
    assert max(map(len, shown.splitlines())) <= 115
    assert "Cache read" in shown and shown.count("│     $12.35 │") == 2


def test_a_very_narrow_table_has_days_and_costs(
    told: dict[str, Any], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "26")
    shown = printed(capsys)
    assert f"│ {ROW['day']} │ $12.35 │" in shown
    assert "5,678" not in shown and "models and tokens too" in " ".join(shown.split())


def test_what_is_unknown_or_estimated_is_marked(
    told: dict[str, Any], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    unknown = {**ROW, "model": "mine", "provider": "own", "cost_usd": None, "unpriced": 2}
    partly = {**ROW, "model": "k3\x1b[31m" + "x" * 50, "provider": "kimi", "estimated": 2, "unpriced": 1}
    told["answer"] = {"rows": [unknown, partly], "total": {**TOTAL, "estimated": 2, "unpriced": 3}}
    shown = printed(capsys, "model")
    assert "own/mine" in shown
    assert "unknown" in shown
    assert "~$12.35 + ?" in shown
    assert "\x1b[31m" not in shown
    assert "no price is known" in shown


def test_nothing(told: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    told["answer"] = {"rows": [], "total": TOTAL}
    assert printed(capsys) == "nothing was used in this time\n"


@pytest.mark.parametrize(
    "arguments", [["yearly"], ["--json", "--csv"], ["--since", "never"], ["--until", "2026-02-30"]]
)
def test_wrong_use(arguments: list[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        usage.main(arguments)


class TestWithoutAGateway:
    @pytest.fixture(autouse=True)
    def _nobody_answers(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        def refused(*_: object, **__: object) -> None:
            raise NotRunning("nobody is there")

        monkeypatch.setattr(RunningGateway, "__init__", refused)
        monkeypatch.setenv("GATEWAY_ROUTING", str(Path(__file__).parents[2] / "routing.yaml.example"))
        monkeypatch.setenv("GATEWAY_ENV", str(tmp_path / ".env"))
        monkeypatch.delenv("GATEWAY_KEY", raising=False)

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        path = tmp_path / "gateway.db"
        with closing(Store(path)) as store:
            store.record(finished(time=time.time(), cost_usd=0.5, price_version="older"))
        return path

    def test_the_file_is_read(self, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        found = json.loads(printed(capsys, "user", "--json", "--db", str(path)))
        assert [(row["user"], row["cost_usd"]) for row in found["rows"]] == [("alice", 0.5)]

    def test_a_file_that_is_none(self, path: Path) -> None:
        path.write_bytes(b"no database")
        with pytest.raises(Failed, match="can't be read"):
            usage.main(["--db", str(path)])

    @pytest.mark.parametrize("arguments", [["--url", "http://127.0.0.1:9"], []])
    def test_another_gateway_s_file_is_not(self, arguments: list[str], tmp_path: Path) -> None:
        with pytest.raises(NotRunning):
            usage.main([*arguments, "--db", str(tmp_path / "none.db")])

    def test_costs_are_computed_anew(self, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert "1 attempts looked at, 1 cost something else now" in printed(capsys, "--reprice", "--db", str(path))
        assert json.loads(printed(capsys, "--reprice", "--json", "--db", str(path))) == {"attempts": 1, "changed": 0}
        found = json.loads(printed(capsys, "--json", "--db", str(path)))
        assert found["total"]["cost_usd"] == 0, "the example's zai is a subscription"

    def test_there_is_nothing_to_compute(self, tmp_path: Path) -> None:
        with pytest.raises(Failed, match="is not there"):
            usage.main(["--reprice", "--db", str(tmp_path / "none.db")])


def test_the_files_of_several_gateways_are_read_as_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEWAY_ROUTING", str(Path(__file__).parents[2] / "routing.yaml.example"))
    files = []
    for number in range(2):
        files.append(tmp_path / f"{number}.db")
        with closing(opened(files[-1])) as connection, transaction(connection):
            write(connection, [finished(id="a", time=time.time(), cost_usd=0.5)], UTC)
    assert usage.main(["--json", "--merge", *map(str, files)]) == 0
    assert json.loads(capsys.readouterr().out)["total"]["requests"] == 2
    with pytest.raises(Failed, match="--merge"):
        usage.main(["--merge", str(tmp_path / "none.db")])
