"""Units of systemd and property lists of launchd: what is in them is taken literally, and is found in them again."""

from __future__ import annotations

import plistlib
import shutil
import string
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addons.commands.service_files import (
    Service,
    kept,
    launchd_plist,
    plist_environment,
    systemd_unit,
    unit_environment,
)

ODD = """a b %h $HOME ${HOME} "q" 'r' \\s;#é"""
VALUES = st.text(st.sampled_from(string.printable.strip() + " é"))


def service(folder: Path, user: str | None = None) -> Service:
    return Service(
        script=folder / "run.sh", options=("--set", f"x={ODD}"), environment={"GATEWAY_PORT": ODD}, user=user
    )


@pytest.mark.parametrize("user", [None, "root"])
def test_systemd_finds_no_mistake_in_a_unit(user: str | None, tmp_path: Path) -> None:
    folder = tmp_path / "a b %h $HOME"
    folder.mkdir()
    (folder / "run.sh").touch(0o755)
    text = systemd_unit(service(folder, user))
    assert ("User=root" in text, "default.target" in text) == (bool(user), not user)
    unit = tmp_path / "claude-gateway.service"
    unit.write_text(text)
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not there")
    verify: list[str | Path] = ["systemd-analyze", "verify", "--man=no", unit]
    said = subprocess.run(verify, capture_output=True, text=True, check=False, timeout=60)
    ours = [line for line in said.stderr.splitlines() if "claude-gateway" in line or str(tmp_path) in line]
    assert ours == []
    unit.write_text(text.replace("Restart=", "Retsart="))
    said = subprocess.run(verify, capture_output=True, text=True, check=False, timeout=60)
    assert "Retsart" in said.stderr


def test_a_unit_takes_words_literally() -> None:
    text = systemd_unit(service(Path("/srv/g")))
    assert f'ExecStart="/srv/g/run.sh" "--set" "x={as_systemd_reads(ODD, command=True)}"' in text


def as_systemd_reads(value: str, *, command: bool) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return escaped.replace("$", "$$") if command else escaped


@given(st.dictionaries(st.sampled_from(["GATEWAY_HOST", "GATEWAY_PORT", "GATEWAY_DB"]), VALUES))
def test_variables_are_found_again(variables: dict[str, str]) -> None:
    one = Service(script=Path("/srv/g/run.sh"), environment=variables)
    assert unit_environment(systemd_unit(one)) == variables
    assert plist_environment(launchd_plist(one, Path("/log"))) == variables


@pytest.mark.parametrize("bad", ["a\nExecStartPre=/bin/evil", "\0"])
def test_nothing_gets_out_of_its_line(bad: str) -> None:
    with pytest.raises(ValueError, match="can't stand in a unit file"):
        systemd_unit(Service(script=Path("/srv/g/run.sh"), options=(bad,)))


def test_a_property_list_is_an_agents_or_a_daemons() -> None:
    agent = plistlib.loads(launchd_plist(service(Path("/srv/g")), Path("/log")))
    assert agent["ProgramArguments"] == ["/srv/g/run.sh", "--set", f"x={ODD}"]
    assert agent["ExitTimeOut"] == 40
    assert agent["KeepAlive"] is True, "a restart is a SIGTERM, at which it ends well"
    assert "UserName" not in agent
    assert plistlib.loads(launchd_plist(service(Path("/srv/g"), "g"), Path("/log")))["UserName"] == "g"


def test_paths_are_kept_absolute_and_keys_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    env = {"GATEWAY_HOST": "::", "GATEWAY_PORT": "", "GATEWAY_DB": "x.db", "GATEWAY_ENV": "~/e", "ZAI_API_KEY": "no"}
    assert kept(env | {"GATEWAY_KEY": "no"}, Path("/srv")) == {
        "GATEWAY_HOST": "::",
        "GATEWAY_DB": "/srv/x.db",
        "GATEWAY_ENV": "/home/me/e",
    }
