"""Takes the pictures in README: mitmweb after a few requests to scripted providers, and the page of the demo's team,
in a real browser.

python -m tests.screenshots [DIR]          (tests/screenshots)
"""

import sys
import time
from contextlib import ExitStack, suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from tests import browser
from tests.e2e.gateway import Gateway
from tests.e2e.mitmweb import WebGateway
from tests.fakes import demo
from tests.fakes.history import key, seed
from tests.fakes.launch import ROOT
from tests.fakes.provider import Provider
from tests.fakes.scripts import Pause, deliver, drop, error, insert, message, oauth_429, say, text, thinking, tool_use

TEAM_PICTURES = (
    ("page", "", (1280, 1010), "light"),
    ("page-dark", "?by=model", (1280, 650), "dark"),
    ("page-phone", "", (400, 900), "light"),
)
FOLDER = ROOT / "tests" / "screenshots"

TOKENS = [f"sk-ant-oat01-of-the-pool-number-{number}-{last}" for number, last in ((1, "7f2c"), (2, "91be"))]
ENV = {"ZAI_API_KEY": "zai-key-of-nobody-c41d", "KIMI_API_KEY": "kimi-key-of-nobody-a0e3"}
USAGE = {"input_tokens": 2614, "cache_read_input_tokens": 9822, "cache_creation_input_tokens": 0, "output_tokens": 812}
PRICE = {"input": 0.6, "output": 2.2, "cache_read": 0.11, "cache_write": 0}

EPHEMERAL = {"type": "ephemeral"}
QUESTION = "The last event of a stream is lost when the connection ends without a blank line. Find out why, and fix it."
CALL = {"type": "tool_use", "id": "toolu_01", "name": "Read", "input": {"file_path": "src/sse.py", "limit": 40}}
CODE = "1→def events(stream):\n2→    for block in stream.split(b'\\n\\n')[:-1]:\n3→        yield parse(block)"
RESULT = {"type": "tool_result", "tool_use_id": "toolu_01", "content": CODE, "cache_control": EPHEMERAL}
BODY: dict[str, Any] = {
    "model": "claude-sonnet-5-5",
    "max_tokens": 32000,
    "stream": True,
    "metadata": {"user_id": '{"device_id": "1f3a", "session_id": "a1b2c3d4-5e6f-4a7b-8c9d-0e1f2a3b4c5d"}'},
    "system": [{"type": "text", "text": "You are Claude Code, Anthropic's official CLI.", "cache_control": EPHEMERAL}],
    "tools": [
        {"name": name, "description": f"{what}.", "input_schema": {"type": "object"}}
        for name, what in (("Bash", "Runs a command"), ("Read", "Reads a file"), ("Edit", "Changes a file"))
    ],
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": QUESTION}]},
        {"role": "assistant", "content": [{"type": "text", "text": "I'll look at the reader first."}, CALL]},
        {"role": "user", "content": [RESULT]},
    ],
}
EDIT = {"file_path": "src/sse.py", "old_string": "split(b'\\n\\n')[:-1]", "new_string": "split(b'\\n\\n')"}
ANSWER = (
    thinking("The slice drops whatever comes after the last blank line, also when it is a whole event."),
    text("The reader throws the last block away: `[:-1]` takes it for an unfinished one. I'll keep it."),
    tool_use("Edit", EDIT),
)


def routing(urls: dict[str, str]) -> dict[str, Any]:
    return {
        "providers": {
            "anthropic": {"base_url": urls["anthropic"], "auth": "claude-oauth"},
            "zai": {"base_url": f"{urls['zai']}/api/anthropic", "auth": "bearer", "api_key": "${ZAI_API_KEY}"},
            "kimi": {"base_url": f"{urls['kimi']}/coding", "auth": "x-api-key", "api_key": "${KIMI_API_KEY}"},
        },
        "models": {
            "glm": {"provider": "zai", "model": "glm-5", "price": PRICE},
            "kimi": "kimi/kimi-for-coding",
            "claude-*": "anthropic/claude-*",
        },
        "fallbacks": {"claude-*": ["glm"]},
        "failover": {"retries": 0},
    }


