"""`./run.sh service`, with a systemctl, journalctl and launchctl that only write down what they were asked."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from addons.commands import service
from addons.commands.running_gateway import Failed
from addons.commands.service_files import (
    NAME,
    Service,
    launchd_plist,
    plist_has_workers,
    systemd_unit,
    unit_has_workers,
)
from tests.fakes.answers import Answer
from tests.fakes.provider import Provider

PROGRAM = '#!/bin/sh\necho "${0##*/} $*" >>"$LOG"\ncase "$*" in *"$FAILS"*) exit 3 ;; esac\n'

ROUTING = "providers: {mine: {base_url: 'http://127.0.0.1:9', auth: none}}\nmodels: {m: {provider: mine, model: m}}\n"


class Machine:
    """A user's machine on which nothing runs yet."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.patch = folder, monkeypatch
        self.log = folder / "log"
        self.log.touch()
        self.project = folder / "project"
        for name in ("project", "bin", "home"):
            (folder / name).mkdir()
        for name in ("systemctl", "journalctl", "launchctl", "tail"):
            (folder / "bin" / name).write_text(PROGRAM)
            (folder / "bin" / name).chmod(0o755)
        (self.project / "routing.yaml").write_text(ROUTING)
        for name in ("XDG_CONFIG_HOME", "GATEWAY_DB", "GATEWAY_CONTROL"):
            monkeypatch.delenv(name, raising=False)
        self.set(LOG=str(self.log), HOME=str(folder / "home"), PATH=str(folder / "bin"), FAILS="nothing")
        self.set(GATEWAY_ROUTING=str(self.project / "routing.yaml"), GATEWAY_ENV=str(self.project / ".env"))
        monkeypatch.setattr(service, "HOME", self.project)
        monkeypatch.setattr(service, "STARTS_WITHIN", 0.3)
        monkeypatch.setattr("os.geteuid", lambda: 1000)
        monkeypatch.setattr(sys, "platform", "linux")
        self.healthy = [False, True]
        """What the gateway answers, one after the other; the last for ever."""
        monkeypatch.setattr(service, "health", lambda url: self.healthy.pop(0) if self.healthy[1:] else self.healthy[0])

    def set(self, **env: str) -> None:
        for name, value in env.items():
            self.patch.setenv(name, value)

    def asked(self) -> list[str]:
        lines = self.log.read_text().splitlines()
        self.log.write_text("")
        return lines

    @property
    def unit(self) -> Path:
        return self.folder / f"home/.config/systemd/user/{NAME}.service"


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


@pytest.fixture
def installed(machine: Machine) -> Machine:
    assert service.main(["install"]) == 0
    machine.asked()
    return machine


ANSWERS = "systemctl --user show-environment"


def test_install_writes_the_unit_and_starts_it(machine: Machine, capfd: pytest.CaptureFixture[str]) -> None:
    machine.set(GATEWAY_PORT="4999")
    assert service.main(["install", "--", "--set", "block_global=false"]) == 0
    text = machine.unit.read_text()
    assert f'ExecStart="{machine.project}/run.sh" "--set" "block_global=false"\n' in text
    assert 'Environment="GATEWAY_PORT=4999"\n' in text
    assert machine.asked() == [
        ANSWERS,
        "systemctl --user daemon-reload",
        f"systemctl --user enable --quiet --now {NAME}",
    ]
    said = capfd.readouterr().out
    assert "enable-linger" in said
    assert said.endswith("the gateway runs at http://127.0.0.1:4999\n")


def test_what_only_the_environment_of_the_moment_has_is_said(
    machine: Machine, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in service.OF_THE_GATEWAY:
        monkeypatch.delenv(name, raising=False)
    machine.set(HTTPS_PROXY="http://me:secret@proxy.test", NO_PROXY="x", ZAI_API_KEY="key")
    (machine.project / ".env").write_text("NO_PROXY=x\n")
    (machine.project / "routing.yaml").write_text(f"{ROUTING}# ${{HOME}} ${{ZAI_API_KEY}}\n")
    assert service.main(["install"]) == 0
    said = capfd.readouterr().out
    assert "\nHTTPS_PROXY is set here, not in .env: the service doesn't see it\n" in said
    assert "secret" not in said + machine.unit.read_text()


def test_a_second_install_stops_the_first(installed: Machine) -> None:
    assert service.main(["install"]) == 0
    assert installed.asked()[1] == f"systemctl --user stop {NAME}"


def test_another_gateway_is_not_installed_over(machine: Machine) -> None:
    machine.healthy = [True]
    with pytest.raises(Failed, match=r"runs at http://127\.0\.0\.1:4000 already"):
        service.main(["install"])
    assert not machine.unit.exists()


def test_a_gateway_that_does_not_start_is_said(machine: Machine) -> None:
    machine.healthy = [False]
    with pytest.raises(Failed, match=r"nothing answers at http://127\.0\.0\.1:4000 yet: \./run\.sh service logs"):
        service.main(["install"])
    assert service.main(["install", "--", "-p", "5000"]) == 0, "where that listens isn't known"


def test_without_systemd_the_way_out_is_said(machine: Machine) -> None:
    machine.set(FAILS="show-environment")
    with pytest.raises(Failed, match="systemd=true"):
        service.main(["install"])
    assert not machine.unit.exists()


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        (["stop"], f"systemctl --user stop {NAME}"),
        (["start"], f"systemctl --user start {NAME}"),
        (["restart"], f"systemctl --user restart {NAME}"),
        (["status"], f"systemctl --user status --no-pager --lines=5 {NAME}"),
        (["logs", "-f"], f"journalctl --user --unit={NAME} --lines=100 --no-pager --output=cat -f"),
    ],
)
def test_what_is_asked_of_systemd(installed: Machine, arguments: list[str], command: str) -> None:
    assert service.main(arguments) == 0
    assert installed.asked() == [ANSWERS, command]
    installed.set(FAILS=NAME)
    assert service.main(arguments) == 3


