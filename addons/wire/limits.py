"""The limits of everything that a client or a provider can make the gateway read, keep or do.

Each says what is limited, in which unit, why it has this value, and what the other side is told. README's table of
limits names them all; nothing here can be configured.
"""

from typing import Final

KILOBYTE: Final = 1024
MEGABYTE: Final = 1024 * KILOBYTE

BODY: Final = 32 * MEGABYTE
"""Bytes of a request's body, as it comes and unpacked: what Anthropic takes. Beyond it the client is told 413
`request_too_large`."""

SMALL_BODY: Final = MEGABYTE
"""Bytes of a request's body up to which it doesn't count as a large one, nor as one whose length isn't told until it
grows beyond: most conversations are smaller. The client is told nothing."""

LARGE_BODIES: Final = 512 * MEGABYTE
"""Bytes of large bodies that are held at the same time, of all clients together: 16 of the largest, or 400 of a long
conversation; each takes three to four times as much memory at its peak. Beyond it a client's body isn't read until
others are done, and after `ROOM_WITHIN` the client is told 529 `overloaded_error`."""

ROOM_WITHIN: Final = 50.0
"""Seconds that a client waits for room for its large body: less than what a body's silence may last. Then it is told
529 `overloaded_error` with `retry-after`."""

SLOW_AFTER: Final = 10.0
"""Seconds after which a large body that has room, and is still being read while others wait for room, must have come at
`SLOWEST` or faster: a line that stalls for a moment is none. Else the client is told 408."""

SLOWEST: Final = 128 * KILOBYTE
"""Bytes a second of a large body on average, while others wait for room: a megabit, less than any line on which
somebody would send so much. A slower client is told 408 after `SLOW_AFTER`, and its room is another one's."""

HEAD: Final = 64 * KILOBYTE
"""Bytes of a request's head, of a chunk's head, of trailers, of what comes before it is asked for, and of an answer's
head; Claude Code sends some 2 KB. A client is told 431; with a provider the attempt has failed: 502."""

HEAD_LINES: Final = 256
"""Lines of a request's head; Claude Code sends about 25, and mitmproxy takes quadratic time. Beyond it: 431."""

REQUESTS_AT_ONCE: Final = 16
"""Requests that come in one piece and are read before other clients have their turn: no client of ours sends two. The
others are read a moment later."""

CODINGS: Final = 3
"""Names in one `content-encoding`, as each takes memory of its own: nobody uses two. A client is told 400, with a
provider the attempt has failed: 502."""

NESTED_RESULTS: Final = 20
"""How deep tool results may stand in tool results: nobody's do. A client is told 400 `messages: …`."""

STOP_SEQUENCE: Final = 256
"""Characters of a stop sequence that is looked for in an answer over Chat Completions; those in use have a few. A
longer one is not."""

SIGN_IN: Final = 4 * KILOBYTE
"""Bytes of the form by which one signs in on the page: a key has some 60 characters. Beyond it: 413."""

LEDGER_MODELS: Final = 1000
"""Models of a day that have sums of their own in the ledger: nobody uses a tenth of that, but clients make up names.
What comes later is summed up as `other`; its own rows have its name."""

COMMAND: Final = 8 * MEGABYTE
"""Bytes of what a command asks the running gateway (`./run.sh routes --explain`): a whole request can be in it. What is
longer is no JSON: 400. What users may ask (`./run.sh usage`) is no longer than the form of the sign-in."""

HELD: Final = MEGABYTE
"""Bytes of an answer that are held back before its first content: `message_start`, pings, comments, 1 KB as a rule.
Beyond it the attempt has failed: 502, or the next target's answer."""

DISCARDED: Final = 10.0
"""Seconds for which the rest of a refused request's body is read and thrown away, so that the client gets to read its
answer; then the connection is closed."""

HANDSHAKE: Final = 10.0
"""Seconds from the first byte of a TLS handshake to its end, as web servers have it. The connection is closed."""

SILENT: Final = 60.0
"""Seconds that a connection may be open without having sent a byte: browsers and HTTP libraries open some ahead. It is
closed."""

IDLE: Final = 3600.0
"""Seconds that a connection may idle after an answer: a person thinks. It is closed. (One that waits for an answer is
not idle.)"""

HEAD_WITHIN: Final = 30.0
"""Seconds from the first byte of a request to the end of its head. The client is told 408."""

BODY_SILENCE: Final = 60.0
"""Seconds within which more of a request's body must come. The client is told 408."""

BODY_WITHIN: Final = 600.0
"""Seconds for the whole body of a request: 32 MB at 55 KB/s. The client is told 408."""

ANSWER_END: Final = 2.0
"""Seconds that a provider has, after its last event, to end the response and so keep its connection. It is closed; the
client has the whole answer."""

CONNECTIONS_PER_ADDRESS: Final = 512
"""Connections that one address may have at once: a team behind one router, each with a few sessions and their agents.
Another one is closed at once. `--set gateway_max_per_address=…` changes it."""

WRONG_KEYS: Final = 60
"""Requests without a right key from one address (of IPv6: from one /64) that are answered at once, and one more each
second: people mistype a few. What comes beyond is answered later, up to `SLOWED`; a right key never is."""

SLOWED: Final = 10.0
"""Seconds for which the 401 of a wrong key waits at most: an address that tries on gets as many answers as it has
connections, every ten seconds."""

