"""The benchmark's own parts, and all of it once with next to nothing to do."""

import json
import math
from dataclasses import replace
from itertools import pairwise

import pytest

from tests.bench.__main__ import bench, machine, report
from tests.bench.contenders import BARE, DIRECT, GATEWAY, POOL, Contender
from tests.bench.conversation import TOOLS, conversation
from tests.bench.figures import Figure, figures, limits_cost, number, spread, table, verdicts
from tests.bench.http_client import ResponseParser
from tests.bench.profile import shares
from tests.bench.rounds import SIZES, Plan, Results, Sample, load, measure, rotated, task
from tests.bench.server import Server
from tests.bench.session import Script, Session

TINY = Plan(
    rounds=1,
    requests=3,
    seconds=0.2,
    warm_up=0.05,
    sizes=("200 KB",),
    connections=(16,),
    streams=(2,),
    stream_window=0.4,
    new_streams=((4, 10),),
    turns=1,
    starts=1,
)


@pytest.mark.parametrize("size", SIZES.values())
def test_a_conversation_has_the_size_that_was_asked_for(size):
    assert len(conversation(size, model="glm", signed_by="gw1.zai.")) == pytest.approx(size, rel=0.01)


def test_a_conversation_is_what_claude_code_sends():
    body = json.loads(conversation(200_000, model="glm", signed_by="gw1.zai."))
    assert [tool["name"] for tool in body["tools"]] == list(TOOLS)
    assert [block.get("cache_control") for block in body["system"]] == [None, *[{"type": "ephemeral"}] * 2]
    roles = [message["role"] for message in body["messages"]]
    assert roles == ["user", "assistant"] * (len(roles) // 2) + ["user"]
    for asked, answered in zip(body["messages"][1::2], body["messages"][2::2], strict=True):
        thinking, text, call = asked["content"]
        assert thinking["signature"].startswith("gw1.zai.")
        assert text["type"] == "text"
        assert [result["tool_use_id"] for result in answered["content"]] == [call["id"]]


def test_a_conversation_is_always_the_same():
    assert conversation(20_000, model="glm") == conversation(20_000, model="glm")
    assert conversation(20_000, model="glm") != conversation(20_000, model="glm", seed=2)


@pytest.mark.parametrize("size", SIZES.values())
def test_a_session_grows_by_a_turn_with_each_request(size):
    session = Session(Script(size, model="glm", signed_by="gw1.zai."), 3)
    bodies = [session.body() for _ in range(40)]
    assert all(0.7 * size < len(body) < 1.3 * size for body in bodies)
    requests = [json.loads(body) for body in bodies]
    marked = [json.dumps(message["content"]).count('"cache_control"') for message in requests[1]["messages"]]
    assert marked == [1, *[0] * (len(marked) - 2), 1]
    for before, after in pairwise(requests):
        before, after = before["messages"], after["messages"]
        if len(after) == len(before) + 2:
            assert after[: len(before) - 1] == before[:-1]
        else:
            assert after[0] != before[0]
            assert len(after) <= len(before)


def test_no_two_sessions_have_the_same_first_message():
    script = Script(200_000, model="glm")
    first = [json.loads(Session(script, number).body())["messages"][0] for number in range(3)]
    assert first[0] != first[1] != first[2] != first[0]


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello world",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n6\r\nhello \r\n5\r\nworld\r\n0\r\n\r\n",
    ],
)
def test_an_answer_is_read_in_any_two_pieces(raw):
    for cut in range(1, len(raw)):
        answer = ResponseParser()
        first, was_complete, rest = answer.feed(raw[:cut]), answer.complete, answer.feed(raw[cut:])
        assert (first + rest, was_complete, answer.complete) == (b"hello world", False, True)
        assert answer.status == 200


def test_an_answer_that_only_the_connection_ends_is_refused():
    with pytest.raises(ValueError, match="unknown length"):
        ResponseParser().feed(b"HTTP/1.1 200 OK\r\n\r\nhello")


def test_a_ratio_is_taken_round_by_round():
    row = Figure("x", "req/s", {GATEWAY: [10, 40, 30, math.nan], BARE: [10, 20, 10, 5]})
    assert row.ratios() == [1, 2, 3]
    assert row.middle(GATEWAY) == 30
    assert row.middle("nobody") is None


def test_the_spread_stands_beside_the_median():
    assert spread([2.0, 1.005, 512]) == "2 (1.00–512)"
    assert spread([0.123]) == "0.12"
    assert spread([math.nan]) == "–"
    assert [number(value) for value in (12345.6, 12.34, 0)] == ["12,346", "12.3", "0"]


