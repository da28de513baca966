"""What went to a provider, as mitmproxy exports flows."""

import pytest
from mitmproxy import exceptions
from mitmproxy.addons.export import Export
from mitmproxy.test import taddons

from addons.views.attempt_export import FORMATS, export_attempt
from tests.views.looked_at import Watched

HEADERS = [
    ("authorization", "Bearer sk-ant-oat01…7f2c"),
    ("x-api-key", "…abcd"),
    ("accept", "text/event-stream"),
    ("content-type", "application/json"),
]


@pytest.fixture(autouse=True)
def _options():
    with taddons.context(Export()):
        yield


@pytest.fixture
def made():
    """A request that was refused by one provider, and is with the next one."""
    watched = Watched("anthropic", "zai")
    watched.sends(headers=HEADERS)
    watched.fails(words="slow down")
    watched.sends(headers=HEADERS)
    return watched.exchange


def test_curl_says_credential_where_one_was(made):
    said = export_attempt("curl", made, 2)
    assert said.startswith("curl ")
    assert '-H "authorization: Bearer $CREDENTIAL" -H "x-api-key: $CREDENTIAL" -H \'accept: text/event-stream\'' in said
    assert "'https://zai.test/v1/messages?beta=true'" in said
    assert '"glm-5"' in said
    assert "…" not in said


def test_each_attempt_has_its_own_request_and_answer(made):
    assert "claude-sonnet-5-5" in export_attempt("raw_request", made, 1)
    assert export_attempt("raw_response", made, 1).startswith("HTTP/1.1 429")
    assert "slow down" in export_attempt("raw", made, 1)
    assert "https://zai.test" in export_attempt("httpie", made, 2)


def test_what_is_not_there_is_said(made):
    for form, number, words in (
        ("raw_response", 2, "no response"),
        ("curl", 3, "attempt 3 has sent nothing"),
        ("wget", 1, "no such export format: wget"),
    ):
        with pytest.raises(exceptions.CommandError, match=words):
            export_attempt(form, made, number)


def test_no_secret_in_any_form(made):
    secret = "secret-of-the-user-0123456789"
    made.client.key = secret
    for attempt in made.attempts:
        attempt.recorded.request.body += f'{{"said": "{secret}"}}'.encode()
    for form in FORMATS:
        if form != "raw_response":
            assert secret not in export_attempt(form, made, 1)
            assert secret[:8] not in export_attempt(form, made, 1)
