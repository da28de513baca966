"""mitmweb, asked as its page asks it: the list, the views, the commands, replays and exports.

views/mitmweb/page.py is tested here too.
"""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.credentials import OWN, TOKEN
from tests.e2e.conftest import TOKENS, Providers
from tests.e2e.gateway import PROBLEMS, Gateway, messages_body
from tests.e2e.mitmweb import VIEWS, XSRF, WebGateway
from tests.fakes.launch import GATEWAY
from tests.fakes.provider import PATIENCE, Provider
from tests.fakes.scripts import Gate, drop, error, insert, message, oauth_429, say, text, thinking
from tests.fakes.search import Hit, brave

KEY = {"x-litellm-api-key": TOKEN}


@pytest.fixture(scope="module")
def env(env: dict[str, str]) -> dict[str, str]:
    return {**env, "PROXY_STATIC_TOKEN": TOKEN, "SEARCH_KEY": "search-key-0123456789abcdef"}


@pytest.fixture(scope="module")
def web(providers: Providers, routing: dict[str, Any], env: dict[str, str]) -> Iterator[WebGateway]:
    search = {"provider": "brave", "url": providers.kimi.url, "api_key": "${SEARCH_KEY}"}
    with WebGateway({**routing, "search": search}, env, upstream=providers.anthropic.url) as gateway:
        yield gateway


@pytest.fixture(autouse=True)
def _as_before(web: WebGateway) -> Iterator[None]:
    yield
    web.command("gateway.resume")


def ask(web: WebGateway, model: str, headers: dict[str, str] | None = None, **body: Any) -> dict[str, Any]:
    """The flow of one request."""
    return web.flow(web.post(model, headers=headers or KEY, **body).request)


def failed_over(web: WebGateway, providers: Providers, **body: Any) -> dict[str, Any]:
    """The flow of a request that glm has answered for Claude."""
    providers.anthropic.script(oauth_429({"5h": 4e9}), oauth_429({"5h": 4e9}))
    providers.zai.script(message(thinking("Let me see."), text("Hello from GLM.")))
    return ask(web, "claude-sonnet-5-5", **body)


# The list


def test_the_comment_tells_the_story(web: WebGateway, providers: Providers) -> None:
    flow = failed_over(web, providers, stream=True)
    assert re.fullmatch(
        r"claude-sonnet-5-5 → anthropic 429 → anthropic 429 → zai/glm-5 · 4 steps · \d+ in / \d+ out · "
        r"\d+\.\d s to first event · \d+\.\d s",
        flow["comment"],
    )
    assert flow["marked"] == "↪"
    assert flow["request"]["path"] == "/v1/messages"
    assert flow["response"]["status_code"] == 200


def test_what_went_well_is_not_marked_and_errors_are(web: WebGateway, zai: Provider) -> None:
    assert ask(web, "glm")["marked"] == ""
    zai.script(error(400, "no"))
    assert ask(web, "glm")["marked"] == "✖"
    assert ask(web, "no-such-model")["marked"] == "✖"
    zai.script(drop(say("cut"), events=4))
    flow = ask(web, "glm", stream=True)
    assert (flow["marked"], flow["response"]["status_code"]) == ("✖", 200)
    assert "ended with an error event" in flow["comment"]


def test_the_page_has_our_style_and_script(web: WebGateway) -> None:
    page = web.web.get("/").text
    assert page.count("/gateway/page.css") == page.count("/gateway/page.js") == 1
    assert ".gw-story" in web.web.get("/gateway/page.css").raise_for_status().text
    assert "./list.js" in web.web.get("/gateway/page.js").raise_for_status().text
    assert "__reactProps" in web.web.get("/gateway/list.js").raise_for_status().text
    stranger = httpx.get(web.page_url.partition("?")[0], trust_env=False, timeout=PATIENCE)
    assert (stranger.status_code, "/gateway/" in stranger.text) == (403, False)
    for path in ("__init__.py", "page.py", "../compare.py"):
        assert web.web.get(f"/gateway/{path}").status_code == 404


