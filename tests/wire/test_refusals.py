"""What an error means: the wordings of real providers, each under the predicate that must see it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addons.wire.errors import ProviderError, error_type
from addons.wire.refusals import (
    bad_sample,
    context_overflow,
    credit_refused,
    endpoint_unknown,
    field_unknown,
    model_unknown,
    overflow_message,
    reworded,
    thinking_refused,
    token_refused,
)


def error(message, status=400):
    return ProviderError(status, error_type(status), message)


# tokens of the request, the maximum, the wording; "-" where the wording does not tell.
OVERFLOWS = """
213462 200000 prompt is too long: 213462 tokens > 200000 maximum
222000 200000 input length and `max_tokens` exceed context limit: 190000 + 32000 > 200000
130000 128000 This model's maximum context length is 128000 tokens. However, you requested 130000 tokens
4294 4097 This model's maximum context length is 4097 tokens. However, your messages resulted in 4294 tokens.
10346 8191 This model's maximum context length is 8191 tokens, however you requested 10346 tokens
262897 262144 Nvidia: This model's maximum context length is 262144 tokens … 262897 tokens
284283 262144 This endpoint's maximum context length is 262144 tokens. … requested about 284283 tokens
- - Your input exceeds the context window of this model. Please adjust your input and try again.
1196265 1048575 The input token count (1196265) exceeds the maximum number of tokens allowed (1048575).
537812 131072 This model's maximum prompt length is 131072 but the request contains 537812 tokens.
- - Please reduce the length of the messages or completion. (context_length_exceeded)
131393 131040 Input length 131393 exceeds the maximum allowed input length of 131040 tokens.
265330 262144 Input length (265330) exceeds model's maximum context length (262144).
140000 131072 token count exceeds the model's maximum context length of 131072 tokens. … a total of 140000
38192 32768 maximum context length is 32768 tokens. … requested 8192 output tokens … a total of at least 38192
- 32768 maximum context length is 32768 tokens and your request has 30000 input tokens (8192 > 32768 - 30000).
- 32768 However, the model's context length is only 32768 tokens, resulting in a maximum input length of 28768
1492905 1048576 The input (1492905 tokens) is longer than the model's context length (1048576 tokens).
9000 8193 `inputs` tokens + `max_new_tokens` must be <= 8193. Given: 9000 `inputs` tokens
- - the request exceeds the available context size, try increasing it
12345 8192 request (12345 tokens) exceeds the available context size (8192 tokens), try increasing it
9000 8192 exceeds the available context size (9000 tokens > 8192) (exceed_context_size_error)
15000 4096 The number of tokens to keep … is greater than the context length (n_keep: 15000 >= n_ctx: 4096).
150000 128000 prompt token count of 150000 exceeds the limit of 128000 (model_max_prompt_tokens_exceeded)
- - invalid params, context window exceeds limit (2013)
270000 262144 Invalid request: Your request exceeded model token limit: 262144 (requested: 270000)
40000 32768 Prompt contains 40000 tokens …, too large for model with 32768 maximum context length
267657 262143 The prompt is too long: 267657, model maximum context length: 262143
- - prompt too long; exceeded max context length by 400 tokens
32769 32768 Prompt has 32,769 tokens, but the configured context size is 32,768 tokens
- - Prompt exceeds max length (1261)
- 202745 <400> InternalError.Algo.InvalidParameter: Range of input length should be [1, 202745]
- - Input is too long for requested model.
- - litellm.ContextWindowExceededError: the prompt is larger than the window
- - The total length of all messages is too long (too_many_prompt_tokens)
- - Context size has been exceeded.
- - tokens in request more than max tokens allowed
- - Total tokens of image and text exceed max message tokens
272001 272000 Input tokens exceed the configured limit of 272000 tokens. Your messages resulted in 272001 tokens.
131081 131072 Current length is 131081 while limit is 131072
- - max_tokens must be at least 1, got -5
200001 200000 claude-sonnet-4-20250514: maximum context length is 200000 tokens, you sent 200001
"""


@pytest.mark.parametrize("line", OVERFLOWS.strip().splitlines())
def test_an_overflow_is_known_with_its_numbers(line):
    *numbers, message = line.split(" ", 2)
    tokens, maximum = (None if n == "-" else int(n) for n in numbers)
    assert context_overflow(error(message)) == (tokens, maximum)
    assert context_overflow(error(message, 413)) == (tokens, maximum)


def test_a_request_larger_than_a_whole_minute_allows_is_an_overflow():
    groq = "Request too large for model `llama` … on tokens per minute (TPM): Limit 6000, Requested {}, please"
    assert context_overflow(error(groq.format(15000), 413)) == (15000, 6000)
    assert context_overflow(error(groq.format(15000), 429)) == (15000, 6000)
    assert context_overflow(error(groq.format(5000), 429)) is None


@pytest.mark.parametrize(
    ("message", "status"),
    [
        ("Too many tokens, please wait before trying again.", 429),
        ("Rate limit: the maximum context length of your tier is used up", 429),
        ("max_tokens: 64000 > 8192, which is the maximum allowed number of output tokens", 400),
        ("Request exceeds the maximum size", 413),
        ("messages: at least one message is required", 400),
        ("This request requires more credits, or fewer max_tokens. You requested up to 32000 tokens", 402),
    ],
)
def test_what_is_no_overflow(message, status):
    assert context_overflow(error(message, status)) is None
    assert reworded(error(message, status)) == error(message, status)


def test_the_wording_that_makes_claude_code_compact():
    assert overflow_message(130000, 128000) == "prompt is too long: 130000 tokens > 128000 maximum"
    for unknown in [(None, 128000), (130000, None), (None, None)]:
        assert overflow_message(*unknown).startswith("prompt is too long: ")


def test_rewording_keeps_the_providers_words_and_makes_it_a_400():
    said = "The input (1492905 tokens) is longer than the model's context length (1048576 tokens)."
    assert reworded(error(said, 500)) == ProviderError(
        400, "invalid_request_error", f"prompt is too long: 1492905 tokens > 1048576 maximum ({said})"
    )


@pytest.mark.parametrize(
    "message",
    [
        "prompt is too long: 213462 tokens > 200000 maximum",
        "input length and `max_tokens` exceed context limit: 190000 + 32000 > 200000, decrease input length",
    ],
)
def test_what_claude_code_understands_is_not_reworded(message):
    assert reworded(error(message)) == error(message)


PREDICATES = [
    model_unknown,
    field_unknown,
    thinking_refused,
    token_refused,
    credit_refused,
    endpoint_unknown,
]

MEANINGS = {
    model_unknown: [
        (404, "model: claude-nope"),
        (404, "The model `gpt-9` does not exist or you do not have access to it. (model_not_found)"),
        (400, "Unknown Model, please check the model code. (1211)"),
        (400, "模型不存在，请检查模型代码。 (1211)"),
        (400, "Model Not Exist"),
        (400, "deepseek-chat is not a valid model ID"),
        (404, "No endpoints found for qwen/qwen3.6-plus:free."),
        (404, "model 'qwen3-coder:30b' not found"),
        (404, 'model "glm-5.1" not found, try pulling it first'),
        (404, "Not found the model kimi-x or Permission denied (resource_not_found_error)"),
        (
            400,
            "The supported API model names are deepseek-v4-pro or deepseek-v4-flash, but you passed x.",
        ),
        (400, "Invalid model: foo"),
        (404, "The API deployment for this resource does not exist. (DeploymentNotFound)"),
        (400, "The model `llama-3.1-70b` has been decommissioned and is no longer supported."),
        (403, "Model access is denied: model x is not available in your plan"),
    ],
    field_unknown: [
        (400, "context_management: Extra inputs are not permitted"),
        (422, "body.thinking: Extra inputs are not permitted (extra_forbidden)"),
        (400, "Unrecognized request argument supplied: stream_options"),
        (400, "Unknown parameter: 'thinking'. (unknown_parameter)"),
        (
            400,
            "Unsupported parameter: 'max_tokens' is not supported with this model. (unsupported_parameter)",
        ),
        (
            400,
            "Failed to deserialize the JSON body: messages[1].role: unknown variant `system`",
        ),
        (400, "Unexpected value(s) `context-1m-2025-08-07` for the `anthropic-beta` header."),
        (400, "`tools` is not supported by this endpoint"),
        (400, "This model does not support image input"),
        (
            400,
            "messages.0: Input tag 'compaction' found using 'type' does not match any of the expected tags",
        ),
        (400, "property 'strict' is not allowed"),
    ],
    thinking_refused: [
        (400, "messages.1.content.0: Invalid `signature` in `thinking` block"),
        (400, "messages.1.content.0: Invalid signature in thinking block (invalid_params)"),
        (
            400,
            "Invalid `signature` in `thinking` block. The block is bound to a different conversation.",
        ),
        (
            400,
            "messages.3.content.0.type: Expected `thinking` or `redacted_thinking`, but found `tool_use`.",
        ),
        (
            400,
            "When `thinking` is enabled, a final `assistant` message must start with a thinking block",
        ),
        (
            400,
            "`thinking` or `redacted_thinking` blocks in the latest assistant message cannot be modified.",
        ),
        (400, "messages.1.content.0.thinking.signature: Field required"),
        (400, "messages.1.content.0.thinking: each thinking block must contain thinking"),
        (400, "messages.1.content.1: Invalid `data` in `redacted_thinking` block"),
        (400, "messages.1: The final block in an assistant message cannot be `thinking`."),
        (400, "messages.1: The final block in an assistant message cannot be 'redacted_thinking'."),
        (
            400,
            "messages.3.content.0: When providing `thinking` or `redacted_thinking` blocks, the blocks must match the "
            "parameters during the original request.",
        ),
        (400, "When providing `thinking` … blocks, the blocks must match the parameters during the original request."),
        (400, "When thinking is disabled, an `assistant` message in the final position cannot contain `thinking`."),
        (400, "messages.1.content.0: Input tag 'thinking' found using 'type' does not match the expected tags: 'text'"),
        (400, "messages.5.content.0.thinking.cache_control: Extra inputs are not permitted"),
        (400, "messages[1].content[0].thinking: String should have at least 1 character"),
        (400, "messages.7: thinking blocks must come before text in an assistant message"),
        (400, "The thinking block in message 3 was created by another model."),
    ],
    token_refused: [
        (401, "OAuth token has expired. Please obtain a new token or refresh your existing token."),
        (401, "OAuth authentication is currently not supported."),
        (401, "OAuth authentication is currently not allowed for this organization."),
        (401, "Invalid bearer token"),
        (401, "Invalid authentication credentials"),
        (401, "invalid x-api-key"),
        (403, "OAuth token has been revoked. Please obtain a new token."),
        (403, "OAuth authentication is currently not allowed for this organization."),
        (403, "OAuth token does not meet scope requirement user:inference"),
        (403, "Account is no longer a member of the organization associated with this token."),
        (403, "account_banned"),
        (400, "This organization has been disabled."),
    ],
    credit_refused: [
        (400, "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing"),
        (400, "Third-party apps now draw from your extra usage, not your plan limits. Claim it at claude.ai"),
        (400, "You're out of extra usage. Add more at claude.ai/settings/usage and keep going."),
        (429, "Extra usage is required for long context requests."),
        (
            429,
            "You exceeded your current quota, please check your plan and billing details.",
        ),
        (429, "Insufficient balance or no resource package. Please recharge. (1113)"),
        (402, "This request requires more credits, or fewer max_tokens."),
        (402, "HTTP 402 with an empty body"),
        (403, "This key has reached its spending limit"),
    ],
    endpoint_unknown: [
        (404, "Not Found"),
        (405, "Method Not Allowed"),
        (501, "not_supported"),
        (400, "invalid_path: anthropic/v1/messages/count_tokens?beta=true"),
        (400, "Unknown endpoint"),
        (400, "inference error: BadRequest - no parser registered matching path suffix"),
        (500, "404 NOT_FOUND"),
    ],
}
MEANINGS[bad_sample] = [
    (400, "Failed to call a function. Please adjust your prompt. See 'failed_generation'. (tool_use_failed)"),
    (400, "Parsing failed. The model generated output that could not be parsed. (output_parse_failed)"),
    (400, "Failed to generate JSON. Please adjust your prompt. (json_validate_failed)"),
    (400, "tool call validation failed: attempted to call tool 'x' which was not in request.tools"),
    (400, "Tool choice is required, but model did not call a tool"),
]
EXAMPLES = [(predicate, status, message) for predicate, list_ in MEANINGS.items() for status, message in list_]


@pytest.mark.parametrize(
    ("predicate", "status", "message"), EXAMPLES, ids=[f"{p.__name__}: {m[:50]}" for p, _, m in EXAMPLES]
)
def test_a_meaning_is_seen_in_its_wording(predicate, status, message):
    assert predicate(error(message, status))


NOTHING_SPECIAL = [
    (400, "messages: roles must alternate between user and assistant"),
    (400, "max_tokens: 64000 > 8192, which is the maximum allowed number of output tokens"),
    (400, "`max_tokens` must be greater than `thinking.budget_tokens`"),
    (400, "The `reasoning_content` in the thinking mode must be passed back to the API."),
    (403, "Request not allowed"),
    (403, "not available in your region"),
    (403, "You have reached your usage limit for this billing cycle."),
    (401, "HTTP 401 with an empty body"),
    (
        429,
        "This request would exceed the rate limit for your organization of 40,000 input tokens per minute.",
    ),
    (429, "Number of request tokens has exceeded your per-minute rate limit"),
    (500, "Internal server error"),
    (500, "The model is overloaded and not available"),
    (502, "502 Bad Gateway nginx"),
    (529, "Overloaded"),
]


@pytest.mark.parametrize(("status", "message"), NOTHING_SPECIAL)
def test_an_ordinary_error_has_no_special_meaning(status, message):
    assert [predicate.__name__ for predicate in PREDICATES if predicate(error(message, status))] == []


@pytest.mark.parametrize(
    ("predicate", "status", "message"),
    [
        (token_refused, 403, "Your account does not have access to the model claude-opus-5-5."),
        (token_refused, 403, "This token's plan does not include the model"),
        (token_refused, 429, "OAuth token rate limit"),
        (thinking_refused, 400, "thinking.type: `enabled` is not supported for this model. Use `adaptive`."),
        (thinking_refused, 500, "Invalid `signature` in `thinking` block"),
        (thinking_refused, 400, "`clear_thinking_20251015` strategy requires `thinking` to be enabled or adaptive"),
        (thinking_refused, 400, "Thinking may not be enabled when tool_choice forces tool use."),
        (thinking_refused, 400, "`temperature` may only be set to 1 when thinking is enabled or in adaptive mode."),
        (thinking_refused, 400, "messages.1: prefilling the assistant message is not supported when `thinking` is on"),
        (thinking_refused, 400, "messages: adaptive thinking is not supported on this model"),
        (thinking_refused, 400, "messages.1.content.0: unknown block type compaction"),
        (
            thinking_refused,
            400,
            "thinking is enabled but reasoning_content is missing in assistant tool call message at index 1",
        ),
        (credit_refused, 500, "extra usage"),
        (model_unknown, 500, "model not found"),
        (model_unknown, 404, "Not Found"),
        (endpoint_unknown, 400, "max_tokens: Field required"),
    ],
)
def test_a_near_miss(predicate, status, message):
    assert not predicate(error(message, status))


@given(
    st.lists(
        st.text(max_size=10)
        | st.integers(min_value=0, max_value=10**40).map(str)
        | st.sampled_from(["prompt is too long", "maximum context length", " > ", "limit ", "[1, ", "tokens", "model"]),
        max_size=10,
    ).map("".join),
    st.sampled_from([400, 401, 403, 404, 429, 500]),
)
def test_no_text_raises(message, status):
    for predicate in PREDICATES:
        predicate(error(message, status))
    overflow = context_overflow(error(message, status))
    if overflow:
        assert "prompt is too long" in reworded(error(message, status)).message
        tokens, maximum = overflow
        assert tokens is None or (maximum is not None and tokens > maximum)
