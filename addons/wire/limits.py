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

MODEL_NAME: Final = 256
"""Characters of a model's name; the longest in use have about 100. A longer one, or one with control characters, is
answered 400 `model: …`."""

TOOL_NAME: Final = 256
"""Characters of a tool's name; Anthropic takes 128. A request with a longer one, or with control characters in one, is
answered 400 where the gateway has to send it on in another form, and else left to the provider."""

UNPACKED_AT_ONCE: Final = 8 * MEGABYTE
"""Bytes that one chunk of a compressed answer (64 KB at most) may unpack to: text reaches a twentieth of it. Beyond it
the attempt has failed, and the client is told 502 or gets the next target's answer."""

UNPACKING_WINDOW: Final = 8 * MEGABYTE
"""Bytes of memory that a compressed body may ask for while it is unpacked (zstd's window; RFC 9659 says as much for the
web). More counts as a body that can't be unpacked."""

ERROR_BODY: Final = MEGABYTE
"""Bytes of a provider's error that are read, as it comes and unpacked: the longest ever seen is an HTML page of some
100 KB. What lies behind is left out."""

ANSWER: Final = 64 * MEGABYTE
"""Bytes of a JSON answer, and of what a stream says that is put together for a client with `stream: false`: Anthropic's
largest answers are far below 1 MB. Beyond it the attempt has failed: 502."""

EVENT: Final = 32 * MEGABYTE
"""Bytes of one event of a stream: a whole answer fits into one. Beyond it the attempt has failed: 502, or an `error`
event where the client has content already."""

SHOWN_BODY: Final = 64 * MEGABYTE
"""Bytes of a body that a content view unpacks and looks at; nothing that the gateway takes is larger. What lies behind
isn't shown."""

DEEPEST_METADATA: Final = 64 * KILOBYTE
"""Bytes of `metadata.user_id` that are looked through for a session: Claude Code sends some 200. A longer one is sent
on, but names no session."""
