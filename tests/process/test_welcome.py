"""What a gateway says of itself when it is there."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from mitmproxy.log import ALERT
from mitmproxy.test import taddons
from msgspec.structs import replace

from addons.config.config import load
from addons.config.settings import Settings
from addons.process.welcome import Welcome
from addons.state.account_pools import AccountPools
from addons.state.live_credentials import LiveCredentials
from addons.state.pool import Cooldown
from addons.state.store import Store
from tests.proxyserver import Proxyserver

LOCAL = ("127.0.0.1", 4000)
ROUTING = """
providers:
  anthropic: {base_url: "https://api.anthropic.com", auth: claude-oauth}
  zai: {base_url: "https://zai.example", auth: bearer, api_key: "${ZAI_API_KEY}"}
  kimi: {base_url: "https://kimi.example", auth: bearer, api_key: "${KIMI_API_KEY}"}
models: {claude-*: anthropic/claude-*, glm: zai/glm-5, glm-fast: zai/glm-5-air, kimi: kimi/k2}
fallbacks: {claude-haiku-*: [glm-fast], claude-*: [glm, kimi]}
"""
ENV = {"ZAI_API_KEY": "zai-key-0123456789", "CLAUDE_OAUTH_TOKENS": "sk-ant-oat01-first,sk-ant-oat01-second"}


def said(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    *addresses: Sequence[str | int],
    url: str | None = None,
    env: dict[str, str] = ENV,
    routing: str = ROUTING,
    cooldown: Cooldown | None = None,
) -> list[str]:
    settings = Settings(tmp_path / "routing.yaml", tmp_path / ".env", {})
    settings.current = load(routing, env, filename="routing.yaml")
    store = Store(tmp_path / "db")
    pools = AccountPools(settings, store, LiveCredentials())
    if cooldown:
        pools.follow(0)
        pool = pools.by_key[""]
        pool.restore([replace(cooldown, fingerprint=pool.accounts[0].fingerprint)], time.time())
    with taddons.context(Proxyserver(*addresses)) as context, caplog.at_level(logging.DEBUG):
        if url is not None:
            context.master.web_url = url
        Welcome(settings, pools).running()
    store.close()
    assert {record.levelno for record in caplog.records} <= {ALERT}
    assert len(caplog.messages) <= 8
    assert all(message.startswith("gateway: ") for message in caplog.messages)
    return [message.removeprefix("gateway: ") for message in caplog.messages]


def test_all_that_there_is_to_say(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert said(tmp_path, caplog, LOCAL) == [
        "listening on http://127.0.0.1:4000",
        "ready: anthropic with claude-*; zai with glm, glm-fast",
        "accounts: anthropic 2; zai 1",
        "fallbacks: claude-haiku-* → glm-fast; claude-* → glm",
        "off: KIMI_API_KEY is not set: provider kimi is off, and with it kimi",
        "what it does can be seen on http://127.0.0.1:4000/gateway/; ./run.sh web shows each request in a browser",
        "next: ./run.sh claude glm starts Claude Code with glm; ./run.sh settings shows what it sets",
    ]


def test_accounts_that_rest(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cooldown = Cooldown("", None, time.time() + 600, "the 5 h limit", 0)
    _, _, accounts, *_ = said(tmp_path, caplog, LOCAL, cooldown=cooldown)
    assert accounts.startswith("accounts: anthropic 2 (1 cooling until ")


def test_without_a_key(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    _, ready, accounts, *_, step = said(tmp_path, caplog, LOCAL, env={})
    assert (ready, accounts) == ("ready: anthropic with claude-*", "accounts: each client's own login for Claude")
    assert step == f"next: put a key into {tmp_path}/.env (ZAI_API_KEY, KIMI_API_KEY); it is read at once"


def test_many_models_and_providers_are_a_line_each(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    names = [f"p{number}" for number in range(30)]
    providers = "".join(f"  {name}: {{base_url: 'http://{name}.example', auth: none}}\n" for name in names)
    models = "".join(f"  {name}-{number}: {name}/m{number}\n" for name in names for number in range(20))
    lines = said(tmp_path, caplog, LOCAL, routing=f"providers:\n{providers}models:\n{models}", env={})
    assert lines[1].startswith("ready: p0 with p0-0, p0-1, ")
    assert lines[1].endswith(", 10 more; 22 more")
    assert max(map(len, lines)) < 1500


def test_several_addresses(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first, *_ = said(tmp_path, caplog, LOCAL, ("::1", 4000, 0, 0))
    assert first == "listening on http://127.0.0.1:4000 and http://[::1]:4000"


def test_every_address(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first, *_, seen, _ = said(tmp_path, caplog, ("0.0.0.0", 4000), ("::", 4000, 0, 0))
    assert first == "listening on port 4000 of every address"
    assert " http://127.0.0.1:4000/gateway/; " in seen


def test_a_gateway_that_only_shows_a_file_listens_nowhere(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert said(tmp_path, caplog) == []


def test_a_file_that_mitmweb_shows(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    url = "http://127.0.0.1:8081/?token=abc"
    assert said(tmp_path, caplog, url=url) == [f"what it does can be seen on {url}"]


def test_where_to_look(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    url = "http://127.0.0.1:8081/?token=abc"
    *_, seen, _ = said(tmp_path, caplog, LOCAL, url=url)
    assert seen == f"what it does can be seen on {url} (mitmweb) and http://127.0.0.1:4000/gateway/"
