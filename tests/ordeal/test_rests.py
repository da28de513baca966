"""What rests is not used: each way to use it before its time, and what is none."""

import pytest

from tests.ordeal.rests import THRESHOLD, rest_problems
from tests.ordeal.words import Answered, Away, Back, Failed, Planned, Refused, Started, Target, Used, Word

COOLDOWN = 10.0
ZAI, KIMI = ("zai", "glm-5"), ("kimi", "k2")


def problems(*words: Word) -> list[str]:
    return list(rest_problems(words, COOLDOWN))


def failed(at: float, target: Target = ZAI, kind: str = "dropped", status: int = 502, **more: object) -> Failed:
    return Failed(at=at, target=target, kind=kind, status=status, **more)  # type: ignore[arg-type]


def planned(at: float, *targets: Target) -> Planned:
    return Planned(at=at, marker="a1.r1", targets=targets)


def used(at: float, *, last_resort: bool = False) -> Used:
    return Used(at=at, marker="a1.r2", token="t", last_resort=last_resort)


REFUSED = Refused(at=10.0, marker="a1.r1", token="t", until=15.0)
DOWN = tuple(failed(at, session=f"s{at}") for at in range(THRESHOLD))


def test_a_token_before_its_time() -> None:
    assert problems(REFUSED, used(12.0)) == ["a1.r2: a token is used 3.0 s before its time (refused in a1.r1)"]
    assert problems(Refused(at=9.0, marker="a1.r1", token="t", until=11.0), REFUSED, used(12.0))
    assert problems(REFUSED, Refused(at=10.1, marker="a1.r3", token="t", until=11.0), used(12.0))


def test_a_token_that_may_be_used() -> None:
    assert problems(used(12.0), REFUSED) == [], "it was not known by then"
    assert problems(REFUSED, used(12.0, last_resort=True)) == []
    assert problems(REFUSED, used(15.1)) == []


def test_a_token_that_an_answer_has_shown_to_be_back() -> None:
    assert problems(REFUSED, Answered(at=11.0, target=ZAI, back="t"), used(12.0)) == []
    assert problems(REFUSED, Answered(at=11.0, target=ZAI), used(12.0)), "an answer that was on its way already"
    assert problems(REFUSED, Answered(at=11.0, target=ZAI, back="another"), used(12.0))


def test_a_token_rests_over_a_restart() -> None:
    assert problems(REFUSED, Started(at=11.0), used(12.0))


def test_another_worker_hears_of_a_refusal_within_half_a_second() -> None:
    by = [Used(at=at, process=2, marker="a1.r2", token="t", last_resort=False) for at in (10.2, 10.9)]
    assert problems(REFUSED, by[0]) == []
    assert problems(REFUSED, by[1])


@pytest.mark.parametrize("who", [0, 2])
def test_what_is_known_while_others_are_not_reached_is_heard_when_they_are_again(who: int) -> None:
    by = [Used(at=at, process=2, marker="a1.r2", token="t", last_resort=False) for at in (11.2, 11.9)]
    away, back = Away(at=10.05, process=who), Back(at=11.0, process=who)
    assert problems(REFUSED, away, back, by[0]) == []
    assert problems(REFUSED, away, back, by[1]), "they have been reached for long enough"
    assert problems(REFUSED, Away(at=10.5, process=who), by[0]), "they were still reached"
    assert problems(Away(at=9.0, process=who), Back(at=9.9, process=who), REFUSED, by[0]), "they were reached again"
    assert problems(Away(at=9.9, process=3), REFUSED, by[0]), "somebody else was not"
    own = Used(at=11.2, marker="a1.r2", token="t", last_resort=False)
    assert problems(Away(at=9.9), REFUSED, own), "it has seen it itself"


def test_each_worker_knows_by_itself_who_is_down() -> None:
    down = [failed(at, session=f"s{at}", process=at % 2) for at in range(2 * THRESHOLD)]
    assert problems(*down[:THRESHOLD], planned(5.0, ZAI, KIMI)) == []
    assert problems(*down, planned(5.5, ZAI, KIMI))
    assert problems(*down, Started(at=5.2), planned(5.5, ZAI, KIMI)) == []


