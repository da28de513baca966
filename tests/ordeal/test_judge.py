"""The judge is judged: each promise, broken on purpose."""

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.ordeal.agents import Asked
from tests.ordeal.answer import read_answer
from tests.ordeal.judge import Closed, Evidence, Use, judge
from tests.ordeal.providers import Served

TEXT = {"type": "text", "text": "one two three"}
TOOL = {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {"command": "ls"}}


def event(kind: str, **data: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **data})}\n\n".encode()


START = event("message_start", message={"content": []})
TEXT_EVENTS = (
    event("content_block_start", index=0, content_block={"type": "text", "text": ""})
    + event("content_block_delta", index=0, delta={"type": "text_delta", "text": "one two "})
    + event("content_block_delta", index=0, delta={"type": "text_delta", "text": "three"})
    + event("content_block_stop", index=0)
)
TOOL_EVENTS = (
    event("content_block_start", index=1, content_block={**TOOL, "input": {}})
    + event("content_block_delta", index=1, delta={"type": "input_json_delta", "partial_json": '{"command": '})
    + event("content_block_delta", index=1, delta={"type": "input_json_delta", "partial_json": '"ls"}'})
    + event("content_block_stop", index=1)
)
END = event("message_delta", delta={"stop_reason": "end_turn"}) + event("message_stop")
ERROR = event("error", error={"type": "overloaded_error", "message": "busy"})
WHOLE = START + TEXT_EVENTS + TOOL_EVENTS + END
STREAM = {"content-type": "text/event-stream"}


def asked(body: bytes = WHOLE, **fields: Any) -> Asked:
    whole = Asked("a1.r1", "glm", True, 10.0, ended=11.0, status=200, headers=STREAM, body=body, framed=True)
    return replace(whole, **fields)


def served(**fields: Any) -> Served:
    return replace(Served("zai", "a1.r1", "good", 10.5, "key", (TEXT, TOOL)), **fields)


def closed(**fields: Any) -> Closed:
    whole = Closed("a1.r1", "response", ("zai",), targets=2, tried=1, last_resort=False, content=True, final=False)
    return replace(whole, **fields)


def verdict(one: Asked, *by: Served, ends: tuple[Closed, ...] = (), **more: Any) -> list[str]:
    return judge(Evidence([one], by or (served(),), ends, **more))


def test_a_whole_answer() -> None:
    assert verdict(asked(), ends=(closed(),)) == []


def test_a_cut_that_is_told() -> None:
    assert verdict(asked(START + TEXT_EVENTS[:-60].rpartition(b"\n\n")[0] + b"\n\n" + ERROR), ends=(closed(),)) == []


def test_a_hang_up() -> None:
    assert verdict(asked(WHOLE[:200], hung_up=True, framed=False)) == []


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (asked(START + TEXT_EVENTS), "neither complete nor an error"),
        (asked(WHOLE[:-20]), "half an event"),
        (asked(WHOLE + event("ping")), "something follows the end"),
        (asked(WHOLE + ERROR), "something follows the end"),
        (asked(START + WHOLE), "does not belong here"),
        (asked(b""), "neither complete nor an error"),
        (asked(b"<html>", status=502, headers={}), "unreadable"),
        (asked(b"{}", status=502, headers={}), "unreadable"),
        (asked(b"", status=307, headers={}), "neither a success nor an error"),
        (asked(failure="nothing more"), "no answer"),
        (asked(WHOLE.replace(b"three", b"four")), "the content is nobody's"),
        (asked(WHOLE.replace(b"ls", b"rm")), "the content is nobody's"),
        (asked((START + TEXT_EVENTS + ERROR).replace(b"three", b"four")), "the beginning is nobody's"),
        (asked(START + TEXT_EVENTS + END), "the content is nobody's"),
        (asked(WHOLE.replace(b"two", b"sk-secret")), "the client was shown the key"),
        (asked(stream=False), "a JSON answer was asked for"),
    ],
)
def test_what_a_client_must_not_see(one: Asked, words: str) -> None:
    assert any(words in wrong for wrong in verdict(one, secrets={"sk-secret": "the key"}))


def test_content_of_two_providers() -> None:
    first, second = served(content=(TEXT,)), served(provider="kimi", content=(TOOL,))
    assert any("nobody's" in wrong for wrong in verdict(asked(), first, second))


@pytest.mark.parametrize(
    ("ends", "words"),
    [
        ((closed(marker="a1.r2"),), "closed 0 times"),
        ((closed(), closed(hook="error")), "closed 2 times"),
        ((closed(attempts=()),), "the trail does not know of"),
        ((closed(hook="error"),), "calls it an error"),
    ],
)
def test_what_the_gateway_must_not_say(ends: tuple[Closed, ...], words: str) -> None:
    assert any(words in wrong for wrong in verdict(asked(), ends=ends))


def test_a_target_that_was_not_asked() -> None:
    failed = asked(b'{"type":"error","error":{"type":"api_error","message":""}}', status=502, headers={})
    end = closed(content=False)
    assert any("failed after 1 of 2" in wrong for wrong in verdict(failed, ends=(end,)))
    assert verdict(failed, ends=(replace(end, tried=2),)) == []


def test_a_token_before_its_time() -> None:
    refused = closed(uses=(Use("token", 10.0, 10.2, 100015.0),))
    again = closed(marker="a1.r2", uses=(Use("token", 12.0, 13.0, 0.0),))
    evidence = Evidence([], [], (refused, again), epoch=100000.0)
    assert any("before its time" in wrong for wrong in judge(evidence))
    assert judge(replace(evidence, closed=(refused, replace(again, last_resort=True)))) == []
    assert judge(replace(evidence, closed=(refused, replace(again, uses=(Use("token", 15.1, 16.0, 0.0),))))) == []


def test_what_ran_when_the_gateway_was_stopped() -> None:
    cut = asked(WHOLE[:100], failure="reset", started=10.0, ended=13.0)
    assert verdict(cut, down=[(12.0, 20.0)]) == []
    assert any("no answer" in wrong for wrong in verdict(cut, down=[(12.0, 20.0)], drain=5.0))


def test_json_answers() -> None:
    message = {"type": "message", "role": "assistant", "stop_reason": "end_turn", "content": [TEXT, TOOL]}
    told = read_answer(200, "application/json", json.dumps(message).encode())
    assert told.complete
    assert told.blocks == [TEXT, TOOL]
    assert read_answer(200, "application/json", json.dumps({**message, "stop_reason": None}).encode()).wrong
