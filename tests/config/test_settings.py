"""The two files are followed: changes, mistakes, and files that are gone for a moment."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from addons.config.config import ConfigError
from addons.config.settings import STAYS_CLOSED, Settings
from tests.config.routing_files import RoutingFiles
from tests.config.routing_texts import (
    MINIMAL,
)


class Files(RoutingFiles):
    """The two files of some settings."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, MINIMAL, "ZAI_API_KEY=from-file\n")
        self.settings = Settings(self.routing, self.env, {})
        self.settings.load()

    @property
    def model(self) -> str:
        return self.settings.current.targets("glm")[0].model

    @property
    def key(self) -> str:
        return self.settings.current.providers["zai"].api_keys[0]


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def test_nothing_changes_while_the_files_do_not(files: Files) -> None:
    before = files.settings.current
    assert (files.model, files.key) == ("glm-5", "from-file")
    assert [files.settings.poll() for _ in range(3)] == [False] * 3
    assert files.settings.current is before


def test_each_file_is_followed(files: Files) -> None:
    files.write(MINIMAL.replace("glm-5", "glm-6"))
    assert files.settings.poll()
    assert files.model == "glm-6"
    files.write("ZAI_API_KEY=another\n", files.env)
    assert files.settings.poll()
    assert files.key == "another"
    assert not files.settings.poll()


def test_a_mistake_is_told_once_and_the_last_good_configuration_stays(files: Files) -> None:
    before = files.settings.current
    files.write(MINIMAL.replace("zai/glm-5", "zia/glm-5"))
    with pytest.raises(ConfigError) as caught:
        files.settings.poll()
    assert str(caught.value) == f"{files.routing}:7: models.glm: no provider is called zia (did you mean zai?)"
    assert [files.settings.poll() for _ in range(3)] == [False] * 3
    assert files.settings.current is before
    files.write("providers: [\n")
    with pytest.raises(ConfigError, match="not valid YAML"):
        files.settings.poll()
    files.write(MINIMAL)
    assert files.settings.poll()


def test_an_editor_that_replaces_the_file_is_not_seen_between_its_two_steps(files: Files) -> None:
    files.routing.rename(files.routing.with_suffix(".bak"))
    assert not files.settings.poll()
    files.write(MINIMAL.replace("glm-5", "glm-6"))
    assert files.settings.poll()
    assert files.model == "glm-6"


def test_a_file_that_is_gone_twice_for_a_moment_is_not_missed(files: Files) -> None:
    aside = files.routing.with_suffix(".bak")
    for _ in range(2):
        files.routing.rename(aside)
        assert not files.settings.poll()
        aside.rename(files.routing)
        assert not files.settings.poll()


def test_a_file_that_is_being_rewritten_is_not_seen_empty(files: Files) -> None:
    files.write("")
    files.write("", files.env)
    assert not files.settings.poll()
    files.write(MINIMAL)
    files.write("ZAI_API_KEY=again\n", files.env)
    assert files.settings.poll()
    assert files.key == "again"


def test_a_routing_file_that_stays_away_is_told_once(files: Files) -> None:
    files.routing.unlink()
    assert not files.settings.poll()
    with pytest.raises(ConfigError, match=r"routing\.yaml: No such file or directory$"):
        files.settings.poll()
    assert not files.settings.poll()
    assert files.model == "glm-5"
    files.write(MINIMAL)
    assert files.settings.poll()


def test_an_env_file_may_go_and_come(files: Files) -> None:
    files.env.unlink()
    assert not files.settings.poll()
    assert files.key == "from-file"
    assert files.settings.poll()
    assert files.settings.current.providers["zai"].missing == "ZAI_API_KEY"
    files.write("ZAI_API_KEY=back\n", files.env)
    assert files.settings.poll()
    assert files.key == "back"


def test_a_file_that_changes_while_it_is_read_is_read_again(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    read = Path.read_text

    def read_and_change(path: Path, **options: str) -> str:
        text = read(path, **options)
        monkeypatch.setattr(Path, "read_text", read)
        files.write(MINIMAL.replace("glm-5", "glm-7"))
        return text

    files.write("half: [")
    monkeypatch.setattr(Path, "read_text", read_and_change)
    assert not files.settings.poll()
    assert files.settings.poll()
    assert files.model == "glm-7"


def test_loading_fails_without_a_routing_file_and_keeps_what_was_there(files: Files, tmp_path: Path) -> None:
    before = files.settings.current
    files.settings.routing_path = tmp_path / "nowhere.yaml"
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: No such file or directory$"):
        files.settings.load()
    assert files.settings.current is before
    assert not files.settings.poll()


def test_a_routing_file_that_cannot_be_read(tmp_path: Path) -> None:
    settings = Settings(tmp_path, tmp_path / ".env", {})
    with pytest.raises(ConfigError, match=r": Is a directory$"):
        settings.load()
    (tmp_path / "routing.yaml").write_bytes(b"\xff\xfe")
    settings.routing_path = tmp_path / "routing.yaml"
    with pytest.raises(ConfigError, match=r"routing\.yaml: is not UTF-8 text$"):
        settings.load()


# The gate


def closed(files: Files) -> Files:
    files.write("ZAI_API_KEY=k\nPROXY_STATIC_TOKEN=gate-token-1\n", files.env)
    assert files.settings.poll()
    return files


def lost(files: Files) -> None:
    files.env.unlink()
    assert not files.settings.poll()  # it may be about to be replaced


@pytest.mark.parametrize(
    "lose",
    [
        lambda files: files.write("ZAI_API_KEY=k\nPROXY_STATIC_TOKN=gate-token-1\n", files.env),
        lambda files: files.write("ZAI_API_KEY=k\nPROXY_STATIC_TOKEN=\n", files.env),
        lost,
    ],
)
def test_a_gate_that_was_closed_stays_closed(files: Files, lose: Callable[[Files], None]) -> None:
    lose(closed(files))
    assert files.settings.poll()
    assert files.settings.current.static_token == "gate-token-1"
    assert files.settings.current.warnings[0] == STAYS_CLOSED
    files.write(MINIMAL.replace("glm-5", "glm-6"))
    assert files.settings.poll()
    assert files.model == "glm-6"
    assert files.settings.current.static_token == "gate-token-1"
    files.settings.load()
    assert files.settings.current.static_token == "gate-token-1"
    files.write("ZAI_API_KEY=k\nPROXY_STATIC_TOKEN=gate-token-2\n", files.env)
    assert files.settings.poll()
    assert files.settings.current.static_token == "gate-token-2"
    assert STAYS_CLOSED not in files.settings.current.warnings


def test_a_restart_opens_the_gate(files: Files) -> None:
    closed(files).write("ZAI_API_KEY=k\n", files.env)
    again = Settings(files.routing, files.env, {})
    again.load()
    assert (again.current.static_token, again.current.warnings) == ("", ())


@pytest.mark.parametrize(
    ("mode", "warned"), [(0o600, False), (0o400, False), (0o640, True), (0o604, True), (0o644, True)]
)
def test_secrets_that_others_can_read(files: Files, mode: int, warned: bool) -> None:
    files.env.chmod(mode)
    files.settings.load()
    expected = [f"{files.env} can be read by other users of this machine: chmod 600 {files.env}"] if warned else []
    assert list(files.settings.current.warnings) == expected
