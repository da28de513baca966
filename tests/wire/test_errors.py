"""Every shape of error body that was seen, read; and the one shape that is written.

error_reading.py is tested here too.
"""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addons.wire import limits
from addons.wire.error_reading import PAGE_LIMIT, read_error
from addons.wire.errors import STATUSES, TYPES, BadRequest, ProviderError, envelope, error_event, error_type

JSON = "application/json"


def read(body, status=400, content_type=JSON):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_error(status, content_type, data)


SHAPES = {
    "anthropic": (
        {
            "type": "error",
            "error": {"type": "invalid_request_error", "message": "max_tokens: Field required"},
        },
        "max_tokens: Field required",
    ),
    "openai": (
        {"error": {"message": "Incorrect key", "type": "invalid_request_error", "code": "invalid_api_key"}},
        "Incorrect key (invalid_api_key)",
    ),
    "openai, code and type are the same word": (
        {"error": {"message": "Slow", "type": "insufficient_quota", "code": "insufficient_quota"}},
        "Slow (insufficient_quota)",
    ),
    "ollama: code null": (
        {"error": {"message": "no such thing", "type": "api_error", "code": None, "param": None}},
        "no such thing",
    ),
    "azure: the status as a text": ({"error": {"code": "400", "message": "bad"}}, "bad"),
    "error is a text": ({"error": "model 'x' not found"}, "model 'x' not found"),
    "error is a title, message the text": (
        {"statusCode": 400, "error": "Bad Request", "message": "body must have messages"},
        "Bad Request: body must have messages",
    ),
    "spring": (
        {"status": 400, "error": "Not Found", "path": "/v4/v1/messages"},
        "Not Found: /v4/v1/messages",
    ),
    "oauth": (
        {"error": "invalid_grant", "error_description": "Refresh token expired"},
        "invalid_grant: Refresh token expired",
    ),
    "mistral: detail": ({"detail": "Invalid model"}, "Invalid model"),
    "fastapi: detail list": (
        {"detail": [{"loc": ["body", "messages", 0, "role"], "msg": "Input should be 'user'", "type": "enum"}]},
        "body.messages.0.role: Input should be 'user' (enum)",
    ),
    "detail is an object": ({"detail": {"error_type": "x", "message": "No key"}}, "No key"),
    "message": ({"message": "Too bad"}, "Too bad"),
    "message is an object": (
        {"object": "error", "message": {"detail": [{"loc": ["body"], "msg": "Extra inputs"}]}, "code": 1700},
        "body: Extra inputs (1700)",
    ),
    "z.ai: code and msg": ({"code": 1211, "msg": "Unknown Model", "success": False}, "Unknown Model (1211)"),
    "minimax: base_resp": (
        {"base_resp": {"status_code": 2013, "status_msg": "invalid params"}},
        "invalid params (2013)",
    ),
    "dashscope": (
        {"code": "InvalidParameter", "message": "Range", "request_id": "r"},
        "Range (InvalidParameter)",
    ),
    "gemini: a list of one": ([{"error": {"code": 400, "message": "Nope", "status": "X"}}], "Nope"),
    "openrouter: text in metadata.raw": (
        {
            "error": {
                "message": "Provider returned error",
                "code": 400,
                "metadata": {"raw": "qwen is rate-limited upstream", "provider_name": "Venice"},
            }
        },
        "Provider returned error (Venice): qwen is rate-limited upstream",
    ),
    "openrouter: JSON in metadata.raw": (
        {
            "error": {
                "message": "Provider returned error",
                "code": 400,
                "metadata": {"raw": '{"error":{"message":"Too long","code":400}}', "provider_name": None},
            }
        },
        "Provider returned error: Too long",
    ),
    "openrouter: no metadata": ({"error": {"message": "No", "code": 400, "metadata": None}}, "No"),
    "a relay puts the body into its message": (
        {"error": {"code": 400, "message": '{"type":"error","error":{"type":"x_error","message":"Deep"}}'}},
        "Deep (x_error)",
    ),
    "a relay nests the upstream's error": (
        {"error": {"type": "request_fail", "upstream_error": {"error": {"message": "Inner"}}}},
        "Inner (request_fail)",
    ),
    "llama.cpp: numbers beside the text": (
        {"error": {"code": 400, "message": "too large", "n_prompt_tokens": 9000, "n_ctx": 8192}},
        "too large (9000 tokens > 8192)",
    ),
    "an event stream": (b'event: error\ndata: {"error": {"message": "Streamed"}}\n\n', "Streamed"),
    "gpustack: a bare error line": (b'error: {"message": "Bare"}', "Bare"),
    "plain text": (b"upstream connect error\nor disconnect", "upstream connect error or disconnect"),
    "a JSON text": (b'"just a string"', '"just a string"'),
    "JSON without words": ({"foo": 1}, '{"foo": 1}'),
    "broken JSON": (b'{"error": {"message": "cut o', '{"error": {"message": "cut o'),
    "empty": (b"", "HTTP 400 with an empty body"),
    "white space": (b" \r\n ", "HTTP 400 with an empty body"),
    "white space before the body": (b'\n  {"error": "Late"}', "Late"),
    "byte order mark": (b'\xef\xbb\xbf{"error": "Marked"}', "Marked"),
    "invalid UTF-8": (b'{"error": "caf\xe9"}', "caf�"),
}


