"""The judge on any evidence: worse never becomes better, unknown never becomes yes."""

from __future__ import annotations

from evidence import RESERVE, baseline, evidence, limits, observation, outcome, phase, worst
from hypothesis import given
from hypothesis import strategies as st

from steadyrun.model.codec import decode, encode
from steadyrun.model.outcome import Ending
from steadyrun.model.record import Evidence, State
from steadyrun.model.verdict import Answer
from steadyrun.ramp.judge import judge
from steadyrun.units import GIB, MIB, Bytes

MAYBE_MS = st.none() | st.floats(0, 1000)
OUTCOMES = st.none() | st.builds(
    outcome,
    st.sampled_from(Ending),
    exit_code=st.none() | st.integers(0, 3),
    oom_kills=st.none() | st.integers(0, 2),
    memory_peak=st.none() | st.integers(0, 600).map(lambda mib: Bytes(mib * MIB)),
    survivors=st.none() | st.integers(0, 2),
    removed=st.booleans(),
)
EVIDENCE = st.builds(
    lambda worst_, outcome_, rest, same_boot: evidence(
        worst=worst_,
        outcome=outcome_,
        after=observation() if same_boot else observation(boot_id="other"),
        **rest,
    ),
    st.builds(
        worst,
        frames_p99_ms=MAYBE_MS,
        frames_gap_ms=MAYBE_MS,
        mem_available=st.none() | st.integers(0, 24).map(lambda gib: Bytes(gib * GIB)),
        samples=st.integers(0, 2),
    ),
    OUTCOMES,
    st.fixed_dictionaries(
        {
            "oom_kills_outside": st.none() | st.integers(0, 1),
            "recovery": st.none() | st.floats(0, 200),
            "suspended": st.floats(0, 2),
            "clock_jump": st.floats(-10, 10),
            "work_done": st.none() | st.booleans(),
        }
    ),
    st.booleans(),
)


def judged(seen, *, weak=False):
    return judge(baseline(), phase(), limits(), seen, RESERVE, weak=weak)


@given(EVIDENCE, st.booleans())
def test_a_pass_has_no_check_that_is_no_or_unknown(seen, weak):
    result = judged(seen, weak=weak)
    if result.state is State.PASSED:
        assert not result.host.failed()
        assert not result.job.failed()
    else:
        interrupted = result.state in (State.INVALID, State.STOPPED)
        assert interrupted or result.host.failed() or result.job.failed()


@given(EVIDENCE, st.booleans())
def test_every_check_that_is_not_yes_says_why(seen, weak):
    result = judged(seen, weak=weak)
    for check in (*result.host.checks, *result.job.checks):
        assert check.answer is Answer.YES or check.why


@given(EVIDENCE, st.sampled_from(["oom_kills_outside", "outcome"]))
def test_losing_a_figure_never_makes_a_pass(seen, name):
    blind = seen._replace(**{name: None})
    assert judged(blind).state is not State.PASSED


@given(EVIDENCE, st.floats(0, 500))
def test_later_frames_never_make_a_better_host(seen, more):
    order = [Answer.YES, Answer.UNKNOWN, Answer.NO]
    if seen.worst.frames_p99_ms is None:
        return
    later = seen._replace(worst=seen.worst._replace(frames_p99_ms=seen.worst.frames_p99_ms + more))
    assert order.index(judged(later).host.answer) >= order.index(judged(seen).host.answer)


@given(EVIDENCE, st.booleans())
def test_evidence_from_the_journal_is_judged_the_same(seen, weak):
    again = decode(Evidence, encode(seen))
    assert judged(again, weak=weak) == judged(seen, weak=weak)
