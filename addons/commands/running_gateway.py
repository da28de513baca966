"""The gateway that a command talks to: where it is, and what lets the command in.

Without `--url` it is the one of this folder on this machine, and the secret that it keeps in `.gateway.control` is
shown to it; with `--url` it may be anywhere, and the administrator's key is. GATEWAY_KEY, which may be any user's, is
shown where neither is there or taken; and first of all by the commands that tell users what concerns them.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping
from http.client import HTTPException
from pathlib import Path
from typing import Any, NoReturn
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, Request, build_opener

from addons.config.client_settings import port_of
from addons.config.environment import environment, unquoted
from addons.config.settings import HOME
from addons.config.yaml_reader import ConfigError
from addons.state.control import FILE_NAME, HEADER, PATH, read_secret

EVERYWHERE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # where it listens, seen from here
TIMEOUT = 60.0
NOT_LET_IN = "missing or wrong gateway "
"""How the words begin with which a gateway refuses somebody whom it doesn't know (team/admission.py)."""


class Failed(Exception):
    """The command can't do its work; `str()` says why."""


class NotRunning(Failed):
    """No gateway answers at the address."""


class Refused(Failed):
    """The gateway answered with an error."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options that every command of a running gateway has."""
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "--url",
        type=url_of,
        help="address of the gateway; LITELLM_MASTER_KEY lets the command in (default: the one of this machine, "
        "by GATEWAY_HOST and GATEWAY_PORT)",
    )
    parser.add_argument(
        "--control",
        metavar="FILE",
        help=f"{FILE_NAME} of the gateway (default: GATEWAY_CONTROL, else beside GATEWAY_DB)",
    )


def url_of(text: str) -> str:
    """An address as `--url` takes it. Raises ArgumentTypeError."""
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018  # raises what it can't read
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise argparse.ArgumentTypeError(f"{text!r} is no address: http://HOST:PORT")
    return text


class RunningGateway:
    """The gateway that the options name."""

    def __init__(
        self, options: argparse.Namespace, env: Mapping[str, str] = os.environ, *, as_user: bool = False
    ) -> None:
        """`as_user`: it is asked for what concerns whoever has GATEWAY_KEY, where that is set."""
        self.url = (options.url or address(env)).rstrip("/")
        self.headers = {"content-type": "application/json"}
        self.secret = ""
        """The file of the secret by which the command is let in; empty when it is a key."""
        self.key = env.get("GATEWAY_KEY", "")
        for_user = as_user and bool(self.key)
        if options.url and not for_user:
            self.key = key_of("LITELLM_MASTER_KEY", env) or self.key
        by_secret = not self.key and is_here(options.url) if options.url else not for_user
        if by_secret:
            self.read_secret(options, env)
        if not self.secret:
            self.show_key()

    def read_secret(self, options: argparse.Namespace, env: Mapping[str, str]) -> None:
        """Be let in by the secret of this machine's gateway. Raises Failed, where there is no key either."""
        path = secret_file(options.control, env)
        try:
            self.headers[HEADER] = read_secret(path)
            self.secret = str(path)
        except FileNotFoundError:
            if not self.key:
                raise NotRunning(f"{path} is not there: no gateway has been started here") from None
        except OSError as error:
            raise Failed(f"{path}: {error.strerror}") from None

    def show_key(self) -> None:
        """Be let in by a key. Raises Failed."""
        if not self.key:
            raise Failed("LITELLM_MASTER_KEY is not set: another machine's gateway wants the administrator's key")
        self.headers.pop(HEADER, None)
        self.headers["x-litellm-api-key"], self.secret = self.key, ""

    def ask(self, name: str, **arguments: Any) -> Any:
        """The answer to a command. Raises Failed."""
        request = Request(f"{self.url}{PATH}{name}", json.dumps(arguments).encode(), self.headers, method="POST")  # noqa: S310
        try:
            with build_opener(ProxyHandler({})).open(request, timeout=TIMEOUT) as response:
                return json.loads(response.read())
        except HTTPError as error:
            with error:
                words = said(error.read())
            if self.secret and words.startswith(NOT_LET_IN):
                if not self.key:
                    raise Refused(self.other()) from None
                self.show_key()
                return self.ask(name, **arguments)
            if words:
                raise Refused(words) from None
            raise NotRunning(f"what answers at {self.url} is no gateway: it answers {error.code}") from None
        except (OSError, HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            reason = getattr(reason, "strerror", None) or reason
            raise NotRunning(f"no gateway answers at {self.url}: {reason}") from None
        except ValueError:
            raise NotRunning(f"what answers at {self.url} is no gateway") from None

    def other(self) -> str:
        """What is said where the gateway doesn't know the secret."""
        return f"the gateway at {self.url} doesn't take {self.secret}: GATEWAY_CONTROL says where its own one is"


def secret_file(named: str | None, env: Mapping[str, str]) -> Path:
    """Where the gateway of this machine keeps its secret: beside its database."""
    beside = Path(env["GATEWAY_DB"]).expanduser().with_name(FILE_NAME) if env.get("GATEWAY_DB") else HOME / FILE_NAME
    return Path(named or env.get("GATEWAY_CONTROL") or beside).expanduser()


def address(env: Mapping[str, str]) -> str:
    """Where the gateway of this machine listens. Raises ConfigError."""
    host = env.get("GATEWAY_HOST", "")
    host = EVERYWHERE.get(host, host)
    return f"http://{f'[{host}]' if ':' in host else host}:{port_of(env)}"


def is_here(url: str) -> bool:
    """Whether an address is on this machine."""
    return urlsplit(url).hostname in ("localhost", "127.0.0.1", "::1")


def key_of(name: str, env: Mapping[str, str]) -> str:
    """A key that lets somebody in, by the name of its variable: of the environment or of .env; empty when not set."""
    path = Path(env.get("GATEWAY_ENV") or HOME / ".env")
    try:
        return unquoted(environment(path, env).get(name, ""))
    except ConfigError:
        return ""


def said(body: bytes) -> str:
    """The words of a gateway's error; empty when it is nobody's."""
    try:
        return str(json.loads(body)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return ""


def show(value: object) -> None:
    """Print JSON."""
    sys.stdout.write(json.dumps(value, indent=2) + "\n")


def table(rows: list[list[str]]) -> str:
    """Rows as columns of a width."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))] if rows else []
    return "".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() + "\n" for row in rows
    )


def run(main: Any) -> NoReturn:
    """Run a command: 0 fine, 1 something is wrong (said), 2 wrong use."""
    try:
        status = main(sys.argv[1:])
    except (Failed, ConfigError) as error:
        sys.stderr.write(f"{error}\n")
        status = 1
    except BrokenPipeError:
        os._exit(1)
    except KeyboardInterrupt:
        status = 130
    sys.exit(status)
