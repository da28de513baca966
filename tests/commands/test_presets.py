"""`./run.sh presets`: the list, one entry, and a name that there isn't."""

from __future__ import annotations

import json

import pytest

from addons.commands.presets import main


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0 and "zai-chat" in capsys.readouterr().out
    assert main(["zai"]) == 0 and "base_url: https://api.z.ai/api/anthropic" in capsys.readouterr().out
    assert main(["zai", "--json"]) == 0 and json.loads(capsys.readouterr().out)["auth"] == "bearer"
    assert main(["zay"]) == 1 and "did you mean zai?" in capsys.readouterr().err