def results(**rates: tuple[float, float]) -> Results:
    measured = Results(start={BARE: [1.0], GATEWAY: [1.5]}, memory={BARE: 100.0, GATEWAY: 119.0})
    for contender, latency in ((DIRECT, 1.0), (BARE, 3.0), (GATEWAY, 3.2)):
        measured.cells["sequence", "2 KB", contender] = [{"latency": {"p50": latency}, "errors": {}}]
    for detail, (bare, gateway) in rates.items():
        measured.cells["loop", detail, BARE] = [{"rate": bare, "errors": {}}]
        measured.cells["loop", detail, GATEWAY] = [{"rate": gateway, "errors": {"HTTP 500": 2}}]
    return measured


def test_a_target_is_met_or_not():
    measured = results(**{"200 KB × 1": (100, 200), "200 KB × 16": (100, 150), "1 MB × 1": (10, 20)})
    said = {line[14:].partition(":")[0]: line for line in verdicts(figures(measured))}
    assert said["added latency of 2 KB"] == "met           added latency of 2 KB: at most 1.15×, is 1.10×"
    assert said["requests per second of 200 KB"].startswith("NOT MET")  # one of two is not enough
    assert "2.00× (200 KB × 1), 1.50× (200 KB × 16)" in said["requests per second of 200 KB"]
    assert said["requests per second of 1 MB"].startswith("met")
    assert said["requests per second of 2 KB"].startswith("not measured")
    assert said["peak memory"].startswith("met")
    assert said["start-up"].startswith("NOT MET")


def test_a_stream_that_starves_is_told():
    measured = results()
    for count, verdict in ((0, "met"), (3, "NOT MET")):
        measured.cells["streams", "200", GATEWAY] = [{"starved": 0, "errors": {}}, {"starved": count, "errors": {}}]
        assert verdicts(figures(measured))[-1].startswith(verdict)


def test_what_limits_cost_is_the_median_of_pairs():
    def sample(latency: float, rate: float, cpu: float) -> Sample:
        return {"latency": {"p50": latency}, "rate": rate, "cpu": cpu, "requests": 1000, "errors": {}}

    measured = Results()
    for slow in (1, 5, 2):
        pair = sample(slow, 100 / slow, slow), sample(slow * 1.02, 99 / slow, slow * 1.01)
        measured.pairs["2 KB × 1"].append(pair)
        measured.pairs["2 KB × 16"].append(pair)
    said = limits_cost(measured)
    assert said.startswith("met ") and "latency 1.020×" in said and "requests/s 0.990×" in said
    measured.pairs["2 KB × 16"] = [(sample(1, 100, 1), sample(1, 90, 1))]
    assert limits_cost(measured).startswith("NOT MET")
    assert limits_cost(Results()).startswith("not measured")


def test_errors_are_told():
    assert results(**{"1 MB × 1": (1, 1)}).problems() == [f"{GATEWAY}, 1 MB × 1: HTTP 500 (2 times)"]


def test_a_contender_that_does_not_start_is_left_out(tmp_path):
    broken = Contender("broken", 1, Server(command=["/bin/sh", "-c", "echo no port"], port=1, directory=tmp_path))
    measured = measure(replace(TINY, rounds=0), [broken], broken, lambda what: None)
    assert "no port" in measured.problems()[0]
    assert figures(measured)


def test_nobody_there_is_an_error_of_the_task():
    nobody = Contender("nobody", 1)
    assert load(task(nobody, "loop", "2 KB", seconds=1.0)).errors == {"no connection": 1}


def test_the_lines_of_the_table_are_of_one_length():
    rows = figures(results(**{"2 KB × 1": (1000, 900)}))
    lines = table(rows, [DIRECT, BARE, GATEWAY]).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert "| 2 KB × 1 (req/s)         |      – |         1,000 |     900 |          0.90× |" in lines


def test_every_contender_begins_a_round():
    assert [rotated("abc", by) for by in (0, 1, 5)] == [list("abc"), list("bca"), list("cab")]
    assert rotated([], 1) == []


def test_a_profile_says_who_spends_the_time():
    loop = "BaseEventLoop._run_once (asyncio/base_events.py:1)"
    stacks = f"{loop};read (/x/site-packages/b/c.py:7) 3\n{loop};write (d.py) 1\nStore.run (e.py:1);wait (f.py) 9\n"
    assert shares(stacks).splitlines()[1:] == [" 75.0%  75.0%  read (b/c.py)", " 25.0%  25.0%  write (d.py)"]


def test_the_whole_tool():
    before = machine()
    measured, _ = bench(TINY)
    assert measured.problems() == []
    rows = {row.label: row for row in figures(measured)}
    for contender in (BARE, GATEWAY):
        for label, row in rows.items():
            if not label.startswith("added") and not label.endswith(("starved", "p50", "p99", "max")):
                assert (row.middle(contender) or 0) > 0, (contender, label)
    assert measured.cells["loop", "200 KB × 16", POOL][0]["rate"] > 0
    assert len(measured.cells["streams", "2", DIRECT][0]["delay"]) == 3
    assert "at most 3 %, 1 turns: latency " in limits_cost(measured)
    json.dumps(measured.as_json())
    assert "targets" in report(list(rows.values()), measured.problems(), before)
