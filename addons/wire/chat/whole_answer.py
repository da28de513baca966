"""A chat provider's JSON answer (`stream: false`) as a Messages answer.

Rules that hold here: it is read by the same machine as a stream, as one chunk, so that both say the same.
"""

import msgspec

from addons.wire.chat.answer import ChatAnswer
from addons.wire.chat.chunk import decode, first_choices, is_error
from addons.wire.error_reading import read_error
from addons.wire.errors import ProviderError
from addons.wire.messages.assembler import Assembler
from addons.wire.usage import Usage


def message_from_chat(
    body: bytes, answer: ChatAnswer, provider: str
) -> tuple[bytes, Usage, str | None] | ProviderError:
    """The body for the client, usage and stop reason; or why it is no answer. `answer` is new, and used up."""
    value = decode(body)
    if isinstance(value, list) and value:  # Gemini's errors
        value = value[0]
    if not isinstance(value, dict) or not (is_error(value) or first_choices(value)):
        what = "JSON that is no answer" if value is not None else "an answer that is not JSON"
        excerpt = body[:200].decode("utf-8", "replace")
        return ProviderError(502, "api_error", f"{provider} sent {what}: {excerpt}")
    if is_error(value):
        return read_error(200, "application/json", body)
    assembler = Assembler()
    assembler.feed(answer.take(value))
    if answer.error:
        return answer.error
    return msgspec.json.encode(assembler.message()), answer.usage, answer.stop_reason
