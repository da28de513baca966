"""The files of addons/deploy, looked at by the linters of their kind."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.containers.conftest import CONTAINERS, DEPLOY

SCHEMA = (f"{CONTAINERS}/bin/check-jsonschema", "--builtin-schema", "vendor.compose-spec")


def status(*command: str | Path) -> int:
    return subprocess.run(command, capture_output=True, check=False).returncode


def test_the_dockerfile(tmp_path: Path) -> None:
    hadolint = f"{CONTAINERS}/bin/hadolint"
    assert subprocess.run([hadolint, DEPLOY / "Dockerfile"], check=False).returncode == 0
    bad = tmp_path / "Dockerfile"
    bad.write_text((DEPLOY / "Dockerfile").read_text() + "RUN cd /tmp\n")
    assert status(hadolint, bad) == 1


@pytest.mark.parametrize("name", ["compose.yaml", "compose.web.yaml"])
def test_the_compose_files(name: str, tmp_path: Path) -> None:
    assert subprocess.run([*SCHEMA, DEPLOY / name], check=False).returncode == 0
    bad = tmp_path / name
    bad.write_text((DEPLOY / name).read_text().replace("command:", "comand:"))
    assert status(*SCHEMA, bad) == 1


def test_the_caddyfile() -> None:
    caddy = shutil.which("caddy")
    if not caddy:
        pytest.skip("not installed: caddy")
    assert status(caddy, "validate", "--adapter", "caddyfile", "--config", DEPLOY / "Caddyfile") == 0
