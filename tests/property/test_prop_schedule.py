"""Whatever the judge says: never above the ceiling, never more after worse, always an end."""

from __future__ import annotations

from evidence import attempt, killed_at_limit, plan
from hypothesis import given
from hypothesis import strategies as st

from steadyrun.model.record import State
from steadyrun.model.verdict import Answer
from steadyrun.ramp.schedule import Finish, RunPhase, most_memory, next_step
from steadyrun.units import GIB, MIB, Bytes

PLANS = st.builds(
    lambda sizes, command, tries: plan(*sorted(sizes), command=command, tries=tries),
    st.lists(st.integers(100, 9000), min_size=1, max_size=6),
    st.booleans(),
    st.integers(1, 6),
)
CEILINGS = st.integers(100, 16_000).map(lambda mib: Bytes(mib * MIB))
JUDGEMENTS = st.tuples(
    st.sampled_from(State), st.sampled_from(Answer), st.sampled_from(Answer), st.booleans()
)
PASS = (State.PASSED, Answer.YES, Answer.YES, False)


def tried(step: RunPhase, judgement):
    state, host, job, killed = judgement
    made = attempt(step.phase, state, host=host, job=job)
    if killed:
        end = killed_at_limit(step.phase).evidence
        made = made._replace(evidence=end)
    return made._replace(limits=step.limits, label=step.label)


def steps(of, ceiling, judgements, carried=()):
    """Carry a ramp out with these judgements, passes after them; yield each step and what it came to."""
    attempts, left = [], list(judgements)
    for _ in range(200):
        step = next_step(of, tuple(attempts), ceiling=ceiling, effective_ram=Bytes(24 * GIB), carried=carried)
        if isinstance(step, Finish):
            yield step, None
            return
        attempts.append(tried(step, left.pop(0) if left else PASS))
        yield step, attempts[-1]
    raise AssertionError("200 steps and no end")


@given(PLANS, CEILINGS, st.lists(JUDGEMENTS, max_size=40))
def test_no_step_is_above_the_ceiling_or_without_a_limit(of, ceiling, judgements):
    for step, _ in steps(of, ceiling, judgements):
        if isinstance(step, RunPhase):
            assert step.limits.memory_max is not None
            assert step.limits.memory_max <= ceiling


@given(PLANS, CEILINGS, st.lists(JUDGEMENTS, max_size=30), st.lists(JUDGEMENTS, max_size=40))
def test_no_step_gets_more_than_is_said_before_the_start(of, ceiling, earlier, judgements):
    carried = tuple(a for _, a in steps(of, ceiling, earlier) if a is not None)
    most = most_memory(of, ceiling=ceiling, effective_ram=Bytes(24 * GIB), carried=carried)
    for step, _ in steps(of, ceiling, judgements, carried):
        assert isinstance(step, Finish) or step.limits.memory_max <= most


@given(PLANS, CEILINGS, JUDGEMENTS)
def test_it_ends_though_the_judge_always_says_the_same(of, ceiling, judgement):
    assert isinstance(list(steps(of, ceiling, [judgement] * 199))[-1][0], Finish)


@given(PLANS, CEILINGS, st.lists(JUDGEMENTS, min_size=60, max_size=150))
def test_it_ends_whatever_the_judge_says(of, ceiling, judgements):
    assert isinstance(list(steps(of, ceiling, judgements))[-1][0], Finish)


@given(PLANS, CEILINGS, st.lists(JUDGEMENTS, max_size=40))
def test_a_machine_that_did_not_hold_is_never_given_more(of, ceiling, judgements):
    before = None
    for step, came_to in steps(of, ceiling, judgements):
        if before is not None and isinstance(step, RunPhase) and before.state is not State.PASSED:
            host_held = before.host.answer in (Answer.YES, Answer.NOT_APPLICABLE)
            if not (before.state is State.FAILED and host_held):
                assert step.limits.memory_max <= before.limits.memory_max
        before = came_to


@given(PLANS, CEILINGS, st.lists(JUDGEMENTS, max_size=30), st.lists(JUDGEMENTS, max_size=30))
def test_a_crash_is_followed_by_less_and_never_reached_again(of, ceiling, earlier, judgements):
    carried = tuple(a for _, a in steps(of, ceiling, earlier) if a is not None)
    crashed = [a.limits.memory_max for a in carried if a.state is State.CRASHED]
    for step, came_to in steps(of, ceiling, judgements, carried):
        if isinstance(step, RunPhase) and crashed:
            assert step.limits.memory_max < min(crashed)
        if came_to is not None and came_to.state is State.CRASHED:
            crashed.append(came_to.limits.memory_max)


@given(PLANS, CEILINGS, st.lists(JUDGEMENTS, max_size=40))
def test_it_is_over_with_0_only_when_every_phase_has_a_pass(of, ceiling, judgements):
    passed = set()
    for step, came_to in steps(of, ceiling, judgements):
        if came_to is not None and came_to.state is State.PASSED:
            passed.add(came_to.phase.number)
        if isinstance(step, Finish) and step.exit_code == 0:
            assert passed == {p.number for p in of.phases}


@given(PLANS, CEILINGS, st.lists(JUDGEMENTS, max_size=20))
def test_the_same_record_gives_the_same_steps(of, ceiling, judgements):
    assert list(steps(of, ceiling, judgements)) == list(steps(of, ceiling, judgements))
