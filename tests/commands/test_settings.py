"""`./run.sh settings`: what it prints, what it says is wrong, and what becomes of a settings file."""

from __future__ import annotations

import json
import stat
from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from addons.commands.running_gateway import Failed
from addons.commands.settings import difference, main, merged
from addons.config.settings import closed_mark
from tests.config.routing_texts import KEYS

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = (ROOT / "routing.yaml.example").read_text(encoding="utf-8")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """What the command does: its status, the block, and what it complains of."""
    (tmp_path / "routing.yaml").write_text(EXAMPLE)
    (tmp_path / ".env").touch(0o600)
    for name in (*KEYS, "CLAUDE_OAUTH_TOKENS", "GATEWAY_HOST", "GATEWAY_PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GATEWAY_ROUTING", str(tmp_path / "routing.yaml"))
    monkeypatch.setenv("GATEWAY_ENV", str(tmp_path / ".env"))

    def run(*arguments: str, env: str = "") -> tuple[int, dict[str, str], str]:
        (tmp_path / ".env").write_text(env)
        complaint = ""
        try:
            status = main(list(arguments))
        except Failed as error:
            status, complaint = 1, f"{error}\n"
        out, err = capsys.readouterr()
        return status, json.loads(out)["env"] if out else {}, (err + complaint).replace(f"{tmp_path}/", "")

    return run


def test_a_model_without_its_key_is_printed_with_what_is_missing(run: Any) -> None:
    status, shown, said = run("glm")
    assert (status, shown["ANTHROPIC_MODEL"]) == (1, "glm")
    assert said == "glm can't be used yet: ZAI_API_KEY is not set (in .env)\n"
    assert run("glm", env="ZAI_API_KEY=key\n")[::2] == (0, "")
    assert run("glm", "--json", env="ZAI_API_KEY=key\n")[0] == 0


def test_the_first_model_that_can_be_used_is_the_default(run: Any) -> None:
    status, shown, _ = run(env="OPENROUTER_API_KEY=key\n")
    assert (status, shown["ANTHROPIC_MODEL"]) == (0, "openrouter")
    assert run()[1]["ANTHROPIC_MODEL"] == "claude-sonnet-5-5"


