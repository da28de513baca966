"""Mistakes in .env that are told, and what is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from addons.config.env_warnings import env_warnings
from addons.config.environment import environment
from addons.config.settings import Settings
from addons.config.yaml_reader import ConfigError
from tests.config.routing_texts import MINIMAL

ONE, OTHER = "sk-ant-oat01-first-0123456789", "sk-ant-oat01-second-0123456789"


def told(text: str, **process: str) -> list[str]:
    values = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    return list(env_warnings(text, {**values, **process}, MINIMAL, filename=".env"))


@pytest.mark.parametrize(
    ("text", "warnings"),
    [
        ("", []),
        ("# a comment\n\nZAI_API_KEY=k\nexport PROXY_STATIC_TOKEN='t'\nGROQ_API_KEY=other\nPATH=/bin\n", []),
        ("A=1\nZAI_API_KEI=k", [".env: line 2: ZAI_API_KEI is read by nothing: did you mean ZAI_API_KEY?"]),
        ("zai_api_key=k", [".env: line 1: zai_api_key is read by nothing: did you mean ZAI_API_KEY?"]),
        (
            "PROXY_STATIC_TOKN=t",
            [".env: line 1: PROXY_STATIC_TOKN is read by nothing: did you mean PROXY_STATIC_TOKEN?"],
        ),
        ("ZAI_API_KEY=k\nZAI_API_KEY2=spare", []),
        ("ZAI_API_KEI=", []),
        (
            "# one\nA=1\n\n  \nthis is no line\n",
            [".env: line 5 is not read: a line is NAME=value, and a comment begins with #"],
        ),
        (f"CLAUDE_OAUTH_TOKENS={ONE},{OTHER}", []),
        (
            f"CLAUDE_OAUTH_TOKENS={ONE}, {OTHER} ,{ONE}",
            ["CLAUDE_OAUTH_TOKENS: tokens 1 and 3 are the same; it is used once"],
        ),
        ("CLAUDE_TOKEN_MODE=passthrough", []),
        (
            "CLAUDE_TOKEN_MODE='Rotate'",
            ["CLAUDE_TOKEN_MODE is rotate, but CLAUDE_OAUTH_TOKENS is empty: each client's own login is used"],
        ),
    ],
)
def test_mistakes(text: str, warnings: list[str]) -> None:
    assert told(text) == warnings


def test_an_api_key_among_the_tokens() -> None:
    (warning,) = told(f"CLAUDE_OAUTH_TOKENS={ONE},sk-ant-api03-SECRET0123456789")
    assert warning.startswith("CLAUDE_OAUTH_TOKENS: token 2 is an API key; ")
    assert "SECRET" not in warning


def test_what_the_process_has_is_not_missing() -> None:
    assert told("ZAI_API_KEI=k", ZAI_API_KEY="k") == []


def test_a_preset_reads_variables_too(tmp_path: Path) -> None:
    (tmp_path / "routing.yaml").write_text("providers:\n  zai: {preset: zai}\nmodels:\n  glm: zai/glm-5\n")
    (tmp_path / ".env").write_text("ZAI_API_KEI=k\n")
    (tmp_path / ".env").chmod(0o600)
    settings = Settings(tmp_path / "routing.yaml", tmp_path / ".env", {})
    settings.load()
    assert settings.current.warnings[0].endswith("line 1: ZAI_API_KEI is read by nothing: did you mean ZAI_API_KEY?")
    settings.process_env = {"ZAI_API_KEY": "two words"}
    with pytest.raises(ConfigError) as caught:
        settings.load()
    assert str(caught.value) == (
        f"{tmp_path}/routing.yaml:2: providers.zai: api_key has a space or a character that is not ASCII, "
        "in ZAI_API_KEY"
    )


def test_a_line_that_is_none_is_told_with_its_file_and_hides_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "routing.yaml").write_text(MINIMAL)
    (tmp_path / ".env").write_text("nonsense here\nZAI_API_KEY=k\n")
    (tmp_path / ".env").chmod(0o600)
    settings = Settings(tmp_path / "routing.yaml", tmp_path / ".env", {})
    settings.load()
    assert settings.current.providers["zai"].api_keys == ("k",)
    (warning,) = settings.current.warnings
    assert warning.startswith(f"{tmp_path}/.env: line 1 is not read")
    assert caplog.text == "", "python-dotenv says so too, and not of which file"


def test_a_file_with_windows_line_ends_and_a_pipe_that_is_none(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"A=1\r\nB='2 3' # two\r\nC=${A}\r\nD\r\n")
    assert environment(tmp_path / ".env", {}) == {"A": "1", "B": "2 3", "C": "${A}"}
    assert environment(tmp_path, {}) == {}
