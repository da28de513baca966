"""Checks of the configuration: every mistake of it, or what is odd."""

from __future__ import annotations

from pathlib import Path

from addons.commands.checks.configuration import of_files
from addons.config.settings import Settings
from tests.config.routing_texts import MINIMAL


def test_mistakes_or_what_is_odd(tmp_path: Path) -> None:
    routing, env = tmp_path / "routing.yaml", tmp_path / ".env"
    env.write_text("ZAI_API_KEI=secret-of-mine\n")
    env.chmod(0o644)
    where = Settings(routing, env, {})

    routing.write_text(MINIMAL)
    found = of_files(where, {})
    assert found.config is not None
    assert [(check.ok, check.said.replace(f"{tmp_path}/", "")) for check in found.checks] == [
        (True, "models: 1, providers: 1"),
        (True, ".env: line 1: ZAI_API_KEI is read by nothing: did you mean ZAI_API_KEY?"),
        (True, found.checks[-1].said),
    ]
    assert "preset: zai" in found.checks[-1].said

    routing.write_text(MINIMAL.replace("api_key", "apikey") + "pool: {strategie: x}\n")
    found = of_files(where, {})
    assert found.config is None
    assert [(check.ok, check.said.partition(":")[2]) for check in found.checks] == [
        (False, "5: providers.zai.apikey: unknown key (did you mean api_key?)"),
        (False, "8: pool.strategie: unknown key (did you mean strategy?)"),
    ]

    routing.unlink()
    (check,) = of_files(where, {}).checks
    assert (check.ok, check.said) == (False, f"{routing}: No such file or directory")
