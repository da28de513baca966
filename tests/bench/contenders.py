"""Who is measured: nobody in between, bare mitmdump, the gateway, and the peers that are installed."""

import atexit
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from addons.config.routing import Budget
from addons.state.users import KnownUser, User, UserFile
from addons.team.keys import digest, make_id, make_key
from tests.bench.load import TOKEN
from tests.bench.server import Server
from tests.fakes.launch import LAUNCH, ROOT, SUPERVISOR, command
from tests.fakes.ports import port_of, reserve

DIRECT, BARE, GATEWAY, POOL = "direct", "bare mitmdump", "gateway", "gateway, pool"
BARE_TLS, GATEWAY_TLS = "bare mitmdump, TLS", "gateway, TLS"
GATEWAY_CHAT = "gateway, Chat Completions"
TEAM = "gateway, limits"
LITELLM, CCR = "LiteLLM", "claude-code-router"

INSTALL = {
    LITELLM: "python -m venv /tmp/litellm && /tmp/litellm/bin/pip install 'litellm[proxy]', "
    "then LITELLM=/tmp/litellm/bin/litellm ./run.sh bench --peers",
    CCR: "npm install -g @musistudio/claude-code-router (or CCR=/path/to/ccr)",
}
"""How to get a peer that is not installed."""

ROUTING = """\
providers:
  anthropic: {{base_url: "http://127.0.0.1:{port}", auth: claude-oauth}}
  zai: {{base_url: "http://127.0.0.1:{port}/api/anthropic", auth: bearer, api_key: "${{ZAI_API_KEY}}"}}
  zai-tls: {{base_url: "https://127.0.0.1:{tls}/api/anthropic", auth: bearer, api_key: "${{ZAI_API_KEY}}"}}
  chat: {{base_url: "http://127.0.0.1:{port}/v1", format: openai-chat, auth: bearer, api_key: "${{ZAI_API_KEY}}"}}
models:
  glm: {{provider: zai, model: glm-5, price: {{input: 1, output: 3}}}}
  glm-tls: zai-tls/glm-5
  glm-chat: chat/glm-5
  claude-*: anthropic/claude-*
fallbacks:
  claude-*: [glm]
"""

ENV = {
    "PROXY_STATIC_TOKEN": TOKEN,
    "ZAI_API_KEY": "bench-zai-key",
    "CLAUDE_OAUTH_TOKENS": ",".join(f"sk-ant-oat01-bench-token-{number}" for number in range(5)),
}

LITELLM_CONFIG = """\
model_list:
  - model_name: glm
    litellm_params: {{model: anthropic/glm-5, api_base: "http://127.0.0.1:{port}", api_key: bench-zai-key}}
general_settings: {{master_key: {token}}}
litellm_settings: {{telemetry: false}}
"""


@dataclass(frozen=True)
class Contender:
    """One column of the table."""

    name: str
    port: int
    server: Server | None = None
    """None: nobody is in between."""
    model: str = "glm"
    signed_by: str = "gw1.zai."
    """What stands before the signatures of the thinking that a client has got through the gateway."""
    path: str = "/v1/messages?beta=true"
    token: str = TOKEN
    """What the client shows as its key."""


class Ports(NamedTuple):
    """Where the provider listens, and the number of its process."""

    plain: int
    tls: int
    process: int = 0


