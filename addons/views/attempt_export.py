"""What went to a provider, and what came back, as mitmproxy exports flows: curl, httpie, raw.

mitmproxy's own *Export* has the client's request. An attempt's is built of what was kept of it: credentials are masked
there, and in a curl command stand as `$CREDENTIAL`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from mitmproxy import connection, exceptions, flow, http
from mitmproxy.addons import export

from addons.state.attempt import Attempt, Kept
from addons.state.exchange import Exchange
from addons.wire.masking import mask_text

MASKED: Final = re.compile(r"'([\w-]+: (?:Bearer )?)[^' ]*…[^']*'")
"""A header with a masked value, as the curl export quotes it."""

FORMATS: Final[dict[str, Callable[[flow.Flow], str | bytes]]] = {
    "curl": export.curl_command,
    "httpie": export.httpie_command,
    "raw": export.raw,
    "raw_request": export.raw_request,
    "raw_response": export.raw_response,
}


def export_attempt(form: str, exchange: Exchange, number: int) -> str:
    """What attempt `number` sent (and with `raw` and `raw_response`, what it got). Raises CommandError when there is
    nothing of the kind."""
    if form not in FORMATS:
        raise exceptions.CommandError(f"no such export format: {form}; there are {', '.join(FORMATS)}")
    attempt = next((one for one in exchange.attempts if one.number == number), None)
    if attempt is None or attempt.recorded.request is None:
        raise exceptions.CommandError(f"attempt {number} has sent nothing that was kept")
    said = FORMATS[form](as_flow(attempt, attempt.recorded.request))
    text = said if isinstance(said, str) else said.decode("utf-8", "replace")
    text = mask_text(text, exchange.secrets())
    return MASKED.sub(r'"\1$CREDENTIAL"', text) if form == "curl" else text


def as_flow(attempt: Attempt, sent: Kept) -> http.HTTPFlow:
    """An attempt as a flow of its own, which nobody lists."""
    method, _, url = sent.first_line.partition(" ")
    parts = urlsplit(url)
    nowhere = ("", 0)
    made = http.HTTPFlow(
        connection.Client(peername=nowhere, sockname=nowhere), connection.Server(address=(parts.hostname or "", 0))
    )
    made.request = http.Request.make(method, url, bytes(sent.body), fields(sent))
    if (got := attempt.recorded.response) is not None:
        code, _, reason = got.first_line.partition(" ")
        made.response = http.Response.make(int(code) if code.isdigit() else 0, bytes(got.body), fields(got))
        made.response.reason = reason
    return made


def fields(kept: Kept) -> http.Headers:
    return http.Headers([(name.encode(), value.encode("utf-8", "surrogateescape")) for name, value in kept.headers])
