"""A provider that is never the bottleneck: one process, one protocol, prepared answers.

    python -m tests.bench.provider          prints its ports (plain, TLS), and serves until its standard input ends

Every POST gets one message of 1.5 KB with thinking, text and a tool call; one that asks for a stream gets an event
every 20 ms, `max_tokens` of them, with the time at which each was written (CLOCK_MONOTONIC, in nanoseconds) as its
text: `@123456789@`; at a path that ends in `/chat/completions`, in chunks of that format. Everything else gets a 200.
"""

import asyncio
import json
import re
import socket
import ssl
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from mitmproxy.certs import CertStore

INTERVAL = 0.02
"""Seconds between two events of a stream: 50 a second."""

STREAM_BODIES = 20_000
"""Bytes of a body that is looked at for `stream`: the benchmark streams only small ones."""

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
STREAM = re.compile(rb'"stream": ?true')
EVENTS = re.compile(rb'"max_tokens": ?(\d+)')


def _json_answer() -> bytes:
    said = "The buffer is emptied before its last event has been handed on, so let me change the order. " * 4
    content = [
        {"type": "thinking", "thinking": said, "signature": "c2lnbmF0dXJl" * 40},
        {"type": "text", "text": said},
        {"type": "tool_use", "id": "toolu_0123456789abcdef01234567", "name": "Read", "input": {"path": "/src/a.py"}},
    ]
    usage = {"input_tokens": 1200, "output_tokens": 300, "cache_read_input_tokens": 9000}
    message = {"id": "msg_01", "type": "message", "role": "assistant", "model": "glm-5", "content": content}
    body = json.dumps(message | {"stop_reason": "tool_use", "stop_sequence": None, "usage": usage}).encode()
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


def _event(data: dict[str, object]) -> bytes:
    return f"event: {data['type']}\ndata: {json.dumps(data, separators=(',', ':'))}\n\n".encode()


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


ANSWER = _json_answer()
USAGE = {"input_tokens": 1200, "output_tokens": 1}
MESSAGE = {"id": "msg_01", "type": "message", "role": "assistant", "model": "glm-5", "content": [], "usage": USAGE}
BEGIN = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
    + _chunk(_event({"type": "message_start", "message": {**MESSAGE, "stop_reason": None, "stop_sequence": None}}))
    + _chunk(_event({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}))
)
DELTA_HEAD, DELTA_TAIL = _event(
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "|"}}
).split(b"|")
END = (
    _chunk(_event({"type": "content_block_stop", "index": 0}))
    + _chunk(_event({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 300}}))
    + _chunk(_event({"type": "message_stop"}))
    + b"0\r\n\r\n"
)
CHAT = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "glm-5"}


def _chat(delta: dict[str, object], finish_reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return f"data: {json.dumps({**CHAT, 'choices': [choice]}, separators=(',', ':'))}\n\n".encode()


CHAT_BEGIN = BEGIN.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" + _chunk(_chat({"role": "assistant", "content": ""}))
CHAT_HEAD, CHAT_TAIL = _chat({"content": "|"}).split(b"|")
CHAT_END = _chunk(_chat({}, "stop")) + _chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n"


class Connection(asyncio.Protocol):
    """One connection: a request, its answer, the next request."""

    def __init__(self) -> None:
        self.buffer = bytearray()
        self.needed = 0
        self.left = 0
        self.next_at = 0.0
        self.timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.loop = asyncio.get_running_loop()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.timer:
            self.timer.cancel()

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while self.buffer:
            if not self.needed:
                head = self.buffer.find(b"\r\n\r\n") + 4
                if head < 4:
                    return
                length = LENGTH.search(self.buffer, 0, head)
                self.needed = head + (int(length[1]) if length else 0)
            if len(self.buffer) < self.needed:
                return
            request = self.buffer
            self.buffer = request[self.needed :]
            small = self.needed < STREAM_BODIES
            self.needed = 0
            if small and STREAM.search(request):
                self.stream(request)
            else:
                self.transport.write(ANSWER)

    def stream(self, request: bytearray) -> None:
        events = EVENTS.search(request)
        self.left = int(events[1]) if events else 50
        is_chat = b"/chat/completions" in request[:200]
        self.frame = (CHAT_HEAD, CHAT_TAIL, CHAT_END) if is_chat else (DELTA_HEAD, DELTA_TAIL, END)
        self.transport.write(CHAT_BEGIN if is_chat else BEGIN)
        self.next_at = self.loop.time()
        self.tick()

    def tick(self) -> None:
        """Write the next event; a late one does not make the others late."""
        head, tail, end = self.frame
        data = b"%b@%d@%b" % (head, time.monotonic_ns(), tail)
        self.left -= 1
        if self.left > 0:
            self.transport.write(_chunk(data))
            self.next_at += INTERVAL
            self.timer = self.loop.call_at(self.next_at, self.tick)
        else:
            self.transport.write(_chunk(data) + end)


async def serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Connection, "127.0.0.1", 0, backlog=1024)
    with TemporaryDirectory() as folder:
        CertStore.create_store(Path(folder), "bench", 2048)
        encrypted = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        encrypted.load_cert_chain(Path(folder) / "bench-ca.pem")
    behind_tls = await loop.create_server(Connection, "127.0.0.1", 0, backlog=1024, ssl=encrypted)
    listening: list[socket.socket] = [*server.sockets, *behind_tls.sockets]
    print(*(one.getsockname()[1] for one in listening), flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(serve())