@pytest.mark.parametrize(("body", "message"), SHAPES.values(), ids=SHAPES)
def test_the_words_of_every_shape(body, message):
    assert read(body) == ProviderError(400, "invalid_request_error", message)


def test_anthropics_envelope_says_more_than_the_status():
    body = {"type": "error", "error": {"type": "billing_error", "message": "Pay"}, "request_id": "r"}
    assert read(body) == ProviderError(400, "billing_error", "Pay")


def test_openais_loose_type_does_not_override_the_status():
    body = {"error": {"message": "Wrong key", "type": "invalid_request_error"}}
    assert read(body, status=401).type == "authentication_error"


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        ({"type": "error", "error": {"type": "overloaded_error", "message": "O"}}, 529, "overloaded_error"),
        ({"error": {"message": "slow down", "code": 429}}, 429, "rate_limit_error"),
        ({"error": {"message": "Bad key", "code": "401"}}, 401, "authentication_error"),
        ({"code": 500, "msg": "404 NOT_FOUND", "success": False}, 500, "api_error"),
        ({"error": {"code": "1302", "message": "High concurrency usage"}}, 429, "rate_limit_error"),
        ({"error": {"code": "1305", "message": "busy"}}, 529, "overloaded_error"),
        ({"error": {"message": "Rate limit reached for model", "type": "tokens"}}, 429, "rate_limit_error"),
        ({"error": {"message": "The engine is currently overloaded"}}, 529, "overloaded_error"),
        ({"error": {"message": "Something broke"}}, 500, "api_error"),
        (b"", 500, "api_error"),
        ({"error": {"code": "content_filter", "status": 400, "message": "M"}}, 400, "invalid_request_error"),
        ({"error": {"code": "content_filter", "message": "M"}}, 400, "invalid_request_error"),
        ({"code": "invalid_value", "status_code": 422, "message": "M"}, 422, "invalid_request_error"),
        ({"error": {"message": "M"}, "status": 400}, 400, "invalid_request_error"),
        ({"error": {"message": "M", "code": None, "http_status": 404}}, 404, "not_found_error"),
        ({"error": {"message": "M", "status": "INVALID_ARGUMENT"}}, 400, "invalid_request_error"),
        ([{"error": {"message": "M", "status": "RESOURCE_EXHAUSTED"}}], 429, "rate_limit_error"),
        ({"error": {"message": "M", "type": "x", "code": "tool_use_failed"}}, 400, "invalid_request_error"),
        ({"error": {"message": "M", "status": 200}}, 500, "api_error"),
    ],
)
def test_an_error_under_a_200_gets_the_status_that_it_names(body, status, error):
    found = read(body, status=200)
    assert (found.status, found.type) == (status, error)


