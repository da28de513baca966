"""What a gateway holds after its requests have ended: in mitmdump nothing, in mitmweb no more than it was told to keep.

The long run is tests/bench/memory.py.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.credentials import OWN_LOGIN
from tests.e2e.conftest import Providers
from tests.e2e.gateway import SAVING, Gateway
from tests.e2e.mitmweb import WebGateway
from tests.fakes.scripts import Gate, chat, drop, error, error_first, insert, oauth_429, reset, say

pytestmark = pytest.mark.skipif(SAVING, reason="a HAR is made of flows that are kept")

PROBE = """
import gc, json
from mitmproxy import http
from addons.state.exchange import Exchange
from addons.wire.messages.body import RequestBody

class Probe:
    def request(self, flow):
        if flow.request.path == "/probe":
            gc.collect()
            there = gc.get_objects()
            bodies, exchanges = (sum(isinstance(one, kind) for one in there) for kind in (RequestBody, Exchange))
            flow.response = http.Response.make(200, json.dumps({"exchanges": exchanges, "bodies": bodies}))

addons = [Probe()]
"""


@pytest.fixture(scope="module")
def routing(routing: dict[str, Any], providers: Providers) -> dict[str, Any]:
    chat = {"base_url": f"{providers.kimi.url}/v1", "format": "openai-chat", "auth": "none"}
    return {
        **routing,
        "providers": {**routing["providers"], "chat": chat},
        "models": {**routing["models"], "chat": "chat/some-model"},
        "failover": {**routing["failover"], "retries": 0, "cooldown": 0.01},
    }


@pytest.fixture
def probe(tmp_path: Path) -> tuple[str, str]:
    """The option that loads it."""
    (tmp_path / "probe.py").write_text(PROBE)
    return ("-s", str(tmp_path / "probe.py"))


def live(gateway: Gateway) -> dict[str, int]:
    """How much of requests is in memory, less the one that asks."""
    counts: dict[str, int] = gateway.client.get("/probe").raise_for_status().json()
    return {**counts, "exchanges": counts["exchanges"] - 1}


def test_mitmdump_keeps_nothing(start_gateway: Callable[..., Gateway], providers: Providers, probe: Any) -> None:
    gateway = start_gateway(options=probe)
    anthropic, zai, kimi, _ = providers
    for stream in (False, True):
        gateway.post("glm", stream=stream)
        anthropic.script(oauth_429({"5h": 4e9}))
        gateway.post("claude-sonnet-5-5", stream=stream)
        gateway.post("claude-sonnet-5-5", stream=stream, headers={**OWN_LOGIN, "x-claude-token-mode": "passthrough"})
        for failure in (error(400), error(500), reset(), error_first(), drop(say("half"), events=4)):
            zai.script(failure)
            gateway.post("glm", stream=stream)
        kimi.script(chat("translated"))
        gateway.post("chat", stream=stream)
        gateway.post("no-such-model", stream=stream)
        gateway.post("claude-sonnet-5-5", path="/v1/messages/count_tokens")
    gateway.client.get("/v1/models")
    gateway.client.get("/v1/files", headers=OWN_LOGIN)
    zai.script(insert(say("to nobody"), Gate(), after=4))
    with gateway.stream("glm") as running:
        running.until("content_block_start")
        gateway.wait_until(lambda: live(gateway) == {"exchanges": 1, "bodies": 1})
    gateway.wait_until(lambda: live(gateway) == {"exchanges": 0, "bodies": 0})


@pytest.mark.parametrize("options", [{"gateway_keep_flows": 20}, {"gateway_keep_megabytes": 1}])
def test_mitmweb_keeps_what_it_was_told_to(
    providers: Providers, routing: dict[str, Any], env: dict[str, str], probe: Any, options: dict[str, int]
) -> None:
    settings = [part for name, value in options.items() for part in ("--set", f"{name}={value}")]
    with WebGateway(routing, env, options=(*probe, *settings)) as gateway:
        for number in range(30):
            gateway.post("glm", text="x" * 50_000, stream=number % 2 == 0)
        gateway.wait_until(lambda: all(flow["comment"] for flow in gateway.flows()))
        flows = gateway.flows()
        if "gateway_keep_flows" in options:
            assert len(flows) == 20
        else:
            assert 5 < sum(flow["request"]["contentLength"] > 50_000 for flow in flows) < 20
        gateway.wait_until(lambda: live(gateway) == {"exchanges": len(flows), "bodies": len(flows)})
        gateway.web.post("/clear").raise_for_status()
        gateway.wait_until(lambda: live(gateway) == {"exchanges": 0, "bodies": 0})