@pytest.mark.parametrize(
    ("system", "command"),
    [
        ("linux", "systemctl --user reload-or-restart claude-gateway"),
        ("darwin", f"launchctl kill SIGHUP gui/{os.getuid()}/claude-gateway"),
    ],
)
def test_workers_are_replaced_one_by_one(
    machine: Machine, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, system: str, command: str
) -> None:
    monkeypatch.setattr(sys, "platform", system)
    assert service.main(["install", "--", "--workers", "2"]) == 0
    machine.asked()
    serving = [{1, 2}, {1, 2}, {3, 2}, {3}, {3, 4}]
    monkeypatch.setattr(service, "workers", lambda env: serving.pop(0))
    assert service.main(["restart"]) == 0
    assert machine.asked()[-1] == command
    assert "2 workers were replaced one by one" in capfd.readouterr().out
    monkeypatch.setattr(service, "workers", lambda env: {1, 2})
    with pytest.raises(Failed, match="the old ones serve on"):
        service.main(["restart"])


@pytest.mark.parametrize(
    ("options", "variable", "several"),
    [
        ("", "", False),
        ("", "auto", True),
        ("", "1", False),
        ("--workers 1", "4", False),
        ("-q --workers 2", "", True),
        ("--workers=auto -q", "", True),
        ("--workers=1", "", False),
    ],
)
def test_whether_there_are_workers(options: str, variable: str, several: bool) -> None:
    env = {"GATEWAY_WORKERS": variable} if variable else {}
    made = Service(script=Path("/run.sh"), options=tuple(options.split()), environment=env)
    assert unit_has_workers(systemd_unit(made)) == several
    assert plist_has_workers(launchd_plist(made, Path("/log"))) == several


def test_without_a_service_there_is_nothing_to_do(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    for action in ("start", "stop", "status", "logs"):
        with pytest.raises(Failed, match="is not installed"):
            service.main([action])
    assert service.main(["uninstall"]) == 0
    assert (service.main(["restart"]), service.main(["restart", "--before", "abc"])) == (1, 0)
    assert "by hand" in capsys.readouterr().err
    assert machine.asked() == []


def test_a_configuration_with_a_mistake_restarts_nothing(installed: Machine) -> None:
    installed.set(GATEWAY_ROUTING="/nowhere")  # the service has its own
    (installed.project / "routing.yaml").write_text("models: [\n")
    with pytest.raises(Failed, match=r"routing.yaml(?s:.*)left as it is(?s:.*)git reset --keep abc"):
        service.main(["restart", "--before", "abc"])
    with pytest.raises(Failed, match=r"routing\.yaml"):
        service.main(["restart"])
    assert [line for line in installed.asked() if "restart" in line] == []


def test_uninstall_takes_the_unit_away(installed: Machine) -> None:
    assert service.main(["uninstall"]) == 0
    assert not installed.unit.exists()
    disabled = f"systemctl --user disable --quiet --now {NAME}"
    assert [line for line in installed.asked() if line != ANSWERS] == [disabled, "systemctl --user daemon-reload"]


def test_roots_is_a_service_of_the_machine(machine: Machine) -> None:
    machine.patch.setattr("os.geteuid", lambda: 0)
    supervisor = service.Systemd(system=True, env={"HOME": "/root"})
    assert str(supervisor.file) == f"/etc/systemd/system/{NAME}.service"
    assert supervisor.commands("logs")[0][:2] == ["journalctl", f"--unit={NAME}"]
    assert service.runs_as("root") == "root"
    with pytest.raises(Failed, match="there is no user nobody-of-that-name"):
        service.runs_as("nobody-of-that-name")
    machine.patch.setattr("os.geteuid", lambda: 1000)
    assert service.runs_as(None) is None
    with pytest.raises(Failed, match="for root"):
        service.runs_as("root")


def test_what_is_asked_of_launchd(machine: Machine) -> None:
    machine.patch.setattr(sys, "platform", "darwin")
    machine.patch.setattr("os.getuid", lambda: 501)
    plist = machine.folder / f"home/Library/LaunchAgents/{NAME}.plist"
    assert service.main(["install"]) == 0
    assert plist.exists()
    for action in ("restart", "logs", "stop", "uninstall"):
        assert service.main([action]) == 0
    target = f"gui/501/{NAME}"
    assert machine.asked() == [
        f"launchctl bootstrap gui/501 {plist}",
        f"launchctl kill SIGTERM {target}",
        f"tail -n 100 {machine.folder}/home/Library/Logs/{NAME}.log",
        *[f"launchctl bootout {target}"] * 2,
    ]
    assert not plist.exists()


@pytest.mark.parametrize("arguments", [["stop", "--", "-p", "1"], ["stop", "-f"], ["walk"]])
def test_wrong_use(machine: Machine, arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        service.main(arguments)
    assert ended.value.code == 2


def test_health_is_a_200() -> None:
    with Provider("any") as provider:
        url = f"http://127.0.0.1:{provider.port}"
        provider.script(Answer(status=200), Answer(status=503))
        assert service.health(url)
        assert not service.health(url)
    assert not service.health(url)
