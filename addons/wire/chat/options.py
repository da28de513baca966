"""What a configuration can say about a provider that speaks Chat Completions."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatOptions:
    """The defaults suit most servers; each field says when to change it."""

    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """The field that limits the answer. OpenAI's reasoning models refuse `max_tokens`."""
    include_usage: bool = True
    """Ask for the usage of streams (`stream_options`). Off for servers that refuse the field (Z.AI); the client then
    sees estimates, unless the server tells its usage unasked."""
    send_user: bool = False
    """Send `metadata.user_id` as `user`. It names the person's device and session."""
    reasoning: Literal["none", "reasoning_effort"] = "none"
    """How the client's wish for thinking is passed on. `none`: not at all, the model does what it does by default.
    `reasoning_effort`: as low, medium or high; models that don't reason may refuse the field."""
    reasoning_field: Literal["", "reasoning_content", "reasoning", "reasoning_details"] = ""
    """The field that the model's thinking goes back in. Empty: the one it came in. If it is set to one of the first
    two, every assistant message with tool calls has the field, empty if need be: DeepSeek and Kimi refuse a
    conversation that was begun by another model otherwise."""
    schema_drop: frozenset[str] = frozenset()
    """JSON schema keywords that the provider refuses in tool definitions (`format`, `$schema` …), at any depth. A
    property that has such a name is kept."""
    tool_ids: Literal["keep", "short"] = "keep"
    """`short`: ids of other providers' tool calls become nine letters and digits. Mistral takes no others, so without
    it it refuses a conversation that another provider began."""
    images: Literal["send", "note"] = "send"
    """`note`: the model takes no images; a line of text says that there was one."""
    documents: Literal["send", "note"] = "note"
    """`send`: PDF files go as `file` parts, which OpenAI and OpenRouter take. `note`: a line of text says that there
    was one. The text of text documents is always sent."""
