"""No secret is readable in what people and files may see."""

import json
import re
import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from addons.wire.masking import (
    CREDENTIALS,
    ELLIPSIS,
    TRACES,
    is_credential_header,
    mask,
    mask_bytes,
    mask_strings,
    mask_text,
)

OAUTH = "sk-ant-oat01-" + "Ab3_" * 20 + "3f9a"


@pytest.mark.parametrize(
    ("secret", "shown"),
    [
        (OAUTH, "sk-ant-oat01…3f9a"),
        (f"Bearer {OAUTH}", "Bearer sk-ant-oat01…3f9a"),
        ("sk-ant-api03-" + "x" * 90 + "AAAA", "sk-ant-api03…AAAA"),
        ("sk-ant-ort01-" + "x" * 90 + "BBBB", "sk-ant-ort01…BBBB"),
        ("sk-or-v1-" + "0" * 60 + "cafe", "sk-or-v1…cafe"),
        ("sk-kimi-" + "k" * 40 + "1234", "sk-kimi…1234"),
        ("sk-proj-" + "k" * 40 + "1234", "sk-proj…1234"),
        ("sk-" + "d" * 28 + "1234", "sk…1234"),
        ("0123456789abcdef0123456789abcdef.ZAIzaiZAIzai", "…Izai"),
        ("sk-ant-oat01-short", "sk-ant-oat01…"),
        ("correct-horse-1", "…"),
        ("hunter2", "…"),
        ("", "…"),
        ("Basic dXNlcjpwYXNz", "Basic …"),
    ],
)
def test_a_secret_shows_its_kind_and_its_end(secret, shown):
    assert mask(secret) == shown


@given(st.text(min_size=1))
def test_a_mask_never_shows_the_whole_nor_more_than_four_characters_of_the_secret_part(secret):
    shown = mask(secret)
    assert shown != secret or secret.endswith(ELLIPSIS)
    assert len(shown.rpartition(ELLIPSIS)[2]) <= 4


TEXTS = [
    ("Authorization: Bearer abc", "Authorization: Bearer …"),
    ("b'authorization: Bearer abc\\r\\n'", "b'authorization: Bearer …\\r\\n'"),
    ("(b'authorization', b'Bearer abcdef')", "(b'authorization', b'Bearer …')"),
    (f"authorization: Bearer {OAUTH}\nhost: x", "authorization: Bearer sk-ant-oat01…3f9a\nhost: x"),
    ("proxy-authorization: Basic dXNlcg==", "proxy-authorization: Basic …"),
    ("x-api-key: k1, next: y", "x-api-key: …, next: y"),
    (
        "x-litellm-api-key: TOKEN, x-claude-token-mode: passthrough",
        "x-litellm-api-key: …, x-claude-token-mode: passthrough",
    ),
    ('{"x-api-key": "k1", "model": "glm"}', '{"x-api-key": "…", "model": "glm"}'),
    ('{\\"api_key\\":\\"k1\\",\\"model\\":1}', '{\\"api_key\\":\\"…\\",\\"model\\":1}'),
    ("ZAI_API_KEY=k1", "ZAI_API_KEY=…"),
    ("https://x/?api_key=k1", "https://x/?api_key=…"),
    ('"refresh_token": "r1"', '"refresh_token": "…"'),
    ("Cookie: a=1; b=2\r\nHost: x", "Cookie: …\r\nHost: x"),
    ("set-cookie: __cf_bm=0123456789abcdef", "set-cookie: …cdef"),
    (f"token {OAUTH} refused", "token sk-ant-oat01…3f9a refused"),
    ("got sk-ant-api03-xyz", "got sk-ant-api03…"),
    ("got sk-0123456789abcdef01234", "got sk…1234"),
    ("sent Bearer 12345678", "sent Bearer …"),
    ("sent bearer thisIsALongTokenWithoutDigits", "sent bearer …gits"),
    ("jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl.", "jwt …dXJl."),
]


@pytest.mark.parametrize(("text", "masked"), TEXTS)
def test_what_looks_like_a_credential_is_masked_though_unknown(text, masked):
    assert mask_text(text, ()) == masked