def test_an_html_page_becomes_its_title_and_text_on_one_short_line():
    page = b"""<!DOCTYPE html><html><head><title>502 Bad Gateway</title><style>b{color:red}</style>
    <script>alert("<b>no</b>")</script></head><body><!-- a comment --><h1>502 Bad Gateway</h1>
    <p>nginx &amp; friends</p></body></html>"""
    assert read(page, 502, "text/html; charset=utf-8").message == "502 Bad Gateway nginx & friends"
    assert read(page, 502, JSON).message == "502 Bad Gateway nginx & friends"  # said to be JSON, is a page

    cloudflare = b"<html><title>z.ai | 524: A timeout occurred</title><body>Error code 524" + b" x" * 9000
    error = read(cloudflare, 524, "text/html")
    assert error.type == "timeout_error"
    assert error.message.startswith("z.ai | 524: A timeout occurred: Error code 524 x")
    assert len(error.message) <= PAGE_LIMIT
    assert error.message.endswith("…")


def test_a_page_without_words_is_an_empty_body():
    assert read(b"<html><body></body></html>", 502, "text/html").message == "HTTP 502 with an empty body"


@pytest.mark.parametrize("status", [302, 304, 600, 999])
def test_a_status_that_is_no_error_of_http_is_a_500(status):
    """Clients can't make an answer of 999, and follow a redirect."""
    assert read(b"", status) == ProviderError(500, "api_error", f"HTTP {status} with an empty body")
    assert read({"error": {"message": "slow", "code": 429}}, status).status == 429


@pytest.mark.parametrize("piece", [b"<", b"<title", b"<script", b"<!--", b"</script"])
def test_a_page_of_unclosed_tags_is_read_in_linear_time(piece):
    read(piece * 1_000_000, 502, "text/html")  # quadratic: minutes


def test_a_long_message_is_cut_and_keeps_its_code():
    error = read({"error": {"message": "x" * 10_000, "code": "context_length_exceeded"}})
    assert error.message == "x" * (limits.ERROR_WORDS - 1) + "… (context_length_exceeded)"


def test_a_lone_surrogate_does_not_reach_the_message():
    error = read(b'{"error": "half an emoji \\ud83d"}')
    assert error.message == "half an emoji ?"
    assert json.loads(envelope(400, "\ud83d"))["error"]["message"] == "\ud83d"


@pytest.mark.parametrize("opening", [b'{"error":', b"[", b'{"error":"{'])
def test_deep_nesting_is_read_as_text(opening):
    assert read(opening * 100_000).message


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["error", "message", "detail", "code", "type", "msg", "metadata", "raw", "loc", "path"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(
    st.binary(max_size=200) | json_values.map(lambda v: json.dumps(v).encode()),
    st.sampled_from([200, 400, 502]),
)
def test_no_body_raises_and_every_error_has_words(body, status):
    error = read_error(status, JSON, body)
    assert error.message
    assert error.status >= 400
    assert error.type in STATUSES


def test_each_documented_status_has_its_type():
    for status, name in TYPES.items():
        assert error_type(status) == name


@pytest.mark.parametrize(
    ("status", "name"),
    [
        (405, "invalid_request_error"),
        (422, "invalid_request_error"),
        (408, "timeout_error"),
        (502, "api_error"),
        (503, "overloaded_error"),
        (524, "timeout_error"),
        (599, "api_error"),
        (302, "api_error"),
    ],
)
def test_a_status_that_anthropic_does_not_document_gets_the_nearest_type(status, name):
    assert error_type(status) == name


def test_the_envelope():
    assert json.loads(envelope(429, "Slow", request_id="req_1")) == {
        "type": "error",
        "error": {"type": "rate_limit_error", "message": "Slow"},
        "request_id": "req_1",
    }
    assert json.loads(envelope(400, "x", type="billing_error")) == {
        "type": "error",
        "error": {"type": "billing_error", "message": "x"},
    }


def test_the_event_is_one_line_of_data_and_reads_back():
    error = ProviderError(529, "overloaded_error", "line one\nline two\r\n\u2028 é")
    event = error_event(error, "req_1")
    name, data, *rest = event.decode().split("\n")
    assert name == "event: error"
    assert rest == ["", ""]
    assert read_error(200, JSON, data.removeprefix("data: ").encode()) == error
    assert read_error(200, "text/event-stream", event) == error


def test_bad_request_names_the_field():
    refusal = BadRequest("messages.0.role", "must be a text")
    assert (refusal.status, refusal.field, refusal.message) == (400, "messages.0.role", "must be a text")
    assert str(refusal) == "messages.0.role: must be a text"
    assert str(BadRequest("", "not JSON")) == "not JSON"
