"""The gateway before scripted providers, to try everything without a network, a key or an account.

    python -m tests.fakes.demo [options of mitmdump]
    python -m tests.fakes.demo --web [options of mitmweb]

Serves on 127.0.0.1:4000, or where GATEWAY_PORT or `-p` say. Ctrl-C ends it. In mitmweb a dozen requests are made, so
that there is something to look at.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from .demo_traffic import QUESTION, show
from .history import TEAM, key, seed
from .launch import GATEWAY_VARIABLES, command
from .provider import Provider, hello
from .scripts import (
    Block,
    Pause,
    Reply,
    Request,
    agent,
    chat,
    deliver,
    drop,
    error,
    insert,
    last_message,
    message,
    oauth_429,
    say,
    text,
    thinking,
)
from .search import Hit, brave

PACE = 0.08
"""Seconds between two events of a stream, so that one can watch it."""

SILENCE = 8
"""Seconds until the slow provider says its first word."""

GOOD_TOKEN = "sk-ant-oat01-demo-token-with-quota-left"
ADMIN_KEY = "demo-administrator"
TIRED_TOKEN = "sk-ant-oat01-demo-token-at-its-limit"

ENV = f"""\
DEMO_KEY=demo-key-of-no-provider
LITELLM_MASTER_KEY={ADMIN_KEY}
CLAUDE_OAUTH_TOKENS={TIRED_TOKEN},{GOOD_TOKEN}
"""

ROUTING = """\
providers:
  anthropic:  {{base_url: {anthropic}, auth: claude-oauth}}
  zai:        {{base_url: {zai}/api/anthropic, auth: bearer, api_key: "${{DEMO_KEY}}"}}
  kimi:       {{base_url: {kimi}/coding, auth: x-api-key, api_key: "${{DEMO_KEY}}"}}
  openrouter: {{base_url: {openrouter}/api, auth: bearer, api_key: "${{DEMO_KEY}}", thinking: strip}}
  limited:    {{base_url: {limited}, auth: bearer, api_key: "${{DEMO_KEY}}"}}
  dying:      {{base_url: {dying}, auth: bearer, api_key: "${{DEMO_KEY}}"}}
  slow:       {{base_url: {slow}, auth: bearer, api_key: "${{DEMO_KEY}}"}}
  local:      {{base_url: {local}/v1, format: openai-chat, auth: none}}
search:       {{provider: brave, url: {search}, api_key: "${{DEMO_KEY}}"}}
models:
  glm:        {{provider: zai, model: glm-5, price: {{input: 1, output: 3.2}}}}
  kimi:       {{provider: kimi, model: kimi-for-coding, price: {{input: 0.6, output: 2.5}}}}
  openrouter: openrouter/qwen/qwen3.6-plus:free
  limited:    limited/some-model
  dying:      dying/some-model
  slow:       slow/some-model
  local:      local/qwen3-coder:30b
  claude-*:   {{provider: anthropic, model: claude-*, price: {{input: 3, output: 15}}}}
fallbacks:
  limited:    [glm]
  dying:      [glm]
  claude-*:   [glm]
failover:
  first_byte_timeout: 30
  cooldown: 20
  hold: 2
  ping_interval: 2
"""

ALIASES = {
    "glm": "thinking, text and a tool call, one event after the other",
    "kimi": "a tool call whose id (functions.Bash:0) other providers would refuse",
    "openrouter": "thinks, but its thinking is stripped on the way",
    "claude-sonnet-5-5": "a pool of two tokens: the first is always at its limit (429 with reset headers)",
    "limited": "always 429: the gateway falls back to glm",
    "dying": "drops the connection before it has said anything useful: the gateway falls back to glm",
    "local": "speaks OpenAI's format, and is translated both ways",
    "slow": f"says nothing for {SILENCE} s: pings keep the client patient",
}

ANSWERS: dict[str, Block] = {
    "zai": text(
        "The reader drops it: `stream.split(b'\\n\\n')[:-1]` takes the last block for an unfinished one. At the end of "
        "the connection it is whole, so hand it on if there is anything in it."
    ),
    "kimi": text(
        "An event ends with a blank line, and the last one has none. Three ways out:\n\n1. Treat the end of the stream "
        "as a blank line.\n2. Keep what is left over, and parse it when the connection has closed.\n3. Ask the server "
        "to write the blank line.\n\nI would take the second."
    ),
}
"""What two models say to one question, to be compared."""

HITS = (
    Hit("https://docs.mitmproxy.org/stable/addons-contentviews/", "Contentviews", "Make a body readable."),
    Hit("https://docs.mitmproxy.org/stable/concepts/modes/", "Proxy modes", "Reverse proxy: in front of a server."),
)

GUIDE = """
Scripted providers behind a real gateway: {url}
No network, no key, no account. Ctrl-C ends it.

{url}/gateway/   a team of three over a month; bob is over his budget
{keys}

{aliases}

Watch a stream, with the headers that say who answered (any alias in place of glm):

  curl -iN {url}/v1/messages -H 'content-type: application/json' -d '{body}'

Claude Code, in one line (it runs `echo hi` and tells what came of it):

  ANTHROPIC_BASE_URL={url} ANTHROPIC_AUTH_TOKEN=demo CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1 claude --model glm