@pytest.mark.parametrize(
    "text",
    [
        "router: glm → zai/glm-5, host api.z.ai",
        "oauth: token 2 of 5 (sk-ant-oat01…3f9a), session a1b2",
        "risk-averse task-force, scikit: sk-learn",
        '{"max_tokens": 32000, "input_tokens": 5}',
        "a bearer of bad news",
        "prompt is too long: 213462 tokens > 200000 maximum",
        "anthropic-ratelimit-tokens-remaining: 5",
        "x-claude-token-mode: passthrough",
        "",
    ],
)
def test_what_is_no_credential_stays(text):
    assert mask_text(text, ()) == text


def test_a_known_secret_goes_wherever_it_stands():
    text = "https://host/pa55word/x?q=pa55word&url=pa55wordpa55word"
    assert mask_text(text, ["pa55word"]) == "https://host/…/x?q=…&url=……"


def test_the_longer_of_two_known_secrets_is_masked_as_one():
    assert mask_text("secret-and-more-of-it", ["secret", "secret-and-more-of-it"]) == "…f-it"


def test_a_known_secret_inside_what_is_shown_of_another_goes_too():
    assert mask_text(f"key {OAUTH}", [OAUTH, "sk-ant-oat01"]) == "key sk……3f9a"


def test_a_known_text_too_short_to_be_a_secret_is_left():
    assert mask_text("the demo of a demo", ["demo"]) == "the demo of a demo"


def test_in_bytes_only_what_is_known_goes():
    secrets = ["secret", "secret-and-more-of-it", "demo", "zerbrech\udcfflich"]
    data = b"Bearer sk-ant-oat01-x, a secret of the demo, secret-and-more-of-it, zerbrech\xfflich"
    masked = "Bearer sk-ant-oat01-x, a … of the demo, …f-it, …".encode()
    assert mask_bytes(data, secrets) == mask_bytes(data, iter(secrets)) == mask_bytes(data, secrets[::-1]) == masked
    assert mask_bytes(masked, secrets) == masked
    assert mask_bytes(data, ()) is data


visible = st.text(st.sampled_from(string.ascii_letters + string.digits + "-_.~+/="), min_size=6, max_size=40)
prefixed = st.tuples(st.sampled_from(["sk-ant-oat01-", "sk-or-v1-", "sk-", "Bearer ", "eyJ", ""]), visible).map("".join)
glue = st.sampled_from(
    [
        "authorization: Bearer ",
        "x-api-key: ",
        '"api_key": "',
        "cookie: ",
        "Bearer ",
        '", "',
        "\\r\\n'",
        "\n",
        " ",
        "b'",
        "…",
    ]
)


@given(st.lists(prefixed, max_size=4), st.data())
def test_no_known_secret_survives_and_masking_again_changes_nothing(secrets, data):
    pieces = st.lists(glue | visible | prefixed | st.sampled_from([*secrets, ""]), max_size=10)
    text = "".join(data.draw(pieces))
    masked = mask_text(text, secrets)
    assert not [secret for secret in secrets if secret in masked]
    assert mask_text(masked, secrets) == masked


@given(st.text(max_size=60) | st.lists(glue | prefixed | st.text(max_size=5), max_size=8).map("".join))
@example("Bearer Bearer 12345678")
@example("api_key=api_key=x")
@example("COOKIE:BEARER ")
@example("cookie: Bearer sk-ant-oat01-0123456789abcdef")
def test_masking_any_text_again_changes_nothing(text):
    masked = mask_text(text, ())
    assert mask_text(masked, ()) == masked


@given(st.lists(glue | prefixed, max_size=4).map("".join))
def test_every_credential_leaves_a_trace_that_is_looked_for(text):
    if CREDENTIALS.search(text):
        assert any(trace in text.lower() for trace in TRACES)


ESCAPED = "\\u0073k-ant\\u002doat01-" + "Ab3_" * 20 + "3f9a"


