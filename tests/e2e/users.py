"""Users of a gateway under test: made, changed and shown by `./run.sh user`, which runs in the test's own process."""

from __future__ import annotations

import io
import json
import os
from contextlib import redirect_stderr, redirect_stdout
from typing import Any, NamedTuple
from unittest.mock import patch

from addons.commands.running_gateway import Failed
from addons.commands.user import main
from tests.e2e.canaries import Secret
from tests.e2e.gateway import Gateway


class Said(NamedTuple):
    """What a command has said."""

    status: int
    out: str
    errors: str


def run_user(gateway: Gateway, *arguments: str) -> Said:
    """Run `./run.sh user …` with the file of this gateway, which may run or not."""
    out, errors = io.StringIO(), io.StringIO()
    database = str(gateway.directory / "gateway.sqlite")
    where = {"GATEWAY_PORT": str(gateway.port), "GATEWAY_DB": database, "GATEWAY_ENV": str(gateway.directory / ".env")}
    with patch.dict(os.environ, where), redirect_stdout(out), redirect_stderr(errors):
        try:
            status = main(arguments)
        except Failed as error:
            status = 1
            errors.write(str(error))
        except SystemExit as end:
            status = int(end.code or 0)
    return Said(status, out.getvalue(), errors.getvalue())


def user(gateway: Gateway, *arguments: str) -> Any:
    """What `./run.sh user … --json` prints, in force in the running gateway. A key in it must be seen nowhere else."""
    said = run_user(gateway, *arguments, "--json")
    assert said.status == 0, said
    shown = json.loads(said.out)
    if isinstance(shown, dict) and "key" in shown:
        gateway.look_for([Secret(f"the key of {shown['name']}", shown["key"])])
    return shown


def key_of(gateway: Gateway, name: str, *limits: str) -> str:
    """The key of a new user."""
    key: str = user(gateway, "add", name, *limits)["key"]
    return key