def test_our_pages_are_behind_mitmwebs_password(web: WebGateway) -> None:
    stranger = httpx.Client(base_url=web.web.base_url, trust_env=False, timeout=PATIENCE)
    with stranger:
        for path in ("/gateway/pool/", "/gateway/pool/live", "/gateway/compare?flows=a,b", "/gateway/models"):
            assert stranger.get(path).status_code == 403, path
        assert stranger.post("/gateway/pool/resume", data={"account": "all"}).status_code == 403
    assert web.web.get("/gateway/models").json() == ["glm", "glm-fast", "kimi", "openrouter"]
    assert "frame-ancestors 'none'" in web.web.get("/gateway/pool/").headers["content-security-policy"]
    del web.web.headers["x-xsrftoken"]  # as another page's form would send it
    try:
        assert web.web.post("/gateway/pool/resume", data={"account": "all"}).status_code == 403
        form = {"account": "nobody", "_xsrf": XSRF}
        assert web.web.post("/gateway/pool/resume", data=form).status_code == 404
    finally:
        web.web.headers["x-xsrftoken"] = XSRF


def test_a_flow_is_told_with_our_row(web: WebGateway, providers: Providers) -> None:
    row = failed_over(web, providers)["gateway"]
    assert (row["state"], row["asked"], row["account"]) == ("elsewhere", "claude-sonnet-5-5", "zai:1")
    assert [one["failed"] for one in row["attempts"]] == ["429", "429", ""]


def test_a_search_of_the_gateways_own_is_a_flow_of_its_own(web: WebGateway, kimi: Provider) -> None:
    kimi.always(brave([Hit("https://a.org/")]))
    query = "Perform a web search for the query: mitmproxy"
    flow = ask(web, "glm", text=query, tools=[{"type": "web_search_20250305", "name": "web_search"}])
    assert flow["comment"].startswith("glm → the gateway · ")
    trail = web.text(flow, "response", "Trail")
    (own,) = re.findall(r"asked /res/v1/web/search \((req_gw_\w+)\): 200", trail)
    search = web.that_ends(lambda flow: flow["comment"].startswith("search of "))
    assert search["request"]["path"].startswith("/res/v1/web/search?q=mitmproxy")
    assert ["x-subscription-token", "…cdef"] in search["request"]["headers"]
    assert ["host", kimi.url.removeprefix("http://")] in search["request"]["headers"]
    assert kimi.last.headers["host"] == kimi.url.removeprefix("http://")
    assert own in web.text(search, "response", "Trail")
    assert "https://a.org/" in web.text(search, "response", "JSON")


# The views


def test_each_pane_opens_with_the_view_that_fits(web: WebGateway, providers: Providers) -> None:
    flow = failed_over(web, providers, stream=True)
    assert web.view(flow, "request")["view_name"] == "Conversation"
    assert web.view(flow, "response")["view_name"] == "Answer"
    refused = ask(web, "no-such-model")
    assert web.view(refused, "response")["view_name"] == "Trail"


@pytest.mark.parametrize("pane", ["request", "response"])
def test_every_view_is_there_in_both_panes(web: WebGateway, providers: Providers, pane: str) -> None:
    flow = failed_over(web, providers, text="What is this?", stream=True)
    shown = {view: web.text(flow, pane, view) for view in VIEWS}
    assert "attempt 3 · zai/glm-5, the fallback glm · 200" in shown["Trail"]
    assert "authorization: Bearer sk-ant-oat01…aaaa" in shown["Trail"]
    assert '-   "model": "claude-sonnet-5-5"' in shown["Changes"]
    assert '+   "model": "glm-5"' in shown["Changes"]
    assert "What is this?" in shown["Conversation"]
    assert "── attempt 1 · anthropic/claude-sonnet-5-5 · answer " in shown["Attempts"]
    assert '"type": "rate_limit_error"' in shown["Attempts"]
    assert "authorization: Bearer sk-ant-oat01…aaaa" in shown["Attempts"]
    assert "event: message_start" in shown["Attempts"]
    assert "Let me see." in shown["Answer"]
    assert "Hello from GLM." in shown["Answer"]


