"""The environment and .env: what is taken from them, and that no secret of them is ever shown."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addons.config.config import ConfigError
from addons.config.environment import environment
from addons.config.settings import Settings
from tests.config.routing_texts import KEYS, MINIMAL, complaint, config, with_provider


def test_tokens_without_blanks_duplicates_and_quotes() -> None:
    env = {**KEYS, "CLAUDE_OAUTH_TOKENS": " \"sk-1\", 'sk-2',, sk-1 ,\n sk-3 , "}
    assert config(env=env).tokens == ("sk-1", "sk-2", "sk-3")
    assert config(env={**KEYS, "CLAUDE_OAUTH_TOKENS": '"sk-1,sk-2"'}).tokens == ("sk-1", "sk-2")
    assert config().tokens == ()


@pytest.mark.parametrize(
    ("value", "mode"),
    [("", "rotate"), (" rotate ", "rotate"), ("Passthrough", "passthrough"), ('"rotate"', "rotate")],
)
def test_token_mode(value: str, mode: str) -> None:
    assert config(env={**KEYS, "CLAUDE_TOKEN_MODE": value}).token_mode == mode


def test_the_two_keys_of_the_gateway() -> None:
    gateway = config(env={**KEYS, "PROXY_STATIC_TOKEN": " static ", "LITELLM_MASTER_KEY": "admin"})
    assert (gateway.static_token, gateway.admin_key) == ("static", "admin")
    assert (config().static_token, config().admin_key) == ("", "")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("CLAUDE_TOKEN_MODE", "sk-secret-1", "CLAUDE_TOKEN_MODE: must be one of rotate, passthrough"),
        (
            "CLAUDE_OAUTH_TOKENS",
            "a,sk-secret-1…",
            "CLAUDE_OAUTH_TOKENS: token 2 has a space or a character that is not ASCII",
        ),
        (
            "PROXY_STATIC_TOKEN",
            "sk-secret-1 x",
            "PROXY_STATIC_TOKEN: has a space or a character that is not ASCII",
        ),
        (
            "LITELLM_MASTER_KEY",
            "sk-secret-1\nx",
            "LITELLM_MASTER_KEY: has a space or a character that is not ASCII",
        ),
        (
            "ZAI_API_KEY",
            "sk-secret-1\u201d",
            "routing.yaml:5: providers.zai.api_key: has a space or a character that is not ASCII, in ZAI_API_KEY",
        ),
    ],
)
def test_a_wrong_variable_is_named_but_not_shown(name: str, value: str, message: str) -> None:
    assert complaint(MINIMAL, {**KEYS, name: value}) == message


def test_the_process_wins_over_the_file_unless_it_says_nothing(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text(
        "\ufeffFIRST=1\nBOTH=file\nEMPTY_IN_PROCESS=file\nEMPTY=\nBLANK='  '\nNO_VALUE\n"
        'LITERAL=a${BOTH}$X\nexport QUOTED="q q" # why\n',
        encoding="utf-8",
    )
    process = {"BOTH": "process", "EMPTY_IN_PROCESS": " ", "ONLY": "p"}
    before = dict(os.environ)
    assert environment(file, process) == {
        "FIRST": "1",
        "BOTH": "process",
        "EMPTY_IN_PROCESS": "file",
        "LITERAL": "a${BOTH}$X",
        "QUOTED": "q q",
        "ONLY": "p",
    }
    assert dict(os.environ) == before


def test_no_env_file_is_needed(tmp_path: Path) -> None:
    assert environment(tmp_path / ".env", {"A": "1"}) == {"A": "1"}
    assert environment(None, {"A": "1"}) == {"A": "1"}


def test_an_env_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes("A=ä".encode("utf-16"))
    with pytest.raises(ConfigError, match=r"\.env: is not UTF-8 text$"):
        environment(tmp_path / ".env", {})


# Secrets

SECRETS = {
    "ZAI_API_KEY": "secret-of-zai",
    "ORG": "secret-org",
    "CLAUDE_OAUTH_TOKENS": "secret-token-1,secret-token-2",
    "PROXY_STATIC_TOKEN": "secret-static",
    "LITELLM_MASTER_KEY": "secret-admin",
}


def test_secrets_are_listed_for_masking_and_in_no_repr(tmp_path: Path) -> None:
    text = with_provider(
        "base_url: https://a.example",
        "auth: bearer",
        "api_key: ${ZAI_API_KEY}",
        "headers: {X-Org: 'o-${ORG}', Proxy-Authorization: 'Basic secret-literal', X-Title: open}",
    )
    (tmp_path / "routing.yaml").write_text(text, encoding="utf-8")
    settings = Settings(tmp_path / "routing.yaml", tmp_path / ".env", SECRETS)
    settings.load()
    gateway = settings.current
    assert set(gateway.secrets()) == {
        "secret-of-zai",
        "secret-org",
        "Basic secret-literal",
        "secret-token-1",
        "secret-token-2",
        "secret-static",
        "secret-admin",
    }
    for shown in (
        gateway,
        settings,
        gateway.targets("glm"),
        gateway.models,
        gateway.providers,
        gateway.warnings,
    ):
        assert "secret" not in repr(shown)


EDITS = st.lists(
    st.tuples(st.integers(0, len(MINIMAL)), st.integers(0, 12), st.sampled_from(["", *" :*${}[]\n\t'\"#-&|!x/"])),
    min_size=1,
    max_size=3,
)


@given(EDITS)
def test_a_damaged_file_gives_a_configuration_or_one_line_without_secrets(
    edits: list[tuple[int, int, str]],
) -> None:
    text = MINIMAL + "fallbacks:\n  glm: [glm]\nfailover: {hold: 1}\npool: {strategy: session}\n"
    for position, length, put in edits:
        text = text[:position] + put + text[position + length :]
    try:
        shown = repr(config(text, SECRETS))
    except ConfigError as error:
        shown = str(error)
        assert re.fullmatch(r"routing\.yaml:\d+: \S.*", shown)
    assert "secret" not in shown