or as ~/.claude/settings.json:

{settings}
"""


def providers() -> dict[str, Provider]:
    """The scripted providers by name, not started."""
    plan: Block = text("Let me see what the shell says. ")
    first, then = thinking("The user wants something done. I should run a command."), thinking("That went well.")
    scripts: dict[str, Reply] = {
        "anthropic": pool(agent(before=(first, plan), after=(then,), pings=True, padding=4)),
        "zai": agent(before=(first, plan), after=(then,), usage_at_start=False),
        "kimi": agent(before=(plan,), tool_id="functions.Bash:{}"),
        "openrouter": agent(before=(first, plan), after=(then,), comments=("OPENROUTER PROCESSING",), done=True),
        "limited": error(429, "Rate limit reached for requests", headers={"retry-after": "30"}),
        "dying": drop(say("never seen"), byte=300, then="rst"),
        "local": chat("I am a model of this machine, and was asked in another format."),
        "search": brave(HITS),
        "slow": insert(say(f"Sorry, I had to think for {SILENCE} seconds."), Pause(SILENCE), after=0),
    }
    scripts = {name: asked(script, ANSWERS[name]) if name in ANSWERS else script for name, script in scripts.items()}
    return {name: Provider(name, always=messages(deliver(script, pace=PACE))) for name, script in scripts.items()}


def asked(script: Reply, answer: Block) -> Reply:
    """The script, and an answer to the question that two models are asked."""

    usage = {"input_tokens": 214, "output_tokens": len(answer["text"]) // 4}

    def reply(request: Request) -> Reply:
        wanted = QUESTION in json.dumps(last_message(request))
        return message(thinking("What ends an event?"), answer, usage=usage) if wanted else script

    return reply


def messages(script: Reply) -> Reply:
    """The script for messages and searches, and the usual answers for everything else."""

    def reply(request: Request) -> Reply:
        return script if request.path.partition("?")[0].endswith(("/messages", "/completions", "/search")) else hello

    return reply


def pool(script: Reply) -> Reply:
    """The script for a token that has quota left, and a 429 for the other one."""

    def reply(request: Request) -> Reply:
        if request.token == TIRED_TOKEN:
            return oauth_429({"5h": time.time() + 3600}, allowed={"7d": time.time() + 5 * 86400})
        return script

    return reply


def guide(url: str) -> str:
    """What to try, as text for a terminal."""
    tool = {"name": "Bash", "input_schema": {"type": "object"}}
    question = {"role": "user", "content": "Say hi with the shell."}
    body = {"model": "glm", "max_tokens": 999, "stream": True, "messages": [question], "tools": [tool]}
    settings = {
        "env": {
            "ANTHROPIC_BASE_URL": url,
            "ANTHROPIC_AUTH_TOKEN": "demo",
            "ANTHROPIC_MODEL": "glm",
            "CLAUDE_CODE_MAX_CONTEXT_TOKENS": "200000",
            "API_TIMEOUT_MS": "3000000",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        }
    }
    width = max(map(len, ALIASES))
    keys = {f"as {person.name}": key(person.name) for person in TEAM} | {"as administrator": ADMIN_KEY}
    return GUIDE.format(
        url=url,
        keys="\n".join(f"  {who:17} {value}" for who, value in keys.items()),
        aliases="\n".join(f"  {alias:{width}}  {shows}" for alias, shows in ALIASES.items()),
        body=json.dumps(body),
        settings=json.dumps(settings, indent=2),
    )


def serve(program: str, options: list[str]) -> int:
    """Runs the demo until it is ended; returns the gateway's exit status."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("-p", "--listen-port", type=int, default=int(os.environ.get("GATEWAY_PORT") or 4000))
    port = parser.parse_known_args(options)[0].listen_port
    with ExitStack() as stack:
        directory = Path(stack.enter_context(TemporaryDirectory(prefix="gateway-demo-")))
        urls = {name: stack.enter_context(provider).url for name, provider in providers().items()}
        (directory / "routing.yaml").write_text(ROUTING.format(**urls))
        (directory / ".env").write_text(ENV)
        (directory / ".env").chmod(0o600)
        seed(directory / "gateway.sqlite")
        print(guide(f"http://127.0.0.1:{port}"), flush=True)
        args = command(program=program, upstream=urls["anthropic"], port=port, directory=directory)
        child = subprocess.Popen(
            [*args, *options],
            env={name: value for name, value in os.environ.items() if name not in GATEWAY_VARIABLES},
            stdin=subprocess.DEVNULL,
            process_group=0,  # Ctrl-C reaches us alone, and the child once: through us
        )
        if program == "mitmweb":
            asking = threading.Thread(target=show, args=(f"http://127.0.0.1:{port}", ["slow"]), daemon=True)
            asking.start()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda number, frame: child.send_signal(number))
        status = child.wait()
    return status if status >= 0 else 128 - status


def main() -> None:
    """The command line: see the top of this file."""
    web = sys.argv[1:2] == ["--web"]
    options = sys.argv[2:] if web else sys.argv[1:]
    sys.exit(serve("mitmweb" if web else "mitmdump", options))


if __name__ == "__main__":
    main()
