"""The options of the gateway, and the watch over its two files."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from mitmproxy import exceptions
from mitmproxy.test import taddons

from addons.config import reload, settings
from addons.config.reload import Reload
from addons.config.settings import Settings
from tests.config import routing_texts
from tests.config.routing_files import RoutingFiles

MINIMAL = routing_texts.MINIMAL.replace("api.z.ai", "zai.example")  # of which no preset is known
WRONG = MINIMAL.replace("zai/glm-5", "zia/glm-5")


class Files(RoutingFiles):
    """The two files of an addon."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, MINIMAL, "ZAI_API_KEY=key-0123456789\n")
        self.addon = Reload(Settings(folder / "not-yet", folder / "not-yet", {}))

    @property
    def model(self) -> str:
        return self.addon.settings.current.targets("glm")[0].model


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def start(files: Files, context: taddons.context) -> None:
    context.configure(files.addon, gateway_routing=str(files.routing), gateway_env=str(files.env))


def test_the_options_have_defaults_and_words(files: Files) -> None:
    with taddons.context(files.addon) as context:
        for name, file in [("gateway_routing", "routing.yaml"), ("gateway_env", ".env")]:
            assert context.options.default(name) == str(settings.HOME / file)
        assert (settings.HOME / "addons" / "gateway.py").exists()


def test_the_options_load_the_files(files: Files) -> None:
    with taddons.context(files.addon) as context:
        start(files, context)
    assert files.model == "glm-5"
    assert files.addon.settings.current.providers["zai"].api_keys == ("key-0123456789",)


def test_a_home_directory_may_be_written_short(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(files.routing.parent))
    with taddons.context(files.addon) as context:
        context.configure(files.addon, gateway_routing="~/routing.yaml", gateway_env="~/.env")
    assert files.model == "glm-5"


def test_other_options_load_nothing(files: Files) -> None:
    files.addon.configure({"listen_host"})
    assert not hasattr(files.addon.settings, "current")


def test_a_mistake_at_the_start_is_an_error_in_the_log(files: Files, caplog: pytest.LogCaptureFixture) -> None:
    """That ends mitmproxy (its errorcheck addon)."""
    files.write(WRONG)
    with taddons.context(files.addon) as context:
        start(files, context)
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.getMessage().startswith(f"{files.routing}:7: models.glm: ")


def test_a_mistake_in_an_option_later_is_told_to_who_sets_it(files: Files) -> None:
    async def run() -> None:
        with taddons.context(files.addon) as context:
            start(files, context)
            files.addon.running()
            other = files.routing.with_name("other.yaml")
            files.write(WRONG, other)
            with pytest.raises(exceptions.OptionsError, match=r"other\.yaml:7: models\.glm"):
                context.configure(files.addon, gateway_routing=str(other))
            files.addon.done()

    asyncio.run(run())
    assert files.model == "glm-5"


def watched(files: Files, monkeypatch: pytest.MonkeyPatch, *changes: Callable[[], object]) -> None:
    """Makes each change when the watch has had time for the one before."""
    monkeypatch.setattr(reload, "POLL_SECONDS", 0)

    async def run() -> None:
        with taddons.context(files.addon) as context:
            start(files, context)
            files.addon.running()
            for change in changes:
                change()
                for _ in range(5):
                    await asyncio.sleep(0)
            watching = files.addon.watching
            files.addon.done()
            assert watching
            await asyncio.wait([watching])
            assert watching.cancelled()

    asyncio.run(run())


def test_a_change_is_taken_over_and_said(
    files: Files, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    watched(files, monkeypatch, lambda: files.write(MINIMAL.replace("glm-5", "glm-6")))
    assert files.model == "glm-6"
    assert caplog.messages == ["configuration reloaded"]


OFF = "ZAI_API_KEY is not set: provider zai is off, and with it glm"


def test_mistakes_are_said_at_the_start_and_what_is_off_by_the_welcome(
    files: Files, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    files.write("ZAI_API_KEI=key-0123456789\n", files.env)
    watched(files, monkeypatch)
    assert caplog.messages == [f"{files.env}: line 1: ZAI_API_KEI is read by nothing: did you mean ZAI_API_KEY?"]
    assert files.addon.settings.current.off == (OFF,)


def test_what_is_off_is_said_when_that_changes(
    files: Files, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    watched(files, monkeypatch, lambda: files.write("# nothing\n", files.env))
    assert caplog.messages == ["configuration reloaded", OFF]


def test_a_mistake_is_told_once_and_the_watch_goes_on(
    files: Files, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    models: list[str] = []
    watched(
        files,
        monkeypatch,
        lambda: files.write(WRONG),
        lambda: models.append(files.model),
        lambda: files.write("providers: ["),
        lambda: models.append(files.model),
        lambda: files.write(MINIMAL.replace("glm-5", "glm-7")),
        lambda: models.append(files.model),
    )
    assert models == ["glm-5", "glm-5", "glm-7"]
    first, second, last = caplog.records
    assert (first.levelno, second.levelno) == (logging.ERROR, logging.ERROR)
    assert first.getMessage().startswith(f"{files.routing}:7: models.glm: ")
    assert first.getMessage().endswith("(the last good configuration stays)")
    assert second.getMessage().startswith(f"{files.routing}:1: ")
    assert last.getMessage() == "configuration reloaded"


def test_a_secret_is_in_no_line(
    files: Files, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    secret = "key-0123456789"
    caplog.set_level(logging.INFO)
    watched(
        files,
        monkeypatch,
        lambda: files.write(f"ZAI_API_KEY={secret}\nCLAUDE_TOKEN_MODE={secret}\n", files.env),
        lambda: files.write(f'ZAI_API_KEY="{secret}\u00e4"\n', files.env),
        lambda: files.write(MINIMAL.replace("bearer", secret)),
    )
    assert [record.levelno for record in caplog.records] == [logging.ERROR] * 3
    assert secret not in caplog.text


def test_ending_before_running_is_fine(files: Files) -> None:
    files.addon.done()