SLOWED_ADDRESSES: Final = 10_000
"""Addresses of which it is known how many wrong keys they have tried; the quietest one makes room for another."""

HUB_BACKLOG: Final = 16 * MEGABYTE
"""What a worker has not read yet of what the hub tells it, and the longest message to the hub."""

BACKLOG: Final = 1024
"""Connections that may wait to be accepted: all that one address may have, and as many others. The system drops what
comes beyond, and a client tries again after a second."""

WORKERS: Final = 64
"""Processes of `--workers`; each keeps limits of its own for what is held in memory, and for connections."""

WORKER_SILENCE: Final = 60.0
"""Seconds in which a worker of `--workers` gives no sign of life, though its parent asks for one twelve times: it
hangs, is killed, and another takes its place. A large body keeps a worker busy for a second or two."""

DESCRIPTORS_PER_CLIENT: Final = 3
"""File descriptors (`ulimit -n`) that are reckoned for each client: its connection, one to a provider, and a reserve.
When all are given away, a connection that has sent nothing is closed for a newcomer (the oldest of the same address,
else the oldest), else the newcomer."""

MODEL_NAME: Final = 256
"""Characters of a model's name; the longest in use have about 100. A longer one, or one with control characters, is
answered 400 `model: …`."""

TOOL_NAME: Final = 256
"""Characters of a tool's name: Anthropic takes 128, of the letters a-z, digits, `_` and `-`. A longer one, or one with
control characters, is answered 400 `tools.3.name: …`; in a provider's answer it is cut off and they are replaced."""

BETA_FLAG: Final = 256
"""Characters of one flag in `anthropic-beta`; the longest in use have about 40. A longer one, or one with anything but
visible ASCII, is answered 400 `anthropic-beta: …`."""

NOTE: Final = 1_000
"""Characters of one line in a request's trail. What is longer ends with `…`; control characters are replaced."""

UNPACKED_AT_ONCE: Final = 8 * MEGABYTE
"""Bytes that one chunk of a compressed answer (64 KB at most) may unpack to: text reaches a twentieth of it. Beyond it
the attempt has failed, and the client is told 502 or gets the next target's answer."""

UNPACKING_WINDOW: Final = 8 * MEGABYTE
"""Bytes of memory that a compressed body may ask for while it is unpacked (zstd's window; RFC 9659 says as much for the
web). More counts as a body that can't be unpacked."""

ERROR_BODY: Final = MEGABYTE
"""Bytes of a provider's error that are read, as it comes and unpacked: the longest ever seen is an HTML page of some
100 KB. What lies behind is left out."""

ERROR_WORDS: Final = 4_000
"""Characters of what a provider's error says that a client is told: the longest sentence seen has some 2,000. A longer
one ends with `…`."""

TOKEN_ANSWER: Final = 64 * KILOBYTE
"""Bytes of an answer of the token endpoint, of some 1 KB as a rule. What lies behind isn't read, so it is no JSON, and
the login is asked for again later."""

ENDINGS: Final = 100
"""Events that say how an answer has ended while blocks of it are open: there is one. Beyond it the attempt has failed:
502, or an `error` event where the client has content already."""

ANSWER: Final = 64 * MEGABYTE
"""Bytes of a JSON answer, and of what a stream says that is put together for a client with `stream: false`: Anthropic's
largest answers are far below 1 MB. Beyond it the attempt has failed: 502."""

EVENT: Final = 32 * MEGABYTE
"""Bytes of one event of a stream: a whole answer fits into one. Beyond it the attempt has failed: 502, or an `error`
event where the client has content already."""

OPEN_BLOCKS: Final = 1_000
"""Content blocks of an answer that have begun and not ended: one, or a few where a provider sends tool calls side by
side. Beyond it the attempt has failed: 502, or an `error` event where the client has content already."""

WRITTEN_CALLS: Final = MEGABYTE
"""Characters of tool calls that a model writes into its text (`calls_in_text`), which are held until they end: a file
that is written has some 100 KB. What is longer is text."""

TOOL_CALLS: Final = 1_000
"""Tool calls of one answer over Chat Completions: a model makes a few dozen at most. Beyond it the attempt has failed:
502, or an `error` event where the client has content already."""

KEPT_BACK: Final = 32 * MEGABYTE
"""Characters of a streamed answer that can't be sent on when they come: arguments that are no JSON, a call that begins
before another has ended, what a provider wants to see again of its thinking. Beyond it the attempt has failed: 502, or
an `error` event where the client has content already."""

SHOWN_BODY: Final = 64 * MEGABYTE
"""Bytes of a body that a content view unpacks and looks at; nothing that the gateway takes is larger. What lies behind
isn't shown."""

USER_ID: Final = 64 * KILOBYTE
"""Characters of `metadata.user_id` that are looked through for a session: Claude Code sends some 200. A longer one is
sent on, but names no session."""

SEARCH_ANSWER: Final = 2 * MEGABYTE
"""Bytes of a search service's answer; twenty results with excerpts have some 50 KB. A longer one is not read to its
end, and the client is told that the search has failed."""

SEARCH_QUERY: Final = 1_000
"""Characters of what is searched for: services take 400 to 2,000. A longer query is answered `query_too_long`."""

LOG_LINES: Final = 10_000
"""Lines of the log that wait to be written into `gateway_log_file`: of some 200 bytes, for a disk that stands still for
some seconds. More are left out."""
