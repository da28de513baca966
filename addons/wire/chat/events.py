"""What the events of a chat stream carry, however its provider frames them.

Rules that hold here: providers are told apart by what they send; nothing raises on it.
"""

from typing import Any, Final, Literal

from addons.wire.chat.chunk import decode
from addons.wire.error_reading import read_error
from addons.wire.errors import ProviderError
from addons.wire.sse import BARE_ERROR, parse

Json = dict[str, Any]
Carried = Json | ProviderError | Literal["[DONE]"]
"""A chunk of the answer, the error that ends it, or the word that nothing follows."""

DONE: Final = "[DONE]"
_DONE: Final = DONE.encode()


def carried(raw: bytes, provider: str) -> list[Carried]:
    """What one event carries, in order; nothing for a ping or a comment. `provider`: who is to blame."""
    event = parse(raw)
    data = event.data.strip()
    if not data and BARE_ERROR.match(event.other):  # gpustack
        return [read_error(200, "text/event-stream", event.other)]
    if not data or event.type == "ping":
        return []
    if data == _DONE:
        return [DONE]
    if event.type == "error":
        return [read_error(200, "text/event-stream", data)]
    value = decode(data)
    if value is None and len(lines := data.splitlines()) > 1:  # one line end between events instead of two
        return [item for line in lines for item in carried(b"data: " + line, provider)]
    if isinstance(value, list) and value:  # Gemini's errors
        value = value[0]
    if not isinstance(value, dict):
        excerpt = data[:200].decode("utf-8", "replace")
        return [ProviderError(502, "api_error", f"{provider} sent an event that is no JSON object: {excerpt}")]
    if value.get("type") == "ping" and not value.get("error"):
        return []
    return [value]


def carried_at_end(rest: bytes, provider: str) -> list[Carried]:
    """What a last event without its blank line carries. It may have been cut: only what is whole counts."""
    event = parse(rest)
    if event.type == "error" or BARE_ERROR.match(event.other):
        return carried(rest, provider)
    lines = [event.data] if decode(event.data) is not None else event.data.splitlines()
    whole = [line for line in lines if line.strip() == _DONE or decode(line) is not None]
    return [item for line in whole for item in carried(b"data: " + line, provider)]