def test_where_users_have_closed_the_gate_there_is_a_place_for_a_key(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEWAY_DB", str(tmp_path / "x.db"))
    closed_mark(tmp_path / "x.db").touch()
    shown = run("glm", env="ZAI_API_KEY=zai-key\nPROXY_STATIC_TOKEN=token\n")[1]
    assert shown["ANTHROPIC_CUSTOM_HEADERS"] == "x-litellm-api-key: YOUR_GATEWAY_KEY"


def test_a_pattern_is_no_name(run: Any) -> None:
    assert run("claude-*") == (2, {}, "'claude-*' stands for many models: say which one, like 'claude-NAME'\n")
    assert run("nope")[:2] == (1, {})


def test_where_the_gateway_listens(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for host, shown in [
        ("localhost", "localhost"),
        ("0.0.0.0", "localhost"),
        ("::1", "[::1]"),
        ("fd00::1", "[fd00::1]"),
    ]:
        monkeypatch.setenv("GATEWAY_HOST", host)
        assert run()[1]["ANTHROPIC_BASE_URL"] == f"http://{shown}:4000"


def test_what_makes_the_client_show_budgets(run: Any) -> None:
    status, env, said = run("glm", "--budget-display", env="ZAI_API_KEY=key\nPROXY_STATIC_TOKEN=token\n")
    assert status == 0
    assert env["CLAUDE_CODE_USE_GATEWAY"] == "1" and env["ANTHROPIC_AUTH_TOKEN"] == "YOUR_GATEWAY_KEY"
    assert "ANTHROPIC_CUSTOM_HEADERS" not in env
    assert "only behind TLS or on this machine" in said and "leaves out some of its beta features" in said


BLOCK = {"ANTHROPIC_BASE_URL": "http://localhost:4000", "ANTHROPIC_MODEL": "glm", "ANTHROPIC_AUTH_TOKEN": "any-value"}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, {"env": BLOCK}),
        (
            {"model": "opus", "env": {"EDITOR": "vi", "ANTHROPIC_MODEL": "opus"}},
            {"model": "opus", "env": {"EDITOR": "vi", **BLOCK}},
        ),
        # The place for a credential never replaces one.
        (
            {"env": {"ANTHROPIC_AUTH_TOKEN": "gw-mine"}},
            {"env": {**BLOCK, "ANTHROPIC_AUTH_TOKEN": "gw-mine"}},
        ),
        # Of an earlier block what the new one has no more is taken out; of another gateway's nothing is.
        (
            {"env": {**BLOCK, "CLAUDE_CODE_MAX_CONTEXT_TOKENS": "1", "EDITOR": "vi"}},
            {"env": {**BLOCK, "EDITOR": "vi"}},
        ),
        (
            {"env": {"ANTHROPIC_BASE_URL": "https://other", "CLAUDE_CODE_MAX_CONTEXT_TOKENS": "1"}},
            {"env": {**BLOCK, "CLAUDE_CODE_MAX_CONTEXT_TOKENS": "1"}},
        ),
    ],
)
def test_a_block_is_put_into_settings(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert merged(before, BLOCK) == after


def test_in_passthrough_an_earlier_placeholder_goes_and_a_token_stays() -> None:
    block = {name: value for name, value in BLOCK.items() if name != "ANTHROPIC_AUTH_TOKEN"}
    assert "ANTHROPIC_AUTH_TOKEN" not in merged({"env": BLOCK}, block)["env"]
    own = {**BLOCK, "ANTHROPIC_AUTH_TOKEN": "sk-ant-oat01-own"}
    assert merged({"env": own}, block)["env"]["ANTHROPIC_AUTH_TOKEN"] == "sk-ant-oat01-own"


def test_a_difference_shows_no_credential() -> None:
    before = {
        "apiKey": "secret-of-mine-0123456789",
        "env": {
            "MY_API_KEY": "secret-of-mine-0123456789",
            "ANTHROPIC_CUSTOM_HEADERS": "x-litellm-api-key: secret-of-mine-0123456789\nx-other: 1",
            "CLAUDE_CODE_MAX_CONTEXT_TOKENS": "1000",
        },
    }
    shown = difference(before, {}, "settings.json")
    assert "secret-of-mine" not in shown
    assert "x-litellm-api-key: …6789" in shown and "1000" in shown and "x-other: 1" in shown


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "home/settings.json"
    path.parent.mkdir()
    path.write_text('{"theme": "dark", "env": {"MY_TOKEN": "secret-of-mine-0123456789", "EDITOR": "vi"}}')
    path.chmod(0o640)
    return path


def written(arguments: list[str], env: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> int:
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    return main(arguments)


def test_a_file_is_written_and_keeps_what_it_says(
    run: Any, file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    key = {"ZAI_API_KEY": "zai-key", "PROXY_STATIC_TOKEN": "static-token-0123456789"}
    assert written(["glm", "--write", str(file), "--yes"], key, monkeypatch) == 0
    said = capsys.readouterr().out
    after = json.loads(file.read_text())
    assert after["theme"] == "dark"
    assert after["env"]["MY_TOKEN"] == "secret-of-mine-0123456789"
    assert after["env"]["ANTHROPIC_MODEL"] == "glm"
    assert '+    "ANTHROPIC_MODEL": "glm"' in said
    assert "put your key in the place of YOUR_PROXY_STATIC_TOKEN (ANTHROPIC_CUSTOM_HEADERS)" in said
    assert "secret-of-mine" not in said and "static-token" not in said + file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert [path.name for path in file.parent.iterdir()] == ["settings.json"]
    assert written(["glm", "--write", str(file)], key, monkeypatch) == 0
    assert capsys.readouterr().out == f"{file} says so already\n"


def test_a_link_stays_a_link_and_a_folder_is_made(run: Any, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link = file.with_name("link.json")
    link.symlink_to(file)
    new = file.parent / "new/settings.json"
    for path in (link, new):
        assert written(["glm", "--write", str(path), "--yes"], {"ZAI_API_KEY": "zai-key"}, monkeypatch) == 0
    assert link.is_symlink() and "glm" in file.read_text()
    assert stat.S_IMODE(new.stat().st_mode) == 0o600


class Terminal:
    """A terminal at which somebody answers."""

    def __init__(self, answer: str) -> None:
        self.answer = answer

    def isatty(self) -> bool:
        return True

    def readline(self) -> str:
        return f"{self.answer}\n"


def test_who_sits_at_a_terminal_is_asked(run: Any, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = file.read_text()
    monkeypatch.setattr("sys.stdin", Terminal("n"))
    with pytest.raises(Failed, match="was not changed"):
        written(["glm", "--write", str(file)], {"ZAI_API_KEY": "zai-key"}, monkeypatch)
    assert file.read_text() == before
    monkeypatch.setattr("sys.stdin", Terminal("y"))
    assert main(["glm", "--write", str(file)]) == 0
    assert file.read_text() != before


def test_where_nobody_can_be_asked_nothing_is_written(run: Any, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = file.read_text()
    monkeypatch.setattr("sys.stdin", StringIO())
    with pytest.raises(Failed, match="--yes writes it"):
        written(["glm", "--write", str(file)], {"ZAI_API_KEY": "zai-key"}, monkeypatch)
    assert file.read_text() == before


@pytest.mark.parametrize("text", ["{", "[]", '{"env": 1}', "[" * 100_000])
def test_a_file_with_a_mistake_is_left_alone(run: Any, file: Path, text: str) -> None:
    file.write_text(text)
    with pytest.raises(Failed, match=r"settings\.json"):
        main(["--write", str(file), "--yes"])
    assert file.read_text() == text


def test_wrong_use() -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--yes"])
    assert ended.value.code == 2
