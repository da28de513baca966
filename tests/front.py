"""A real HAProxy or nginx in front of gateways under test, with the files of addons/deploy/.

Where there is none (`apt-get install haproxy nginx-light`), the tests that need it are skipped and say so.
"""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.fakes.ports import port_of, reserve

FILES = Path(__file__).parents[1] / "addons" / "deploy"
PATIENCE = 60.0

NGINX = """
daemon off; pid {folder}/pid; error_log {folder}/error.log; worker_processes 1;
events {{}}
http {{ access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    include {folder}/site.conf; }}
"""


def needs(program: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(found(program) is None, reason=f"needs {program}")


def found(program: str) -> str | None:
    return shutil.which(program) or shutil.which(f"/usr/sbin/{program}")


def command(program: str, folder: Path, port: int, gateways: Sequence[int]) -> list[str]:
    """The command that serves at a port, and its files, with these gateways in place of those of the example."""
    binary = found(program)
    assert binary
    text = (FILES / {"haproxy": "haproxy.cfg", "nginx": "nginx.conf"}[program]).read_text()
    for number, gateway in enumerate(gateways, 1):
        text = text.replace(f"10.0.0.1{number}:4000", f"127.0.0.1:{gateway}")
    text = re.sub(r"(bind |listen )(:?)4000", rf"\g<1>127.0.0.1:{port}", text)
    assert "10.0.0.1" not in re.sub(r"#.*", "", text)
    if program == "haproxy":
        # A busy machine takes more than a second for an answer, and a gateway isn't down for that.
        (folder / "haproxy.cfg").write_text(text.replace("check inter 1s", "check inter 1m"))
        return [binary, "-f", str(folder / "haproxy.cfg"), "-db", "-q"]
    (folder / "site.conf").write_text(text)
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder))
    return [binary, "-c", str(folder / "nginx.conf"), "-p", str(folder)]


def errors(folder: Path) -> str:
    """What nginx has logged: which gateway it took for failed, and why."""
    file = folder / "error.log"
    return file.read_text() if file.exists() else ""


@contextmanager
def in_front(program: str, folder: Path, gateways: Sequence[int]) -> Iterator[str]:
    """The address at which it serves."""
    with reserve() as reserved:
        port = port_of(reserved)
        process = subprocess.Popen(command(program, folder, port, gateways), stderr=subprocess.PIPE)
        try:
            deadline = time.monotonic() + PATIENCE
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                except OSError:
                    assert process.poll() is None and time.monotonic() < deadline, f"{program} doesn't start"
                    time.sleep(0.01)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait()
            if process.stderr:
                process.stderr.close()
