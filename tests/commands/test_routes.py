"""`./run.sh routes`: the question it takes, and the answer in lines. (With a gateway: tests/e2e/test_commands.py.)"""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from addons.commands.routes import described, main, parsed, question


def test_a_question(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = '{"model": "glm", "class": "subagent"}'
    file = tmp_path / "request.json"
    file.write_text(asked, encoding="utf-8")
    monkeypatch.setattr("sys.stdin", io.StringIO(asked))
    for arguments in (["--explain", asked], ["--explain-file", str(file)], ["--explain-file", "-"]):
        assert question(parsed(arguments)) == {"model": "glm", "class": "subagent"}
    assert question(parsed([])) is None


@pytest.mark.parametrize("asked", ["{", "[]", "{}", '{"model": 1}', "[" * 100_000])
def test_a_question_that_is_none(asked: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        question(parsed(["--explain", asked]))
    assert caught.value.code == 2
    assert "JSON" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ('"tokens": "x"', "'tokens' must be a whole number"),
        ('"tokens": true', "'tokens' must be a whole number"),
        ('"class": ["main"]', "'class' must be a word"),
        ('"image": "no"', "'image' must be true or false"),
        ('"header": "x-a: b"', "'header' must be an object"),
        ('"tools": 5', "'tools' must be a name, or a list"),
    ],
)
def test_a_field_that_is_none_is_named(field: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        question(parsed(["--explain", f'{{"model": "glm", {field}}}']))
    assert caught.value.code == 2
    assert words in capsys.readouterr().err


def test_who_asks_is_a_part_of_the_question(capsys: pytest.CaptureFixture[str]) -> None:
    assert question(parsed(["--explain", '{"model": "glm"}', "--user", "alice"])) == {"model": "glm", "user": "alice"}
    with pytest.raises(SystemExit):
        parsed(["--user", "alice"])
    assert "--user goes with --explain" in capsys.readouterr().err


def test_the_answer_in_lines() -> None:
    plain = {"provider": "zai", "model": "glm-5", "account": "zai:1", "skipped": None}
    off = {"provider": "kimi", "model": "k2", "account": None, "skipped": "KIMI_API_KEY is not set"}
    assert described({"rule": "rule 1 (class: subagent)", "model": "glm", "targets": [plain, off]}).splitlines() == [
        "rule 1 (class: subagent): glm",
        "  1. zai/glm-5 with zai:1",
        "  2. kimi/k2 (skipped: KIMI_API_KEY is not set)",
    ]
    assert described({"rule": None, "model": "x", "targets": []}) == "no rule: x\n  no model is called so\n"


def test_a_mistake_in_the_file_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GATEWAY_ROUTING", str(tmp_path / "routing.yaml"))
    monkeypatch.setenv("GATEWAY_ENV", str(tmp_path / ".env"))
    (tmp_path / "routing.yaml").write_text("modles: {}\n")
    assert main([]) == 1
    assert "did you mean models?" in capsys.readouterr().err