@pytest.mark.parametrize("kind", ["dropped", "connect", "invalid", "status", "error event"])
def test_a_provider_that_is_down(kind: str) -> None:
    down = [failed(at, kind=kind) for at in range(THRESHOLD)]
    (wrong,) = problems(*down, planned(5.0, ZAI, KIMI))
    assert wrong == "a1.r1: zai/glm-5 is asked before its time, and before kimi"
    assert problems(*down, planned(5.0, KIMI, ZAI)) == []
    assert problems(*down[1:], planned(5.0, ZAI, KIMI)) == []


def test_a_timeout_is_enough() -> None:
    assert problems(failed(1.0, kind="timeout", status=504), planned(5.0, ZAI, KIMI))


def test_all_models_of_a_provider_are_down() -> None:
    unreachable = [failed(at, kind="connect") for at in range(THRESHOLD)]
    assert problems(*unreachable, planned(5.0, ("zai", "air"), KIMI))
    assert problems(*DOWN, planned(5.0, ("zai", "air"), KIMI)) == [], "another model of it may be fine"


def test_one_session_counts_once_for_the_others() -> None:
    down = [failed(at, session="s1", request=f"r{at}") for at in range(THRESHOLD)]
    assert problems(*down, planned(5.0, ZAI, KIMI)) == []
    assert problems(*down, Planned(at=5.0, marker="a1.r9", targets=(ZAI, KIMI), session="s1"))


def test_in_the_middle_of_the_order() -> None:
    assert problems(*DOWN, planned(5.0, ("openrouter", "m"), ZAI, KIMI))


@pytest.mark.parametrize(
    "up",
    [
        Answered(at=4.0, target=ZAI),
        failed(4.0, kind="status", status=400),
        Started(at=4.0),
        failed(2.0, KIMI, kind="timeout"),
    ],
    ids=["it has answered", "it has answered no", "a new process", "so is the other"],
)
def test_a_provider_that_may_be_asked(up: Word) -> None:
    assert problems(*DOWN, up, planned(5.0, ZAI, KIMI)) == []


def test_what_says_nothing_about_a_provider() -> None:
    aged = [failed(at, aged=True) for at in range(THRESHOLD)]
    skipped = [failed(at, kind="skipped", status=429) for at in range(THRESHOLD)]
    assert problems(*aged, *skipped, planned(5.0, ZAI, KIMI)) == []


def test_a_single_target_is_asked_always() -> None:
    assert problems(*DOWN, planned(5.0, ZAI)) == []


def test_when_the_time_is_over_one_request_finds_out() -> None:
    assert problems(*DOWN, planned(13.0, ZAI, KIMI)) == []
    assert problems(*DOWN, planned(13.0, ZAI, KIMI), planned(14.0, KIMI, ZAI)) == []
    assert problems(*DOWN, planned(13.0, ZAI, KIMI), planned(14.0, ZAI, KIMI))
    assert problems(*DOWN, planned(13.0, ZAI, KIMI), Answered(at=13.5, target=ZAI), planned(14.0, ZAI, KIMI)) == []


def test_one_that_is_over_its_limit_is_asked_where_nothing_else_is_up_and_that_finds_out_as_well() -> None:
    limited, since_when = failed(0.0, kind="status", status=429, wait=15.0), planned(13.0, ZAI, KIMI)
    others = [failed(at, KIMI, session=f"s{at}") for at in (10.0, 11.0, 12.0)]
    assert problems(limited, *DOWN, *others, since_when, planned(17.0, KIMI, ZAI)) == []
    assert problems(limited, *DOWN, *others, planned(17.0, KIMI, ZAI)), "nobody finds out"


def test_nothing_is_said_of_the_moment_itself() -> None:
    assert problems(*DOWN, planned(12.1, ZAI, KIMI)) == []
    assert problems(*DOWN, planned(11.9, ZAI, KIMI), planned(14.0, ZAI, KIMI)) == []


def test_a_model_over_its_limit() -> None:
    limited = failed(1.0, kind="status", status=429)
    assert problems(limited, planned(5.0, ZAI, KIMI)), "for the cooldown"
    assert problems(failed(1.0, kind="error event", status=429, wait=30.0), planned(20.0, ZAI, KIMI))
    assert problems(failed(1.0, kind="status", status=429, wait=2.0), planned(5.0, ZAI, KIMI)) == []
    assert problems(limited, planned(5.0, ("zai", "air"), KIMI)) == [], "another model"
    assert problems(failed(1.0, kind="status", status=429, pooled=True), planned(5.0, ZAI, KIMI)) == [], "a token's"