@contextmanager
def provider() -> Iterator[Ports]:
    """The provider process; its ports."""
    arguments = [sys.executable, "-m", "tests.bench.provider"]
    process = subprocess.Popen(arguments, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin and process.stdout
    try:
        plain, tls = map(int, process.stdout.readline().split())
        yield Ports(plain, tls, process.pid)
    finally:
        process.stdin.close()
        process.stdout.close()
        process.wait(10)


def free_port() -> int:
    """One that stays ours until this process ends: else another is given it before the server listens there."""
    reserved = reserve()
    atexit.register(reserved.close)
    return port_of(reserved)


def direct(upstream: int) -> Contender:
    return Contender(DIRECT, upstream)


def mitmproxy(name: str, ports: Ports, directory: Path, *, workers: int = 1) -> Contender:
    """The gateway as run.sh starts it, or mitmdump with `bare.py`."""
    upstream = f"http://127.0.0.1:{ports.plain}"
    home = directory / f"{name.replace(' ', '-')}-{workers}"
    home.mkdir()
    port = free_port()
    if name in (GATEWAY, TEAM):
        (home / "routing.yaml").write_text(ROUTING.format(port=ports.plain, tls=ports.tls))
        (home / ".env").write_text("".join(f"{key}={value}\n" for key, value in ENV.items()))
        arguments = command(upstream=upstream, port=port, directory=home)
        arguments += ["--set", "termlog_verbosity=alert"]
        starter = [str(SUPERVISOR), str(workers)] if workers > 1 else [str(LAUNCH)]
        arguments = [sys.executable, "-P", *starter, "mitmdump", *arguments[1:]]
    else:
        arguments = [
            str(Path(sys.executable).with_name("mitmdump")),
            *("-s", str(Path(__file__).with_name("bare.py"))),
            *("--mode", f"reverse:{upstream}", "--listen-host", "127.0.0.1", "-p", str(port)),
            *("--set", "connection_strategy=lazy", "--set", "flow_detail=0", "--set", "termlog_verbosity=error"),
        ]
    arguments += ["--set", "ssl_insecure=true"]
    headers = {"x-litellm-api-key": TOKEN}
    env = {"BENCH_TLS": str(ports.tls)}
    env["PYTHONPATH"] = str(ROOT)  # this folder's addons, wherever they are installed from
    return Contender(name, port, Server(command=arguments, port=port, directory=home, headers=headers, env=env))


def team(ports: Ports, directory: Path) -> Contender:
    """Another gateway: with users, and one who has every limit that there is, and meets none."""
    made = mitmproxy(TEAM, ports, directory)
    assert made.server
    home = made.server.directory
    with (home / "routing.yaml").open("a") as routing:
        routing.write("users: {timezone: UTC, sessions: 1000}\n")
    key = make_key(public := make_id())
    user = User("alice", public, False, Budget(1e5, 1e6, 1e6), ("glm*",), 1_000_000, 1000)
    UserFile(home / "gateway.sqlite").add(KnownUser(user, digest(key)))
    return replace(made, token=key)


def pool(gateway: Contender) -> Contender:
    """The same gateway, asked for a model of Anthropic: served with a pool of five tokens."""
    return Contender(POOL, gateway.port, gateway.server, model="claude-opus-4-8", signed_by="")


def asked_for(model: str, name: str, of: Contender) -> Contender:
    """The same server, asked for another model."""
    return Contender(name, of.port, of.server, model=model)


def installed(name: str) -> str | None:
    """The path of a peer's program: $LITELLM, $CCR, or on the PATH."""
    variable, program = {LITELLM: ("LITELLM", "litellm"), CCR: ("CCR", "ccr")}[name]
    return os.environ.get(variable) or shutil.which(program)


def peer(name: str, program: str, upstream: int, directory: Path) -> Contender:
    """A peer with a configuration that sends `glm` to the same provider."""
    home = directory / name
    home.mkdir()
    port = free_port()
    headers = {"authorization": f"Bearer {TOKEN}"}
    if name == LITELLM:
        (home / "config.yaml").write_text(LITELLM_CONFIG.format(port=upstream, token=TOKEN))
        arguments = [program, "--config", str(home / "config.yaml"), "--host", "127.0.0.1", "--port", str(port)]
        server = Server(command=arguments, port=port, directory=home, health="/health/liveliness", headers=headers)
        return Contender(name, port, server)
    url = f"http://127.0.0.1:{upstream}/v1/messages"
    zai: dict[str, object] = {"name": "zai", "api_base_url": url, "api_key": "bench-zai-key", "models": ["glm-5"]}
    zai["transformer"] = {"use": ["Anthropic"]}  # the provider speaks Messages: nothing to translate
    settings = {"PORT": port, "APIKEY": TOKEN, "LOG": False, "Providers": [zai], "Router": {"default": "zai,glm-5"}}
    (home / ".claude-code-router").mkdir()
    (home / ".claude-code-router" / "config.json").write_text(json.dumps(settings))
    server = Server(command=[program, "start"], port=port, directory=home, headers=headers)
    return Contender(name, port, server)
