"""Tells how a running answer goes: an addon script for tests.

It counts, from the head of an answer to its end, the reads of a provider's connection that are handed to mitmproxy's
layers: each is one `DataReceived`, whoever serves the client. The file `reads` beside routing.yaml gets a line for each
answer. What the file `short_way` says is the gateway's option for clients that connect from then on.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from unittest.mock import patch

from mitmproxy import connection, ctx, http
from mitmproxy.proxy import events

HERE = Path(os.environ["HOME"])
reads = Counter[connection.Connection]()
received = events.DataReceived.__init__


def counted(self: events.DataReceived, of: connection.Connection, data: bytes) -> None:
    received(self, of, data)
    reads[of] += 1


class LongWay:
    """Counts what goes mitmproxy's way."""

    def load(self, _: object) -> None:
        patch.object(events.DataReceived, "__init__", counted).start()

    def client_connected(self, _: connection.Client) -> None:
        if (told := HERE / "short_way").exists():
            ctx.options.update(gateway_short_way=told.read_text() == "true")

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        reads[flow.server_conn] = 0

    def response(self, flow: http.HTTPFlow) -> None:
        with (HERE / "reads").open("a") as file:
            file.write(f"{reads.pop(flow.server_conn, 0)}\n")


addons = [LongWay()]
