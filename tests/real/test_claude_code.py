"""The real Claude Code finishes a tool loop on llama.cpp's server."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.e2e.gateway import Gateway
from tests.real.conftest import MODEL, REAL
from tests.real.tiny_model import SCRIPTS

CLAUDE = Path(REAL, "claude-code", "node_modules", ".bin", "claude")
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def claude(tmp_path: Path) -> dict[str, str]:
    """The environment of a client that has a home of its own, and reaches nothing but this machine."""
    if not CLAUDE.exists():
        pytest.skip("Claude Code could not be installed here (it needs npm)")
    home = tmp_path / "home"
    home.mkdir()
    (home / ".claude.json").write_text('{"hasCompletedOnboarding": true}')
    return {
        "HOME": str(home),
        "PATH": os.environ["PATH"],
        "LANG": "C.UTF-8",
        "NO_PROXY": "127.0.0.1",
        "HTTPS_PROXY": NOWHERE,
        "HTTP_PROXY": NOWHERE,
        "ANTHROPIC_AUTH_TOKEN": "any",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    }


def test_a_tool_loop(claude: dict[str, str], gateway: Gateway, tmp_path: Path) -> None:
    ran = subprocess.run(
        [
            *(CLAUDE, "-p", "SCRIPT one", "--model", MODEL, "--output-format", "json", "--system-prompt", "Be brief."),
            *("--tools", "Bash", "--allowedTools", "Bash", "--strict-mcp-config"),
        ],
        env=claude | {"ANTHROPIC_BASE_URL": gateway.url},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    told = json.loads(ran.stdout[ran.stdout.index("{") :])
    assert (told["subtype"], told["num_turns"], told["result"]) == ("success", 2, SCRIPTS["done"])
    assert told["permission_denials"] == []
