"""The endpoint that gives new tokens for a refresh token. Blocks: it is called in a thread, never on the event loop."""

from __future__ import annotations

import ssl
from http.client import HTTPException
from typing import Final
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, HTTPSHandler, Request, build_opener

import certifi

from addons.state.credentials_file import Answer
from addons.wire import limits

ADDRESS: Final = "https://platform.claude.com/v1/oauth/token"
TIMEOUT: Final = 30.0


class NoRedirect(HTTPRedirectHandler):
    """A refresh token goes where the configuration says and nowhere else."""

    def redirect_request(self, *_args: object) -> None:
        return None


def post(address: str, body: bytes) -> Answer:
    """Send a request for new tokens. Raises OSError when there is no answer."""
    head = {"content-type": "application/json", "accept": "application/json", "user-agent": "claude-gateway"}
    request = Request(address, data=body, headers=head, method="POST")  # noqa: S310  # the address is the user's own
    context = ssl.create_default_context(cafile=certifi.where())
    try:
        with build_opener(NoRedirect, HTTPSHandler(context=context)).open(request, timeout=TIMEOUT) as response:
            return Answer(response.status, lower(response.headers.items()), response.read(limits.TOKEN_ANSWER))
    except HTTPError as error:
        with error:
            return Answer(error.code, lower(error.headers.items()), error.read(limits.TOKEN_ANSWER))
    except HTTPException as error:
        raise OSError(f"no HTTP came back ({type(error).__name__})") from None


def lower(headers: list[tuple[str, str]]) -> dict[str, str]:
    """Headers by their lower-case name."""
    return {name.lower(): value for name, value in headers}
