"""`./run.sh doctor`: what it prints and how it ends. With a gateway that runs: tests/e2e/test_commands.py."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from addons.commands.checks.check import Check
from addons.commands.doctor import main, table
from tests.fakes.ports import port_of, reserve

CHECKS = [Check("python", True, "3.13"), Check("port 4000", False, "taken", "end that"), Check("x", True, "y", "z")]


def test_the_table() -> None:
    assert table(CHECKS) == (
        "✓ python     3.13\n✗ port 4000  taken\n             → end that\n✓ x          y\n             → z\n"
        "\n1 of 3 is wrong\n"
    )
    assert table(CHECKS[:1]).endswith("\nall is well\n")
    assert "\x1b[31m✗\x1b[0m port" in table(CHECKS, colours=True)


def test_a_machine_without_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with reserve() as reserved:
        env = {
            "HOME": str(tmp_path),
            "GATEWAY_ROUTING": str(tmp_path / "routing.yaml"),
            "GATEWAY_ENV": str(tmp_path / ".env"),
            "GATEWAY_DB": str(tmp_path / "x.db"),
            "GATEWAY_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(port_of(reserved)),
        }
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("PROXY_STATIC_TOKEN", raising=False)
        assert main(["--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["ok"] is False
    assert {tuple(check) for check in found["checks"]} == {("name", "ok", "said", "do")}
    assert {check["name"] for check in found["checks"] if not check["ok"]} == {"routing.yaml", "configuration"}


def test_wrong_use() -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--spent"])
    assert ended.value.code == 2
