"""How the gateway is started as a process of its own, by the end-to-end tests and by the demo."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GATEWAY = ROOT / "addons" / "gateway.py"
LAUNCH = ROOT / "addons" / "process" / "launch.py"
SUPERVISOR = ROOT / "addons" / "process" / "workers" / "supervisor.py"

SHORT_WAY = os.environ.get("GATEWAY_SHORT_WAY") != "false"
"""Running answers go the short way where they can; `./run.sh test` runs the end-to-end tests a second time without."""

GATEWAY_VARIABLES = (
    "ZAI_API_KEY",
    "KIMI_API_KEY",
    "OPENROUTER_API_KEY",
    "CLAUDE_OAUTH_TOKENS",
    "CLAUDE_TOKEN_MODE",
    "PROXY_STATIC_TOKEN",
    "LITELLM_MASTER_KEY",
    "GATEWAY_REDIS_URL",
)
"""What the environment says about real providers: it would win against an .env file."""


def command(
    *, program: str = "mitmdump", script: Path = GATEWAY, upstream: str, port: int, directory: Path
) -> list[str]:
    """The command that serves the gateway on a port of 127.0.0.1.

    directory: holds routing.yaml, .env and the database.
    """
    options = {
        "connection_strategy": "lazy",
        "tcp_timeout": 3600,
        "flow_detail": 0,
        "gateway_routing": directory / "routing.yaml",
        "gateway_env": directory / ".env",
        "gateway_db": directory / "gateway.sqlite",
    }
    settings = [f"{name}={value}" for name, value in options.items()]
    return [
        str(Path(sys.executable).with_name(program)),
        *("-s", str(script)),
        *("--mode", f"reverse:{upstream}"),
        *("--listen-host", "127.0.0.1"),
        *("-p", str(port)),
        *(part for setting in settings for part in ("--set", setting)),
    ]


def saving(program: str, directory: Path) -> list[str]:
    """Options with which a gateway logs and saves all that it can."""
    settings = ("termlog_verbosity=debug", "proxy_debug=true", f"hardump={directory / 'flows.har'}")
    options = ["-w", f"+{directory / 'flows'}", *(part for setting in settings for part in ("--set", setting))]
    return [*options, "--flow-detail", "4"] if program == "mitmdump" else options
