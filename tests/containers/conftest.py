"""The image, built and run by buildah and podman: no engine need run, and no registry of images be reached.

GATEWAY_CONTAINERS is the folder of the virtual environment that `./run.sh test --containers` makes. Images are kept in
it too, so that the base is made once.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
DEPLOY = ROOT / "addons/deploy"
CONTAINERS = os.environ.get("GATEWAY_CONTAINERS", "")
NEEDED = ("buildah", "podman", "runc")
BASE = "docker.io/library/python:3.13-slim"
IMAGE = "localhost/claude-gateway"
CONFIGURATION = {
    "storage.conf": '[storage]\ndriver = "{1}"\nrunroot = "{0}/run"\ngraphroot = "{0}/graph"\n',
    "containers.conf": '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]\n'
    '[engine]\nruntime = "runc"\n',
}
"""What works inside a container too, where layers can't be mounted (`vfs` copies them: minutes)."""
FOR_PIP = ("/etc/ssl/certs", "/etc/pip.conf")
"""What pip may need of this machine to reach its index."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if not CONTAINERS and HERE in item.path.parents:
            item.add_marker(pytest.mark.skip(reason="containers are for ./run.sh test --containers"))


Podman = Callable[..., str]


def run(*command: str | Path, env: dict[str, str], timeout: float = 600, cwd: Path = ROOT) -> str:
    """The output of a command that works; AssertionError with all that it said when it doesn't."""
    done = subprocess.run(
        command,
        env=env,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def can_mount_layers(beside: Path) -> bool:
    """Whether the kernel, and the file system of this folder, can put one folder over another."""
    with TemporaryDirectory(dir=beside) as folder:
        lower, upper, work, all_of_it = parts = [Path(folder, name) for name in ("lower", "upper", "work", "all")]
        for part in parts:
            part.mkdir()
        options = f"lowerdir={lower},upperdir={upper},workdir={work}"
        mount = ["mount", "-t", "overlay", "overlay", "-o", options, str(all_of_it)]
        if subprocess.run(mount, capture_output=True, check=False).returncode:
            return False
        subprocess.run(["umount", str(all_of_it)], check=True)
        return True


@pytest.fixture(scope="session")
def environment() -> dict[str, str]:
    """The environment in which buildah, podman and podman-compose work here."""
    if missing := [name for name in NEEDED if not shutil.which(name)]:
        pytest.skip(f"not installed: {', '.join(missing)} (apt install buildah podman runc)")
    if os.geteuid():
        pytest.skip("only tried as root")
    driver = "overlay" if can_mount_layers(Path(CONTAINERS)) else "vfs"
    folder = Path(CONTAINERS, driver)
    folder.mkdir(exist_ok=True)
    for name, text in CONFIGURATION.items():
        (folder / name).write_text(text.format(folder, driver))
    return {
        "PATH": f"{CONTAINERS}/bin:{os.environ['PATH']}",
        "HOME": os.environ.get("HOME", "/root"),
        "CONTAINERS_STORAGE_CONF": f"{folder}/storage.conf",
        "CONTAINERS_CONF": f"{folder}/containers.conf",
    }


@pytest.fixture(scope="session")
def podman(environment: dict[str, str]) -> Podman:
    return lambda *arguments: run("podman", *arguments, env=environment)


@pytest.fixture(scope="session")
def base(environment: dict[str, str], podman: Podman, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The image that the Dockerfile begins with: of the registry, or else Debian's packages under its name."""
    if subprocess.run(["podman", "image", "exists", BASE], env=environment, check=False).returncode == 0:
        return
    pulled = subprocess.run(["buildah", "pull", "-q", BASE], env=environment, capture_output=True, check=False)
    if pulled.returncode == 0:
        return
    if not shutil.which("mmdebstrap"):
        pytest.skip(f"{BASE} can't be fetched here, nor made (apt install mmdebstrap)")
    folder = tmp_path_factory.mktemp("base")
    packages = "--include=python3,python3-venv,ca-certificates"
    made = subprocess.run(
        ["mmdebstrap", "--variant=minbase", packages, "trixie", folder / "root.tar"], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip(f"{BASE} can't be fetched here, nor made: {made.stderr.decode()[-500:]}")
    (folder / "Dockerfile").write_text("FROM scratch\nADD root.tar /\n")
    run("buildah", "bud", "--isolation", "chroot", "--format", "docker", "-q", "-t", BASE, folder, env=environment)


@pytest.fixture(scope="session")
def image(environment: dict[str, str], podman: Podman, base: None) -> Iterator[str]:
    """The image of this folder."""
    mounts = [f"-v={path}:{path}:ro" for path in FOR_PIP if Path(path).exists()]
    run(
        *("buildah", "bud", "--isolation", "chroot", "--format", "docker", "--pull-never", "-q", *mounts),
        *("-t", IMAGE, "-f", DEPLOY / "Dockerfile", ROOT),
        env=environment,
    )
    yield IMAGE
    podman("rmi", "-f", IMAGE)


def wait_for_health(port: int, logs: Callable[[], str]) -> None:
    """Returns when the gateway answers; AssertionError with its log when it never does."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            if httpx.get(f"http://127.0.0.1:{port}/health", trust_env=False, timeout=5).status_code == 200:
                return
        except httpx.HTTPError:
            time.sleep(0.1)
    raise AssertionError(f"no answer on port {port}\n{logs()}")