def traffic(gateway: WebGateway, anthropic: Provider, zai: Provider, kimi: Provider) -> None:
    """A morning's requests: one that is served, one cut, one refused, one that failed over."""
    client = gateway.client
    client.headers = {"user-agent": "claude-cli/2.1.330 (external, cli)", "anthropic-version": "2023-06-01"}
    client.event_hooks = {}
    short = {**BODY, "messages": BODY["messages"][:1]}
    anthropic.script(deliver(message(*ANSWER[:2], usage=USAGE, pings=True), pace=0.03))
    kimi.script(drop(deliver(say(ANSWER[1]["text"]), pace=0.05), events=6))
    limited = oauth_429({"5h": time.time() + 3600}, allowed={"7d": time.time() + 5 * 86400})
    for body, scripted in (
        (short, []),
        ({**short, "model": "kimi"}, []),
        ({**short, "model": "gpt-9"}, []),
        ({**short, "model": "glm", "stream": False}, [message(text("Yes."), usage=USAGE)]),
        (BODY, [insert(deliver(message(*ANSWER, usage=USAGE), pace=0.02), Pause(0.9), after=0)]),
    ):
        zai.script(*scripted)
        if body is BODY:
            anthropic.script(limited, error(529, "Overloaded"))
        client.post("/v1/messages?beta=true", json=body)


def take(folder: Path) -> list[Path]:
    """All pictures, into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with (
        Provider("anthropic") as anthropic,
        Provider("zai") as zai,
        Provider("kimi") as kimi,
    ):
        urls = {provider.name: provider.url for provider in (anthropic, zai, kimi)}
        with WebGateway(routing(urls), {**ENV, "CLAUDE_OAUTH_TOKENS": ",".join(TOKENS)}) as gateway:
            traffic(gateway, anthropic, zai, kimi)
            with browser.page(gateway.page_url) as page:
                taken = pictures(page, folder)
    return [*taken, *team_pictures(folder)]


def team_pictures(folder: Path) -> list[Path]:
    """The page `/gateway/` of the demo's team: light, dark by model, and on a phone."""
    taken = []
    with ExitStack() as stack:
        urls = {name: stack.enter_context(provider).url for name, provider in demo.providers().items()}
        env = dict(line.split("=", 1) for line in demo.ENV.splitlines())
        gateway = Gateway(demo.ROUTING.format(**urls), env, upstream=urls["anthropic"])
        seed(gateway.directory / "gateway.sqlite")
        with gateway, browser.page(f"{gateway.url}/gateway/") as page:
            gateway.post("claude-sonnet-5-5", stream=True)
            with gateway.stream("slow", headers={"x-api-key": key("alice")}):
                for name, query, size, scheme in TEAM_PICTURES:
                    features = [{"name": "prefers-color-scheme", "value": scheme}]
                    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
                    page.resize(*size)
                    page.driver.get(f"{gateway.url}/gateway/{query}")
                    taken.append(folder / f"{name}.png")
                    page.screenshot(taken[-1])
                    shrink(taken[-1])
    return taken


def pictures(page: browser.Page, folder: Path) -> list[Path]:
    """The list, then each view of the flow that failed over."""
    taken = []

    def keep(name: str) -> None:
        taken.append(folder / f"{name}.png")
        page.screenshot(taken[-1])
        shrink(taken[-1])

    page.scheme("light")
    page.wait(lambda: len(page.rows()) >= 6, "the flows")
    page.resize(1280, 345)
    keep("list")
    page.resize(1440, 1000)
    page.open("anthropic 429")
    for view in ("Conversation", "Trail", "Changes", "Answer"):
        page.view(view)
        keep(view.lower())
    return taken


def shrink(path: Path) -> None:
    """Half the bytes, where Pillow is installed (it comes with matplotlib, for the benchmark's plots)."""
    with suppress(ImportError):
        pillow = import_module("PIL.Image")
        pillow.open(path).quantize(255).save(path, optimize=True)


def main() -> None:
    for path in take(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER):
        print(f"{path} {path.stat().st_size / 1000:.0f} KB")


if __name__ == "__main__":
    main()
