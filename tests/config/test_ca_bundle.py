"""`ca_bundle:`: which file is read, for whom its certificates count, and what is wrong with one."""

from __future__ import annotations

from pathlib import Path

import pytest

from addons.config.ca_bundle import LARGEST
from addons.config.config import Config, ConfigError, load
from addons.config.mistakes import mistakes
from tests.fakes.front import Authority

PEM = Authority().pem
ROUTING = """
providers:
  zai: {base_url: "https://api.zai.example", auth: none}
  own: {base_url: "https://own.example", auth: none, ca_bundle: "${FOLDER}/own.pem"}
  anthropic: {base_url: "https://api.anthropic.com", auth: claude-oauth, proxy: "http://proxy.example:1"}
models: {glm: zai/glm-5, a: own/a, claude: anthropic/c}
alerts: {webhook: "https://hook.example/secret"}
"""
COMMON = f"{ROUTING}ca_bundle: common.pem\n"


@pytest.fixture(autouse=True)
def _files(tmp_path: Path) -> None:
    (tmp_path / "own.pem").write_bytes(f"# Zertifikate für uns\n{PEM}".encode())
    (tmp_path / "common.pem").write_text(PEM + Authority().pem)


def loaded(folder: Path, text: str) -> Config:
    env = {"FOLDER": str(folder), "HTTPS_PROXY": "http://usual.example:3128"}
    return load(text, env, filename=str(folder / "routing.yaml"))


def test_a_providers_own_wins_over_the_one_for_all(tmp_path: Path) -> None:
    config = loaded(tmp_path, COMMON)
    paths = {
        name: one.egress.ca_bundle and Path(one.egress.ca_bundle.path).name for name, one in config.providers.items()
    }
    assert paths == {"zai": "common.pem", "own": "own.pem", "anthropic": "common.pem"}
    assert config.egress("https", "search.example", 443).ca_bundle is config.ca_bundle
    assert config.alerts.egress.ca_bundle is config.ca_bundle
    assert "BEGIN" not in repr(config)
    alone = loaded(tmp_path, ROUTING)
    assert (alone.providers["zai"].ca_bundle, alone.alerts.egress.ca_bundle) == (None, None)


def test_what_goes_to_no_provider_goes_through_the_usual_proxy(tmp_path: Path) -> None:
    config = loaded(tmp_path, COMMON)
    assert str(config.alerts.egress.proxy) == "http://usual.example:3128"
    assert config.egress("http", "127.0.0.1", 80).proxy is None
    # Logins are renewed as Claude is reached.
    assert str(config.token_egress("https", "platform.claude.com", 443).proxy) == "http://proxy.example:1"
    usual = loaded(tmp_path, COMMON.replace(', proxy: "http://proxy.example:1"', ""))
    assert str(usual.token_egress("https", "platform.claude.com", 443).proxy) == "http://usual.example:3128"
    assert usual.token_egress("http", "127.0.0.1", 80).proxy is None


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "can't be read: No such file or directory"),
        (b"", "has no certificate in it (PEM: -----BEGIN CERTIFICATE-----)"),
        (
            b"-----BEGIN CERTIFICATE-----\nbm9uc2Vuc2U=\n-----END CERTIFICATE-----\n",
            "has a certificate in it that can't be read",
        ),
        (PEM[:-100].encode(), "has a certificate in it that can't be read"),
        (b"x" * (LARGEST + 1), "is longer than 8 MB: is it a file of certificates?"),
    ],
    ids=["missing", "empty", "nonsense", "cut", "huge"],
)
def test_a_file_that_is_none_is_a_mistake(tmp_path: Path, content: bytes | None, problem: str) -> None:
    (tmp_path / "common.pem").unlink() if content is None else (tmp_path / "common.pem").write_bytes(content)
    with pytest.raises(ConfigError) as raised:
        loaded(tmp_path, COMMON)
    assert str(raised.value) == f"{tmp_path}/routing.yaml:8: ca_bundle: {problem}"


def test_all_mistakes_are_found_and_a_folder_is_one(tmp_path: Path) -> None:
    text = COMMON.replace("common.pem", ".").replace("own.pem", "not-there.pem")
    found = mistakes(text, {"FOLDER": str(tmp_path)}, filename="routing.yaml")
    assert found == [
        "routing.yaml:4: providers.own.ca_bundle: can't be read: No such file or directory",
        "routing.yaml:8: ca_bundle: can't be read: Is a directory",
    ]


def test_a_variable_that_is_missing(tmp_path: Path) -> None:
    assert load(ROUTING, {}, filename=str(tmp_path / "routing.yaml")).providers["own"].missing == "FOLDER"
    with pytest.raises(ConfigError, match="ca_bundle: NOT_SET is not set"):
        loaded(tmp_path, COMMON.replace("common.pem", "${NOT_SET}"))
