"""The endpoint that gives new tokens for a refresh token. Blocks: it is called in a thread, never on the event loop."""

from __future__ import annotations

from contextlib import closing
from http.client import HTTPException
from typing import Final
from urllib.parse import urlsplit

from addons.config.egress import DIRECT, Egress
from addons.state.credentials_file import Answer
from addons.state.http_client import connection
from addons.wire import limits

ADDRESS: Final = "https://platform.claude.com/v1/oauth/token"
TIMEOUT: Final = 30.0


def post(address: str, body: bytes, egress: Egress = DIRECT) -> Answer:
    """Send a request for new tokens. Raises OSError when there is no answer. No redirect is followed: a refresh token
    goes where the configuration says and nowhere else."""
    head = {"content-type": "application/json", "accept": "application/json", "user-agent": "claude-gateway"}
    url = urlsplit(address)
    port = url.port or (443 if url.scheme == "https" else 80)
    path = url._replace(scheme="", netloc="", fragment="").geturl() or "/"
    try:
        with closing(connection(url.scheme, url.hostname or "", port, egress, TIMEOUT)) as way:
            way.request("POST", path, body, {**head, "connection": "close"})
            response = way.getresponse()
            return Answer(response.status, lower(response.getheaders()), response.read(limits.TOKEN_ANSWER))
    except HTTPException as error:
        raise OSError(f"no HTTP came back ({type(error).__name__})") from None


def lower(headers: list[tuple[str, str]]) -> dict[str, str]:
    """Headers by their lower-case name."""
    return {name.lower(): value for name, value in headers}
