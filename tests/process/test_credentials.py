"""The addon that keeps what changes while the gateway runs: logins in files, and what commands print."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mitmproxy.test import taddons

from addons.config.config import Config
from addons.config.settings import Settings
from addons.process.credentials import EARLY_SHARE, LOOK_EVERY, Credentials
from addons.state import credentials_file, token_endpoint
from addons.state.live_credentials import LiveCredentials
from addons.state.shared import Asked, Claim, Question
from addons.wire.claude_login import EARLY
from tests.exchanges import provider
from tests.linked import Script
from tests.state.claude_logins import LATER, NOW, SOON, Endpoint, write

VERTEX = "command:vertex"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / ".claude" / ".credentials.json"
    path.parent.mkdir()
    write(path)
    return path


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Endpoint:
    endpoint = Endpoint()
    monkeypatch.setattr(token_endpoint, "post", lambda _address, body, **_others: endpoint(body))
    return endpoint


@pytest.fixture
def keeping(file: Path, endpoint: Endpoint) -> Iterator[Keeping]:
    with taddons.context() as context:
        keeping = Keeping(file)
        context.master.addons.add(keeping.addon)
        yield keeping


class Keeping:
    """The addon with one login in a file, or with a command, at the time `now`."""

    def __init__(self, file: Path) -> None:
        self.now = NOW
        self.name = f"file:{file}"
        self.settings = Settings(Path("routing.yaml"), Path(".env"), {})
        self.settings.current = Config(providers={}, models=(), credential_files=(str(file),))
        self.live = LiveCredentials()
        self.addon = Credentials(self.settings, self.live, lambda: self.now)

    def runs(self, *command: str, ttl: float = 1000) -> None:
        """The credential is what a command prints."""
        vertex = provider("vertex", command=command, ttl=ttl)
        self.settings.current = Config(providers={"vertex": vertex}, models=())
        self.name = VERTEX

    def renew(self) -> None:
        """One renewal, from the beginning to its end."""
        self.addon.follow(self.settings.current)
        asyncio.run(self.addon.renew(self.name))

    @property
    def value(self) -> str:
        return self.live.usable(self.name, self.now)

    @property
    def again_in(self) -> float:
        """Seconds until it is to be renewed."""
        return self.live.known[self.name].renew_at - self.now


class TestALogin:
    def test_that_is_good_is_used_as_it_is(self, keeping: Keeping, file: Path, endpoint: Endpoint) -> None:
        write(file, expires=LATER)
        keeping.renew()
        assert (keeping.value, endpoint.asked) == ("access-0", [])
        assert keeping.again_in == LATER - EARLY - NOW

    def test_that_is_due_is_renewed(self, keeping: Keeping, endpoint: Endpoint) -> None:
        keeping.renew()
        assert (keeping.value, endpoint.asked) == ("access-1", ["refresh-0"])
        assert keeping.again_in == 28_800 - EARLY

    def test_that_is_doubted_is_renewed_before_its_end(self, keeping: Keeping, file: Path, endpoint: Endpoint) -> None:
        write(file, expires=LATER)
        keeping.renew()
        assert keeping.live.doubt(keeping.name, "access-0", NOW)
        keeping.renew()
        assert (keeping.value, endpoint.asked) == ("access-1", ["refresh-0"])

    def test_serves_while_it_can_t_be_renewed(
        self, keeping: Keeping, endpoint: Endpoint, caplog: pytest.LogCaptureFixture
    ) -> None:
        endpoint.answers = [credentials_file.Answer(503, {}, b"")] * 2
        keeping.renew()
        keeping.renew()
        assert (keeping.value, keeping.again_in > 0) == ("access-0", True)
        assert [record.levelname for record in caplog.records] == ["WARNING"], "it is said once"
        keeping.now = SOON
        assert keeping.value == ""

    def test_that_nobody_may_renew_needs_a_person(self, keeping: Keeping, endpoint: Endpoint) -> None:
        endpoint.valid = "refresh-9"
        keeping.renew()
        assert (keeping.value, keeping.again_in) == ("", float("inf"))
        assert keeping.live.problem(keeping.name)

    @pytest.mark.parametrize(("text", "again"), [("{}", False), (None, True)], ids=["not one", "missing"])
    def test_that_can_t_be_read(self, keeping: Keeping, file: Path, text: str | None, again: bool) -> None:
        file.write_text(text) if text else file.unlink()
        keeping.renew()
        assert str(file) in keeping.live.problem(keeping.name)
        assert (keeping.again_in < float("inf")) == again

    def test_every_token_is_masked_from_then_on(self, keeping: Keeping, caplog: pytest.LogCaptureFixture) -> None:
        keeping.renew()
        assert set(keeping.settings.learned) == {"access-0", "refresh-0", "access-1", "refresh-1"}
        assert not any(token in caplog.text for token in keeping.settings.learned)


class TestALoginThatCantBeWritten:
    @pytest.fixture(autouse=True)
    def full(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
        """The disk is full; called: it is no more."""
        write = credentials_file.write

        def refuse(_path: Path, _document: bytes) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(credentials_file, "write", refuse)
        return lambda: monkeypatch.setattr(credentials_file, "write", write)

    def test_serves_and_is_saved_later(
        self, keeping: Keeping, file: Path, endpoint: Endpoint, full: Callable[[], None]
    ) -> None:
        keeping.renew()
        assert (keeping.value, keeping.again_in) == ("access-1", 10 * LOOK_EVERY)
        assert credentials_file.read(file)[0].access_token == "access-0"
        full()
        keeping.renew()
        assert credentials_file.read(file)[0].access_token == keeping.value == "access-1"
        assert endpoint.asked == ["refresh-0"], "the endpoint takes a token once"
        assert keeping.addon.unsaved == {}


class TestACommand:
    def test_is_good_for_a_while(self, keeping: Keeping) -> None:
        keeping.runs(sys.executable, "-c", "print('printed-0123456789')", ttl=1000)
        keeping.renew()
        assert (keeping.value, keeping.again_in) == ("printed-0123456789", EARLY_SHARE * 1000)
        assert list(keeping.settings.learned) == ["printed-0123456789"]
        keeping.now += 1000
        assert keeping.value == ""

    def test_that_fails_is_run_again(self, keeping: Keeping, caplog: pytest.LogCaptureFixture) -> None:
        keeping.runs(sys.executable, "-c", "print('printed-0123456789'); raise SystemExit(3)")
        keeping.renew()
        assert keeping.value == ""
        assert 0 < keeping.again_in < float("inf")
        assert "the command of vertex" in keeping.live.problem(VERTEX)
        assert "ended with status 3" in caplog.text and "printed-0123" not in caplog.text

    def test_of_a_provider_that_is_gone_is_not_run(self, keeping: Keeping) -> None:
        keeping.addon.follow(keeping.settings.current)
        asyncio.run(keeping.addon.renew(VERTEX))
        assert VERTEX not in keeping.live.known


class TestTheLook:
    def test_a_new_configuration_gives_what_failed_another_chance(self, keeping: Keeping) -> None:
        keeping.addon.follow(keeping.settings.current)
        keeping.runs("true")
        keeping.addon.follow(keeping.settings.current)
        assert list(keeping.live.known) == [VERTEX]

    def test_a_file_that_another_process_has_written_is_read_again(self, keeping: Keeping, file: Path) -> None:
        write(file, expires=LATER)
        keeping.renew()
        keeping.addon.notice_changes()
        assert keeping.live.due(NOW) == []
        write(file, 7, expires=LATER + 1)
        keeping.addon.notice_changes()
        assert keeping.live.due(NOW) == [keeping.name]

    def test_a_renewal_that_breaks_is_a_failure_without_its_words(
        self, keeping: Keeping, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def broken(_name: str) -> None:
            raise RuntimeError("access-0 is in here")

        keeping.addon.follow(keeping.settings.current)
        monkeypatch.setattr(keeping.addon, "renew", broken)
        asyncio.run(self.looked(keeping, lambda: bool(keeping.live.known[keeping.name].failures)))
        assert "RuntimeError" in keeping.live.problem(keeping.name)
        assert "RuntimeError" in caplog.text and "access-0" not in caplog.text

    def test_renews_by_itself_and_at_once_when_a_value_is_doubted(
        self, keeping: Keeping, file: Path, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("addons.process.credentials.LOOK_EVERY", 1000)
        write(file, expires=LATER)

        def doubted() -> bool:
            if keeping.value == "access-0":
                keeping.live.doubt(keeping.name, "access-0", NOW)
            return keeping.value == "access-1"

        asyncio.run(self.looked(keeping, doubted))
        assert endpoint.asked == ["refresh-0"]

    async def looked(self, keeping: Keeping, condition: Callable[[], bool]) -> None:
        """Let the addon run until this is so."""
        keeping.addon.running()
        async with asyncio.timeout(60):
            while not condition():  # noqa: ASYNC110  # what changes tells nobody
                await asyncio.sleep(0.001)
        await keeping.addon.done()
        assert keeping.addon.looking
        assert keeping.addon.looking.cancelling()


class TestALoginThatAnotherGatewayHasToo:
    @pytest.fixture
    def others(self, keeping: Keeping, monkeypatch: pytest.MonkeyPatch) -> Script:
        """Who say that it is somebody else's."""
        others = Script("redis")
        others.shared.source = "here"
        keeping.addon.shared = others.shared

        def ask(question: Question) -> Asked:
            asked = Asked(question)
            asked.settle("there")
            others.asked.append(asked)
            return asked

        monkeypatch.setattr(others, "ask", ask)
        return others

    def test_is_not_renewed_here_and_serves_to_its_end(
        self, keeping: Keeping, endpoint: Endpoint, others: Script
    ) -> None:
        keeping.renew()
        assert endpoint.valid == "refresh-0" and keeping.value
        (asked,) = others.asked
        assert isinstance(asked.question, Claim) and asked.question.who == "here"
        keeping.now = LATER
        keeping.renew()
        assert endpoint.valid == "refresh-0" and not keeping.value
        assert "belongs to one machine" in keeping.live.problem(keeping.name)
