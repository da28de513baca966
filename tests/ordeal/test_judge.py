"""The judge is judged: each promise, broken on purpose."""

import json
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from tests.fakes.messages import event
from tests.ordeal.agents import REFUSED, Asked
from tests.ordeal.answer import read_answer
from tests.ordeal.judge import MISHAP, STOPPING, Evidence, Stop, judge, success
from tests.ordeal.left import leaks
from tests.ordeal.providers import Call, Served
from tests.ordeal.run import log_problems
from tests.ordeal.words import Closed, Count, Planned, Word

TEXT = {"type": "text", "text": "one two three"}
TOOL = {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {"command": "ls"}}


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


TARGETS = (("zai", "glm-5"), ("kimi", "k2"))
PLAN = Planned(at=10.1, marker="a1.r1", targets=TARGETS)


def asked(body: bytes = WHOLE, **fields: Any) -> Asked:
    whole = Asked("a1.r1", "glm", True, 10.0, ended=11.0, status=200, headers=STREAM, body=body, framed=True)
    return replace(whole, **fields)


def served(**fields: Any) -> Served:
    return replace(Served("zai", "a1.r1", "good", 10.5, (TEXT, TOOL), "key"), **fields)


def closed(**fields: Any) -> Closed:
    whole = Closed(
        marker="a1.r1",
        hook="response",
        attempts=("zai",),
        tried=TARGETS[:1],
        targets=2,
        last_resort=False,
        content=True,
        final=False,
    )
    return msgspec.structs.replace(whole, **fields)


def verdict(one: Asked, *by: Served, words: tuple[Word, ...] = (), **more: Any) -> list[str]:
    return judge(Evidence([one], by or (served(),), words, **more))


def test_a_whole_answer() -> None:
    assert verdict(asked(), words=(PLAN, closed())) == []


def test_an_exception_of_an_addon() -> None:
    body = json.dumps({"type": "error", "error": {"type": "api_error", "message": f"{MISHAP.decode()}, see its log"}})
    told = asked(body.encode(), status=500, headers={})
    assert judge(Evidence([told], [], (PLAN, closed(attempts=(), tried=(), content=False)))) == []
    assert "although an addon had failed" in verdict(told)[0]
    assert log_problems("[10:00:00.000] gateway: Mishap in Raising.request (probe.py:1)") == []
    assert log_problems("[10:00:00.000] gateway: KeyError in AuthGate.request (auth.py:1)")


def test_a_cut_that_is_told() -> None:
    told = START + TEXT_EVENTS[:-60].rpartition(b"\n\n")[0] + b"\n\n" + ERROR
    assert verdict(asked(told), words=(PLAN, closed())) == []


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
        ((closed(attempts=("kimi",)),), "the trail does not know of"),
        ((closed(hook="error"),), "calls it an error"),
        ((closed(tried=TARGETS[::-1]),), "planned"),
    ],
)
def test_what_the_gateway_must_not_say(ends: tuple[Closed, ...], words: str) -> None:
    assert any(words in wrong for wrong in verdict(asked(), words=(PLAN, *ends)))


def test_an_attempt_that_is_in_the_trail_once_and_was_seen_twice() -> None:
    wrongs = verdict(asked(), served(content=()), served(), words=(PLAN, closed()))
    assert any("the trail does not know of {'zai': 1}" in wrong for wrong in wrongs)


def test_a_target_that_was_not_asked() -> None:
    failed = asked(b'{"type":"error","error":{"type":"api_error","message":""}}', status=502, headers={})
    end = closed(content=False)
    assert any("failed after 1 of 2" in wrong for wrong in verdict(failed, words=(PLAN, end)))
    assert verdict(failed, words=(PLAN, msgspec.structs.replace(end, tried=TARGETS))) == []
    assert verdict(failed, words=(PLAN, msgspec.structs.replace(end, final=True))) == []


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        ({"token": "other key"}, "zai was shown the credential 'other key'"),
        ({"token": ""}, "zai was shown the credential ''"),
        ({"secrets": frozenset({"zai", "kimi"})}, "zai was shown a secret of kimi"),
        ({"thoughts": frozenset({"zai", "kimi"})}, "zai was shown the thinking of kimi"),
        ({"calls": (Call("kimi", "functions.Bash:0"),)}, "zai was shown the tool id functions.Bash:0 of kimi"),
        ({"calls": (Call("zai", "gw1-zai--abc"),)}, "zai is shown its own tool id as gw1-zai--abc"),
    ],
)
def test_what_a_provider_must_not_see(seen: dict[str, Any], words: str) -> None:
    assert any(words in wrong for wrong in verdict(asked(), served(**seen), keys={"zai": frozenset({"key"})}))


def test_what_a_provider_may_see() -> None:
    calls = (Call("zai", "toolu_1"), Call("kimi", "gw1-kimi--abc"))
    seen = served(secrets=frozenset({"zai"}), thoughts=frozenset({"zai"}), calls=calls)
    assert verdict(asked(), seen, keys={"zai": frozenset({"key"})}) == []


