"""What a client is told of a search."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import anthropic.types
import pytest

from addons.wire.errands import Errand, Reply
from addons.wire.errors import ProviderError
from addons.wire.provenance import decode_tool_id
from addons.wire.search.answer import OWNER, answer_search, no_search
from addons.wire.search.question import Question
from addons.wire.search.settings import SearchSettings

SETTINGS = SearchSettings(provider="searxng", url="http://searx.test")
HIT = {"url": "https://a.org/", "title": "A title", "content": "What it says.", "publishedDate": "2026-11-02"}


def drive(errand: Errand[bytes | ProviderError], replies: Iterable[Reply]) -> None:
    next(errand)
    for reply in replies:
        errand.send(reply)


def finished(errand: Errand[bytes | ProviderError], *replies: Reply) -> dict[str, Any]:
    """The message that comes of it, which Anthropic's own types take."""
    with pytest.raises(StopIteration) as end:
        drive(errand, replies)
    assert isinstance(end.value.value, bytes)
    anthropic.types.Message.model_validate_json(end.value.value)
    message: dict[str, Any] = json.loads(end.value.value)
    return message


def found(*hits: Any) -> Reply:
    return Reply(status=200, body=json.dumps({"results": hits}).encode())


def test_results_come_as_anthropics_do_and_their_words_as_text() -> None:
    message = finished(
        answer_search(Question(text="x"), SETTINGS, "glm-5", "req_1"), found(HIT, {"url": "http://b.org"})
    )
    call, result, text = message["content"]
    assert call["input"] == {"query": "x"}
    assert decode_tool_id(call["id"]) == (OWNER, "srvtoolu_req_1")
    assert result["tool_use_id"] == call["id"]
    assert [(one["url"], one["title"], one["page_age"]) for one in result["content"]] == [
        ("https://a.org/", "A title", "2026-11-02"),
        ("http://b.org", "http://b.org", None),
    ]
    said = ["Found by SearXNG:", "", "1. A title", "https://a.org/ (2026-11-02)", "What it says.", ""]
    assert text["text"].splitlines() == [*said, "2. http://b.org", "http://b.org"]
    assert (message["model"], message["stop_reason"]) == ("glm-5", "end_turn")
    assert message["usage"]["server_tool_use"]["web_search_requests"] == 1


def test_nothing_found_is_no_error() -> None:
    message = finished(answer_search(Question(text="x"), SETTINGS, "glm-5", "req_1"), found())
    assert message["content"][1]["content"] == []
    assert message["content"][2]["text"].startswith("The web search by SearXNG has found nothing")


def test_a_failure_is_one_and_says_why() -> None:
    message = finished(answer_search(Question(text="x"), SETTINGS, "glm-5", "req_1"), Reply(status=429))
    error = {"type": "web_search_tool_result_error", "error_code": "too_many_requests"}
    assert message["content"][1]["content"] == error
    words = "The web search has failed: SearXNG answered 429: its limit is reached. There are no results."
    assert message["content"][2]["text"] == words
    assert message["usage"]["server_tool_use"]["web_search_requests"] == 0


@pytest.mark.parametrize("uses", [0, -1])
def test_no_more_searches_than_are_allowed(uses: int) -> None:
    message = finished(answer_search(Question(text="x", uses=uses), SETTINGS, "glm-5", "req_1"))
    assert message["content"][1]["content"]["error_code"] == "max_uses_exceeded"


def test_who_can_not_search_says_so_in_one_sentence() -> None:
    message = finished(no_search("zai", "glm-5", "req_1"))
    (said,) = message["content"]
    assert said["text"].startswith("No web search was made: glm-5 at zai has no web search of its own")
    assert said["text"].count(". ") == 0