def test_a_running_stream_can_be_read(web: WebGateway, zai: Provider) -> None:
    gate = Gate()
    zai.script(insert(say("One half, the other half."), gate, after=4))
    with web.stream("glm", headers=KEY) as stream:
        stream.until("content_block_delta")
        web.wait_until(lambda: sum(not flow["comment"] for flow in web.flows()) == 1)
        (flow,) = [flow for flow in web.flows() if not flow["comment"]]
        assert "still running" in web.text(flow, "request", "Trail")
        running = web.text(flow, "response", "Answer")
        assert "still running" in running
        gate.open()
        stream.read()
    assert "One half, the other half." in web.text(web.flow(stream.response.request), "response", "Answer")


# Commands


def test_the_pool(web: WebGateway, providers: Providers) -> None:
    failed_over(web, providers)
    first, second, *keys = web.command("gateway.pool").split("\n")
    shown = r"claude:1  sk-ant-oat01…aaaa  cooling until \d\d:\d\d:\d\d \(5h limit\) · \d+ sessions"
    assert re.match(shown, first)
    assert second.startswith("claude:2  sk-ant-oat01…bbbb  cooling until ")
    assert any(line.startswith("zai:1  ") for line in keys)
    assert web.command("gateway.resume", "claude:1") == "1 account may be used again"
    assert "cooling" not in web.command("gateway.pool").split("\n")[0]
    assert ask(web, "claude-sonnet-5-5")["comment"].startswith("claude-sonnet-5-5 → anthropic/claude-sonnet-5-5 ")
    assert providers.anthropic.last.token == TOKENS[0]


def test_the_routes(web: WebGateway) -> None:
    routes = web.command("gateway.routes").split("\n")
    assert "glm → zai/glm-5" in routes
    assert "claude-* → anthropic/claude-*, then zai/glm-5" in routes


def test_the_trail_of_flows(web: WebGateway, providers: Providers) -> None:
    flow = failed_over(web, providers)
    trail = web.command("gateway.trail", f"@{flow['id']}")
    assert trail == web.text(flow, "request", "Trail")
    assert len(web.command("gateway.trail", "@all")) > len(trail)


# Replays


def test_replay_goes_through_the_chain_again(web: WebGateway, providers: Providers) -> None:
    flow = failed_over(web, providers, text="again", stream=True)
    web.command("gateway.resume")
    listed = len(web.flows())
    providers.anthropic.script(say("This time it was Claude."))
    web.replay(flow)
    again = web.that_is_replayed(lambda seen: seen["id"] == flow["id"])
    assert again["comment"].startswith("replay · claude-sonnet-5-5 → anthropic/claude-sonnet-5-5 ")
    assert again["marked"] == ""
    asked = providers.anthropic.last
    assert asked.json == messages_body("claude-sonnet-5-5", text="again", stream=True)
    assert asked.token in TOKENS
    assert "This time it was Claude." in web.text(again, "response", "Answer")
    assert "attempt 2" not in web.text(again, "request", "Trail")
    assert len(web.flows()) == listed


def test_a_replay_can_be_replayed(web: WebGateway, zai: Provider) -> None:
    flow = ask(web, "glm")
    for number in (1, 2):
        zai.script(say(f"Answer {number}."))
        web.replay(flow)
        zai.wait_for(lambda: not zai.unused)
        again = web.that_is_replayed(lambda seen: seen["id"] == flow["id"])
        assert again["comment"].startswith("replay · glm → zai/glm-5 ")
        assert f"Answer {number}." in web.text(again, "response", "Answer")
    assert len(zai.requests) == 3


def test_a_replay_comes_in_as_its_first_caller(web: WebGateway, anthropic: Provider) -> None:
    own = {**KEY, "authorization": f"Bearer {OWN}", "x-claude-token-mode": "passthrough"}
    flow = ask(web, "claude-sonnet-5-5", own)
    assert anthropic.last.token == OWN
    web.replay(flow)
    anthropic.wait_for(lambda: len(anthropic.requests) == 2)
    assert anthropic.last.token == OWN
    web.that_is_replayed(lambda seen: seen["id"] == flow["id"])


