"""What a configuration can say about a provider that speaks Chat Completions."""

from typing import Literal

import msgspec

from addons.wire.thinking_rules import ThinkingRules


class ChatOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What is particular about a provider's Chat Completions. The defaults suit most servers; each field says when to
    change it. Nineteen fields: one for each thing that some provider was seen to refuse or to need."""

    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """The field that limits the answer. OpenAI's reasoning models refuse `max_tokens`."""
    include_usage: bool = True
    """Ask for the usage of streams (`stream_options`). Off for servers that refuse the field (Z.AI); the client then
    sees estimates, unless the server tells its usage unasked."""
    omit: frozenset[str] = frozenset()
    """Fields that the provider refuses: `temperature`, `top_p`, `stop`, `parallel_tool_calls`. Without `stop` the
    gateway itself ends the answer at the client's stop sequences."""
    send_user: bool = False
    """Send `metadata.user_id` as `user`. It names the person's device and session."""
    reasoning: Literal["none", "reasoning_effort"] = "none"
    """How the client's wish for thinking is passed on. `none`: not at all, the model does what it does by default.
    `reasoning_effort`: as low, medium or high (or what `thinking_rules` say); models that don't reason
    may refuse the field."""
    reasoning_field: Literal["", "reasoning_content", "reasoning", "reasoning_details"] = ""
    """The field that the model's thinking goes back in. Empty: the one it came in. If it is set to one of the first
    two, every assistant message with tool calls has the field: DeepSeek and Kimi refuse a conversation that was begun
    by another model otherwise."""
    begins_thinking: bool = False
    """The server's template opens `<think>` itself, so that answers begin with thinking and only `</think>` is seen
    (DeepSeek R1, QwQ and others on servers without a reasoning parser)."""
    call_signatures: Literal["none", "google", "openrouter"] = "none"
    """How a tool call that another model made says so, for Gemini 3, which refuses one without a signature: `google` on
    Google's own endpoints, `openrouter` there."""
    schema_drop: frozenset[str] = frozenset()
    """JSON schema keywords that the provider refuses in tool definitions (`format`, `$schema` …), at any depth. A
    property that has such a name is kept."""
    type_beside_any_of: bool = True
    """`type` may stand beside `anyOf` in a schema. Off: it goes into the branches (Moonshot)."""
    tool_choice: Literal["function", "required", "auto"] = "function"
    """How one tool is forced. `required`: as a string, with only that tool in the request, for servers that refuse
    (LM Studio) or ignore (llama.cpp) the object. `auto`: not at all, for those that refuse any force."""
    tool_ids: Literal["keep", "short"] = "keep"
    """`short`: ids of other providers' tool calls become nine letters and digits. Mistral takes no others, so without
    it it refuses a conversation that another provider began."""
    user_after_tool: bool = True
    """A user message may follow a tool's result. Off: the assistant says a word in between (Mistral, and vLLM with its
    templates)."""
    calls_in_text: Literal[
        "none", "hermes", "qwen", "glm", "mistral", "llama", "kimi", "deepseek", "minimax", "any"
    ] = "none"
    """Tool calls that the model writes into its text, for servers without a parser for them: `hermes`
    (`<tool_call>{…}</tool_call>`, also Qwen 2.5 and 3), `qwen` (`<function=…>`, Qwen3-Coder), `glm` (`<arg_key>`),
    `mistral` (`[TOOL_CALLS]`), `llama` (`<|python_tag|>`), `kimi` (`<|tool_calls_section_begin|>`), `deepseek`
    (`<｜tool▁calls▁begin｜>`, DSML), `minimax` (`<minimax:tool_call>`); `any`: each of these. Only calls of tools that
    the request offers count. It is off by default because a model that quotes such a call would make it."""
    structured_output: Literal["json_schema", "json_object", "prompt"] = "json_schema"
    """How an answer of a given JSON schema is asked for. `json_object`: the field says only that it is JSON, the schema
    is told in words (DeepSeek, Z.AI). `prompt`: in words alone."""
    output_config: frozenset[str] = frozenset()
    """The parts of `output_config` that a provider of Anthropic's format takes: `effort`, `format`, `task_budget`; a
    key of its own in the configuration. Without `format` the schema of an answer is told in words."""
    cache_markers: bool = False
    """Mark what is worth caching with `cache_control`, for Claude, Gemini and Qwen at OpenRouter."""
    images: Literal["send", "note"] = "send"
    """`note`: the model takes no images; a line of text says that there was one."""
    documents: Literal["send", "note"] = "note"
    """`send`: PDF files go as `file` parts, which OpenAI and OpenRouter take. `note`: a line of text says that there
    was one. The text of text documents is always sent."""
    thinking_rules: ThinkingRules = msgspec.field(default_factory=ThinkingRules)
    """What is particular about the provider's thinking; a key of its own in the configuration."""
