"""Recovery, over any journal: everything dead is seen to, nothing alive is touched, and once is enough."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from steadyrun.journal.recover import AttemptMark, RecoveryPlan, RunMark, UndoKind, plan_recovery
from steadyrun.journal.rows import OPEN_STATES, Intent, IntentKind, OpenAttempt, RunRow
from steadyrun.model.codec import encode
from steadyrun.model.containment import BackendName, ContainmentMade, ContainmentPlan
from steadyrun.model.record import RunKind, State
from steadyrun.model.sample import CgroupId
from steadyrun.units import Seconds

RUN_IDS = ("a", "b", "c", "d")
BOOTS = ("boot-1", "boot-2", "")

boots = st.sampled_from(BOOTS)
attempts = st.lists(
    st.builds(OpenAttempt, st.integers(1, 9), st.just("5.2"), boots, st.sampled_from(OPEN_STATES)),
    max_size=3,
    unique_by=lambda a: a.serial,
).map(tuple)
rows = st.builds(
    RunRow,
    run_id=st.sampled_from(RUN_IDS),
    kind=st.sampled_from([*RunKind, None]),
    boot_id=boots,
    pid=st.just(7),
    pid_started=st.just(8),
    started_wall=st.just(Seconds(1.0)),
    ended_wall=st.sampled_from([None, Seconds(2.0)]),
    exit_code=st.none(),
    status=st.just(""),
    open_attempts=attempts,
)
plans = st.builds(
    ContainmentPlan,
    backend=st.sampled_from(BackendName),
    name=st.text(max_size=5),
    parent=st.just("/p"),
    directories=st.just(("/p/x",)),
    kill_file=st.none(),
    freeze_file=st.none(),
    procs_files=st.just(()),
)
payloads = st.one_of(st.none(), st.just({"newer": 1}), plans.map(encode))
details = st.one_of(
    st.none(),
    st.just({"newer": 1}),
    plans.map(lambda plan: encode(ContainmentMade(plan, (CgroupId("/p/x", 5),)))),
)
intents = st.builds(
    Intent,
    id=st.integers(1, 99),
    run_id=st.sampled_from(RUN_IDS),
    boot_id=boots,
    kind=st.sampled_from([*IntentKind, None]),
    payload=payloads,
    wall=st.just(Seconds(1.0)),
    detail=details,
)
journals = st.tuples(
    st.lists(rows, max_size=4, unique_by=lambda r: r.run_id).map(tuple),
    st.lists(intents, max_size=8, unique_by=lambda i: i.id).map(tuple),
)
living = st.frozensets(st.sampled_from(RUN_IDS))


def apply(
    runs: tuple[RunRow, ...], open_intents: tuple[Intent, ...], plan: RecoveryPlan
) -> tuple[tuple[RunRow, ...], tuple[Intent, ...]]:
    """Carry a plan out on the rows, as the journal's `mark` and `fulfil` do."""
    done = {undo.intent_id for undo in plan.undo}
    closed = {(m.run_id, m.serial) for m in plan.marks if isinstance(m, AttemptMark)}
    ended = {m.run_id for m in plan.marks if isinstance(m, RunMark)}
    after = tuple(
        run._replace(
            open_attempts=tuple(a for a in run.open_attempts if (run.run_id, a.serial) not in closed),
            ended_wall=Seconds(3.0) if run.run_id in ended else run.ended_wall,
        )
        for run in runs
    )
    return after, tuple(i for i in open_intents if i.id not in done)


@given(journals, boots, living)
def test_every_open_intent_of_a_dead_run_is_undone_closed_or_told(journal, boot_id, alive):
    runs, open_intents = journal
    plan = plan_recovery(runs, open_intents, boot_id=boot_id, alive=alive)
    dead = {i.id for i in open_intents if i.run_id not in alive}
    undone = [u.intent_id for u in plan.undo]
    told = {int(f.evidence.split()[1].rstrip(":")) for f in plan.findings if f.code == "intent-left-alone"}
    assert len(undone) == len(set(undone))
    assert set(undone) | told == dead
    assert not set(undone) & told


@given(journals, boots, living)
def test_nothing_of_a_living_run_is_touched(journal, boot_id, alive):
    runs, open_intents = journal
    plan = plan_recovery(runs, open_intents, boot_id=boot_id, alive=alive)
    assert not alive & {u.run_id for u in plan.undo}
    assert not alive & {m.run_id for m in plan.marks}


@given(journals, boots, living)
def test_after_it_was_carried_out_nothing_is_left_to_do(journal, boot_id, alive):
    runs, open_intents = journal
    plan = plan_recovery(runs, open_intents, boot_id=boot_id, alive=alive)
    runs, open_intents = apply(runs, open_intents, plan)
    again = plan_recovery(runs, open_intents, boot_id=boot_id, alive=alive)
    assert (again.undo, again.marks) == ((), ())
    assert all(r.ended_wall is not None and not r.open_attempts for r in runs if r.run_id not in alive)


@given(journals, boots, living)
def test_an_undo_that_failed_is_planned_again(journal, boot_id, alive):
    runs, open_intents = journal
    plan = plan_recovery(runs, open_intents, boot_id=boot_id, alive=alive)
    marked, _ = apply(runs, (), plan)
    assert plan_recovery(marked, open_intents, boot_id=boot_id, alive=alive).undo == plan.undo


@given(journals, boots, living)
def test_nothing_is_killed_that_another_boot_made(journal, boot_id, alive):
    runs, open_intents = journal
    by_id = {i.id: i for i in open_intents}
    for undo in plan_recovery(runs, open_intents, boot_id=boot_id, alive=alive).undo:
        if undo.kind in (UndoKind.REMOVE_MADE, UndoKind.REMOVE_PLANNED):
            assert by_id[undo.intent_id].boot_id in (boot_id, "") or not boot_id
            assert undo.plan is not None
        if undo.kind is UndoKind.REMOVE_MADE:
            assert undo.made is not None


@given(journals, boots, living)
def test_a_crash_is_claimed_only_between_two_known_boots(journal, boot_id, alive):
    runs, open_intents = journal
    of = {(r.run_id, a.serial): a.boot_id for r in runs for a in r.open_attempts}
    for mark in plan_recovery(runs, open_intents, boot_id=boot_id, alive=alive).marks:
        if isinstance(mark, AttemptMark):
            theirs = of[mark.run_id, mark.serial]
            crashed = bool(theirs) and bool(boot_id) and theirs != boot_id
            assert mark.state is (State.CRASHED if crashed else State.INTERRUPTED)