@pytest.mark.parametrize(
    ("body", "masked"),
    [
        (f'{{"error":{{"message":"bad {ESCAPED}"}}}}', '{"error":{"message":"bad sk-ant-oat01\\u20263f9a"}}'),
        (f'{{"a\\\\":"{OAUTH}"}}', '{"a\\\\":"sk-ant-oat01…3f9a"}'),
        (f'event: error\ndata: {{"message":"{ESCAPED}', 'event: error\ndata: {"message":"sk-ant-oat01\\u20263f9a"'),
        (json.dumps({"raw": f'{{"message":"{ESCAPED}"}}'}), r'{"raw": "{\"message\":\"sk-ant-oat01\u20263f9a\"}"}'),
        ('{"path":"C:\\\\new","x":"\\ud83d"}', '{"path":"C:\\\\new","x":"\\ud83d"}'),
    ],
)
def test_a_secret_in_a_json_string_goes_in_any_spelling(body, masked):
    assert mask_strings(body.encode(), [OAUTH]) == masked.encode()


def spelt(text: str, depth: int) -> str:
    """A text with every character escaped, inside that many strings inside of strings."""
    text = "".join(f"\\u{ord(char):04x}" for char in text)
    for _ in range(depth):
        text = json.dumps(text)[1:-1]
    return text


@pytest.mark.parametrize("depth", [0, 1, 2, 5, 8, 11])
@pytest.mark.parametrize(
    "around",
    ['data: he said "\n\ndata: {"text":"%s"}\n\n', "%s", "at %s, it says", '{"a":"x\\n%s\\n"}', 'a\\"%s\\"', "\\\\%s"],
)
def test_a_secret_goes_in_any_spelling_wherever_it_stands(around, depth):
    """Nor where quotation marks don't pair, nor deeper than anybody writes."""
    text = around % spelt(OAUTH, depth)
    for masked in (mask_text(text, [OAUTH]), mask_strings(text.encode(), [OAUTH]).decode()):
        said = masked
        for _ in range(depth + 1):
            said = re.sub(
                r"\\(?:u([0-9a-fA-F]{4})|(.))",
                lambda found: chr(int(found[1] or "0", 16)) if found[1] else found[2],
                said,
            )
        assert OAUTH not in said
        assert "3f9a" not in said or "…3f9a" in said
    assert "…" in mask_text(text, [OAUTH])


@pytest.mark.parametrize(
    "text", [r"C:\\users\\new \u00e9t\u00e9", r"\/\/ a comment\n", r"match(/\\u{1f600}[\\w\/]+/)", "\\" * 300 + "u0041"]
)
def test_escapes_that_say_nothing_secret_stay(text):
    assert mask_text(text, [OAUTH]) == text
    assert mask_strings(text.encode(), [OAUTH]) == text.encode()


spelled_out = st.recursive(st.text(max_size=8), lambda inner: st.dictionaries(st.text(max_size=3), inner, max_size=3))


@given(spelled_out, st.data())
def test_what_holds_no_secret_keeps_its_bytes_and_what_holds_one_stays_json(value, data):
    spelled = json.dumps(value, ensure_ascii=data.draw(st.booleans())).encode("utf-8", "surrogatepass")
    assert mask_strings(spelled, [OAUTH]) == spelled
    text = "".join(data.draw(st.sampled_from([char, f"\\u{ord(char):04x}"])) for char in OAUTH)
    found = mask_strings(b'[%b,"%b"]' % (spelled, text.encode()), [OAUTH])
    assert json.loads(found)[1] == mask(OAUTH)


@pytest.mark.parametrize(
    "text",
    [
        "providers.zai.apikey: unknown key (did you mean api_key?)",
        "routing.yaml:15: providers.zai.api_key: has a space or a character that is not ASCII",
        "authorization: denied",
    ],
)
def test_words_behind_a_name_are_no_credential(text):
    assert mask_text(text, ()) == text


@pytest.mark.parametrize(
    "name",
    [
        "Authorization",
        "proxy-authorization",
        "X-Api-Key",
        "x-litellm-api-key",
        "Cookie",
        "set-cookie",
        "x-auth-token",
    ],
)
def test_headers_that_carry_credentials(name):
    assert is_credential_header(name)


@pytest.mark.parametrize(
    "name",
    [
        "host",
        "anthropic-version",
        "x-claude-token-mode",
        "anthropic-ratelimit-tokens-limit",
        "x-claude-code-session-id",
    ],
)
def test_headers_that_do_not(name):
    assert not is_credential_header(name)


def test_the_names_in_a_text_are_headers_that_carry_credentials():
    for text, _ in TEXTS:
        header = re.match(r"([\w-]+): ", text)
        if header:
            assert is_credential_header(header[1])