STOP = Stop(told=12.0, ended=18.0, up=20.0)
REFUSAL = b'{"type":"error","error":{"type":"overloaded_error","message":"%b"}}' % STOPPING


def test_what_ran_when_the_gateway_was_stopped() -> None:
    cut = asked(WHOLE[:100], failure="reset", started=10.0, ended=13.0)
    assert verdict(cut, stops=[STOP]) == []
    assert any("no answer" in wrong for wrong in verdict(cut, stops=[STOP], drain=5.0))
    whole = asked(started=10.0, ended=13.0)
    assert verdict(whole, words=(PLAN,), stops=[STOP]) == []
    assert any("closed 0 times" in wrong for wrong in verdict(whole, words=(PLAN,), stops=[STOP], drain=5.0))


def test_nobody_listens() -> None:
    refused = asked(b"", status=0, failure=REFUSED, started=19.0, ended=19.1)
    assert verdict(refused, stops=[STOP]) == []
    assert any("no answer" in wrong for wrong in verdict(refused))


def test_a_gateway_that_is_told_to_stop() -> None:
    headers = {"retry-after": "5"}
    refused = asked(REFUSAL, status=503, headers=headers, started=15.0, ended=15.1)
    assert verdict(refused, stops=[STOP]) == []
    assert any("as if the gateway were stopping" in wrong for wrong in verdict(refused))
    late = replace(refused, started=11.0, ended=13.0)
    assert verdict(late, words=(PLAN,), stops=[STOP], drain=5.0) == [], "its head was read late"
    assert any("without a time" in wrong for wrong in verdict(replace(refused, headers={}), stops=[STOP]))
    answered = asked(started=15.0, ended=15.1)
    assert any("answered with 200 by a gateway that was told to stop" in w for w in verdict(answered, stops=[STOP]))
    assert verdict(asked(started=18.5, ended=18.6), stops=[STOP]) == []


def test_the_success_rate() -> None:
    failed = asked(b'{"type":"error","error":{"type":"api_error","message":""}}', status=502, headers={})
    cut, restarted, other = asked(START + TEXT_EVENTS + ERROR), asked(started=11.5, ended=12.5), asked(model="solo")
    rate = success([asked(), failed, cut, restarted, other, asked(hung_up=True)], ["glm"], [STOP])
    assert (rate.asked, rate.served, rate.cut, rate.share) == (3, 1, 1, 0.5)


COUNT = Count(process=1, tasks=10, exchanges=0, clients=1, files=9, memory=90_000_000)


@pytest.mark.parametrize("held", ["tasks", "exchanges", "clients", "files"])
def test_what_is_left_behind(held: str) -> None:
    def more(count: int, **also: int) -> Count:
        return msgspec.structs.replace(COUNT, **{held: getattr(COUNT, held) + count}, **also)

    assert leaks([COUNT, more(100), more(3)]) == []
    assert any(held in wrong for wrong in leaks([COUNT, more(4)]))
    assert any(held in wrong for wrong in leaks([COUNT, more(4, process=2)])), "another process began with that"


def test_memory_is_counted_from_when_a_process_is_warm() -> None:
    sizes = (90, 130, 140, 150, 160, 170, 180, 200)
    counts = [msgspec.structs.replace(COUNT, process=2, memory=size * 1_000_000) for size in sizes]
    assert leaks([COUNT, *counts]) == []
    assert any("memory" in wrong for wrong in leaks([*counts, msgspec.structs.replace(counts[-1], memory=221_000_000)]))


def test_a_probe_that_said_nothing() -> None:
    assert leaks([])


def test_problems_in_the_log() -> None:
    traceback = "[12:00:00.1] oops\nTraceback (most recent call last):\n  File x\nValueError: no\n"
    (wrong,) = log_problems(traceback + "[12:00:01.1] fine\n" + traceback)
    assert "ValueError: no" in wrong
    assert log_problems("[12:00:01.1] fine\n") == []


def test_json_answers() -> None:
    message = {"type": "message", "role": "assistant", "stop_reason": "end_turn", "content": [TEXT, TOOL]}
    told = read_answer(200, "application/json", json.dumps(message).encode())
    assert told.complete
    assert told.blocks == [TEXT, TOOL]
    assert read_answer(200, "application/json", json.dumps({**message, "stop_reason": None}).encode()).wrong


def test_a_worker_that_was_killed_cuts_answers_and_turns_nobody_away() -> None:
    killed = Stop(told=12.0, ended=12.0, up=14.0, killed=True)
    cut = asked(b"", failure="ConnectionResetError", started=8.0, ended=12.1)
    turned_away = asked(b"", failure=REFUSED, started=12.1, ended=12.2)
    assert verdict(cut, stops=[killed]) == []
    ran = replace(cut, ended=13.0)
    told = Stop(told=12.5, ended=20.0, up=21.0)
    assert verdict(ran, stops=[told], drain=5.0), "it had time to finish"
    assert verdict(ran, stops=[killed, told], drain=5.0) == [], "its worker was killed before"
    assert verdict(turned_away, stops=[killed])
    assert verdict(turned_away, stops=[STOP]) == []
