"""Real servers for the gateway to translate for. What isn't installed is skipped, with the reason.

GATEWAY_REAL is the folder of the virtual environment that `./run.sh test --real` makes.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.gateway import Gateway
from tests.fakes.ports import port_of, reserve
from tests.fakes.provider import Provider

HERE = Path(__file__).parent
REAL = os.environ.get("GATEWAY_REAL", "")
MODEL = "tiny"
CONTEXT = 16_384
"""Tokens that the tiny model takes: the real Claude Code sends 8,000 with one tool."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if not REAL and HERE in item.path.parents:
            item.add_marker(pytest.mark.skip(reason="real servers are for ./run.sh test --real"))


def needs(module: str) -> Path:
    """The Python of .venv-real, which has this module; skips where it has not."""
    python = Path(REAL, "bin", "python")
    if subprocess.run([python, "-c", f"import {module}"], capture_output=True, check=False).returncode:
        pytest.skip(f"{module} could not be installed here")
    return python


def wait_for(process: subprocess.Popen[bytes], log: Path, url: str, seconds: float = 120) -> None:
    """Returns when the address answers; AssertionError with the log when it never does."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and process.poll() is None:
        try:
            if httpx.get(url, trust_env=False, timeout=5).status_code == 200:
                return
        except httpx.HTTPError:
            time.sleep(0.1)
    raise AssertionError(f"{url} did not answer\n{log.read_text(errors='replace')[-3000:]}")


@pytest.fixture(scope="session")
def llama_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base_url of llama.cpp's server with the tiny model."""
    folder = tmp_path_factory.mktemp("llama")
    python = needs("xllamacpp")
    model, port = tiny_model(folder), free_port()
    with running(
        folder / "log", f"http://127.0.0.1:{port}/health", python, HERE / "llama_server.py", model, port, CONTEXT
    ):
        yield f"http://127.0.0.1:{port}/v1"


@pytest.fixture(scope="session")
def llama_cpp_python(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base_url of llama-cpp-python's server with the tiny model."""
    folder = tmp_path_factory.mktemp("llama_cpp_python")
    python = needs("llama_cpp.server.app")
    model, port = tiny_model(folder), free_port()
    asked = ("-m", "llama_cpp.server", "--model", model, "--model_alias", MODEL, "--port", port, "--n_ctx", CONTEXT)
    with running(folder / "log", f"http://127.0.0.1:{port}/v1/models", python, *asked):
        yield f"http://127.0.0.1:{port}/v1"


def tiny_model(folder: Path) -> Path:
    """The model, written into a folder."""
    subprocess.run([needs("gguf"), HERE / "tiny_model.py", folder / "tiny.gguf"], check=True, capture_output=True)
    return folder / "tiny.gguf"


def free_port() -> int:
    reserved = reserve()
    port = port_of(reserved)
    reserved.close()
    return port


@contextmanager
def running(log: Path, url: str, *command: object, **more: Any) -> Iterator[None]:
    """A server that answers at this address, until the end of the block."""
    with log.open("wb") as output:
        process = subprocess.Popen(list(map(str, command)), stdout=output, stderr=subprocess.STDOUT, **more)
    try:
        wait_for(process, log, url)
        yield
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def gateway(llama_server: str) -> Iterator[Gateway]:
    routing = {
        "providers": {"llama": {"preset": "llama-cpp", "base_url": llama_server}},
        "models": {MODEL: f"llama/{MODEL}"},
    }
    with Gateway(routing) as gateway:
        yield gateway


@pytest.fixture(scope="session")
def litellm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Provider]]:
    """The base_url of a LiteLLM proxy, and the scripted Anthropic behind it."""
    folder = tmp_path_factory.mktemp("litellm")
    program = needs("litellm.proxy.proxy_server").with_name("litellm")
    port = free_port()
    config, log = folder / "config.yaml", folder / "log"
    with Provider("anthropic") as provider:
        config.write_text(
            f"model_list:\n- model_name: {MODEL}\n  litellm_params:\n    model: anthropic/claude-sonnet-4-5\n"
            f"    api_base: {provider.url}\n    api_key: sk-ant-api03-scripted\n"
        )
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "LITELLM_TELEMETRY": "False",
            "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",
        }
        command = (program, "--config", config, "--host", "127.0.0.1", "--port", port)
        url = f"http://127.0.0.1:{port}/health/liveliness"
        with running(log, url, *command, env=environment, cwd=folder):
            yield f"http://127.0.0.1:{port}/v1", provider
