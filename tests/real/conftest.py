"""Real servers for the gateway to translate for. What isn't installed is skipped, with the reason.

GATEWAY_REAL is the folder of the virtual environment that `./run.sh test --real` makes.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.gateway import Gateway
from tests.fakes.ports import port_of, reserve
from tests.fakes.provider import Provider

HERE = Path(__file__).parent
REAL = os.environ.get("GATEWAY_REAL", "")
MODEL = "tiny"


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
    needs("gguf")
    model, log = folder / "tiny.gguf", folder / "log"
    subprocess.run([python, HERE / "tiny_model.py", model], check=True, capture_output=True)
    reserved = reserve()
    port = port_of(reserved)
    reserved.close()
    with log.open("wb") as output:
        process = subprocess.Popen(
            [python, HERE / "llama_server.py", model, str(port)], stdout=output, stderr=subprocess.STDOUT
        )
    try:
        wait_for(process, log, f"http://127.0.0.1:{port}/health")
        yield f"http://127.0.0.1:{port}/v1"
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
    reserved = reserve()
    port = port_of(reserved)
    reserved.close()
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
        with log.open("wb") as output:
            process = subprocess.Popen(
                [program, "--config", config, "--host", "127.0.0.1", "--port", str(port)],
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                cwd=folder,
            )
        try:
            wait_for(process, log, f"http://127.0.0.1:{port}/health/liveliness")
            yield f"http://127.0.0.1:{port}/v1", provider
        finally:
            process.kill()
            process.wait()