def test_replay_to_another_model(web: WebGateway, providers: Providers) -> None:
    flow = ask(web, "claude-sonnet-5-5", text="Compare.", stream=True)
    listed = {seen["id"] for seen in web.flows()}
    providers.zai.script(say("Hello from GLM."))
    assert web.command("gateway.replay", f"@{flow['id']}", "glm") == "sent 1 request to glm"
    other = web.that_is_replayed(lambda seen: seen["id"] not in listed)
    assert other["comment"].startswith("replay · glm → zai/glm-5 ")
    assert providers.zai.last.json == messages_body("glm-5", text="Compare.", stream=True)
    assert "Hello from GLM." in web.text(other, "response", "Answer")
    assert "Hello from anthropic" in web.text(flow, "response", "Answer")
    assert len(web.flows()) == len(listed) + 1
    answer = web.web.post("/commands/gateway.replay", json={"arguments": [f"@{flow['id']}", "no-such-model"]})
    assert answer.json() == {"error": "no route for 'no-such-model'"}


# Exports


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize("said", ["hi", 'It\'s "quoted" \\ and $HOME `too`\nin two lines: naïve → 🙂'])
def test_the_curl_export_works(web: WebGateway, zai: Provider, tmp_path: Path, said: str) -> None:
    cookies = {"cookie": "session=cookie-0123456789"}
    flow = ask(web, "glm", {**KEY, **cookies, "authorization": f"Bearer {OWN}"}, text=said)
    command = web.command("export", "curl", f"@{flow['id']}")
    assert "…" not in command
    done = subprocess.run(
        ["bash", "-c", f"{command} --silent --noproxy '*'"],
        env={"PATH": "/usr/bin:/bin", "GATEWAY_TOKEN": TOKEN, "HOME": str(tmp_path)},
        capture_output=True,
        check=True,
    )
    assert json.loads(done.stdout)["content"][0]["text"] == "Hello from zai"
    assert len(zai.requests) == 2
    assert zai.requests[0].body == zai.requests[1].body


# Files


@pytest.fixture(scope="module")
def saved(providers: Providers, routing: dict[str, Any], env: dict[str, str]) -> Iterator[Path]:
    """A file with a request that failed over, one that did not, and one that was refused."""
    with Gateway(routing, env, upstream=providers.anthropic.url, options=("-w", "flows")) as gateway:
        providers.anthropic.script(oauth_429({"5h": 4e9}), oauth_429({"5h": 4e9}))
        for model in ("claude-sonnet-5-5", "glm", "no-such-model"):
            gateway.post(model, stream=True, headers=KEY)
        gateway.stop()
        yield gateway.directory / "flows"


def test_saved_flows_are_shown_again(
    saved: Path, providers: Providers, routing: dict[str, Any], env: dict[str, str]
) -> None:
    with WebGateway(routing, env, upstream=providers.anthropic.url, options=("-r", str(saved))) as web:
        asked = sum(len(provider.requests) for provider in providers)
        first = web.that_ends(lambda flow: flow["comment"].startswith("claude"))
        assert first["marked"] == "↪"
        assert "attempt 3 · zai/glm-5, the fallback glm · 200" in web.text(first, "request", "Trail")
        assert web.view(first, "request")["view_name"] == "Conversation"
        assert "Hello from zai" in web.text(first, "response", "Answer")
        refused = web.that_ends(lambda flow: flow["comment"].startswith("no-such-model"))
        assert refused["response"]["status_code"] == 404
        assert sum(len(provider.requests) for provider in providers) == asked
        assert f"127.0.0.1:{web.port}/v1/messages" in web.command("export", "curl", f"@{first['id']}")
        providers.anthropic.script(say("Claude again."))
        web.replay(first)
        again = web.that_is_replayed(lambda flow: flow["id"] == first["id"])
        assert again["comment"].startswith("replay · claude")
        assert "Claude again." in web.text(again, "response", "Answer")
        assert providers.anthropic.last.token in TOKENS


def test_saved_flows_are_shown_in_the_terminal(saved: Path) -> None:
    program = Path(sys.executable).with_name("mitmdump")
    settings = ("--set", "gateway_routing=routing.yaml", "--set", "gateway_env=.env", "--set", "gateway_db=db")
    shown = subprocess.run(
        [program, "-nr", saved, "-s", GATEWAY, "--flow-detail", "3", *settings],
        cwd=saved.parent,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "claude-sonnet-5-5 · 1 message" in shown
    assert "Hello from zai" in shown
    assert "no route for 'no-such-model'" in shown
    assert not PROBLEMS.search(shown)
