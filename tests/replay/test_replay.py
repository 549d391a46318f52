"""What guards and a ramp recorded, played again through the pure core: the same decisions.

`law/` holds a story for each row of the guard's law, found among the simulation's machines by
simulation/traces.py; `machines/` what guards of real machines passed on, as the journal gave it back:
own-wait is the worst mixture in the testbed with a swap file, up to its third decision (docs/adr/0023).
The others were recorded on a real machine by tools/record_replay.py; the `.jsonl` that stand here are older
than guards that pass on all they decide from: each input has its decisions beside it. default-ramp.json is
the record of a default ramp, as the journal gave it back.
"""

import json
from pathlib import Path

import pytest
from acts import acts_of
from journal_values import a_header, opened
from simulation.again import from_journal, played
from simulation.lines import events_of, lines_of
from simulation.traces import ROWS, holds

from steadyrun.guard import machine
from steadyrun.guard.held import Held, Stage
from steadyrun.guard.law import Level
from steadyrun.model import given as inputs
from steadyrun.model.action import Action
from steadyrun.model.codec import decode, encode, encode_event
from steadyrun.model.event import Acted, Sampled
from steadyrun.model.given import Rules
from steadyrun.model.record import RunRecord
from steadyrun.ramp.findings import told_once
from steadyrun.ramp.judge import judge

FOLDER = Path(__file__).parent
TRACES = sorted(FOLDER.glob("*.jsonl"))
OF_THE_LAW = sorted((FOLDER / "law").glob("*.jsonl"))
OF_MACHINES = sorted((FOLDER / "machines").glob("*.jsonl"))


def play(path):
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    rules, held = decode(Rules, lines[0]["rules"]), Held()
    for line in lines[1:]:
        given = decode(getattr(inputs, line["input"]), line["value"])
        held, decisions = machine.step(held, given, rules)
        yield line, held, [{"action": d.action.value, "cause": d.cause, "seq": d.seq} for d in decisions]


@pytest.mark.parametrize("path", TRACES, ids=lambda path: path.stem)
def test_a_recorded_guard_decides_the_same_again(path):
    last = None
    for line, held, decisions in play(path):
        assert decisions == line["decisions"]
        last = held
    assert last.stage is Stage.OVER


@pytest.mark.parametrize(
    ("name", "actions"),
    [
        ("quiet", ["finish"]),
        ("wall-time", ["thaw", "term"]),
        ("stopped", ["thaw", "term"]),
        ("frozen-then-killed", ["freeze", "kill"]),
    ],
)
def test_each_recording_holds_what_its_name_says(name, actions):
    seen = [d["action"] for _, _, decisions in play(FOLDER / f"{name}.jsonl") for d in decisions]
    assert seen[: len(actions)] == actions
    assert seen[-1] == "finish"


def told_in(path):
    return list(events_of(path.read_text().splitlines()))


def decided(events):
    return acts_of([decision for turn in played(events) for decision in turn.decisions])


@pytest.mark.parametrize("path", [*OF_THE_LAW, *OF_MACHINES], ids=lambda path: path.stem)
def test_what_a_guard_passed_on_decides_the_same_again(path):
    events = told_in(path)
    assert decided(events) == acts_of(event for event in events if isinstance(event, Acted))
    assert "".join(lines_of(events)) == path.read_text()


def test_each_row_of_the_law_has_its_trace():
    assert {path.stem for path in OF_THE_LAW} == set(ROWS)


@pytest.mark.parametrize("path", OF_THE_LAW, ids=lambda path: path.stem)
def test_each_trace_holds_the_row_it_is_named_for(path):
    assert any(holds(ROWS[path.stem], turn) for turn in played(told_in(path)))


@pytest.mark.parametrize("path", OF_THE_LAW, ids=lambda path: path.stem)
def test_what_a_journal_keeps_of_it_decides_the_same_again(path, tmp_path):
    folder, events = tmp_path / "journal", told_in(path)
    folder.mkdir(mode=0o700)
    samples = [event.reading for event in events if isinstance(event, Sampled)]
    others = [event for event in events if not isinstance(event, Sampled)]
    with opened(folder) as journal:
        journal.begin_run(a_header())
        journal.add_samples("r1", 1, [(each.seq, each.host.wall, encode(each)) for each in samples])
        journal.add_events("r1", 1, [(0.0, encode_event(each)) for each in others])
        assert decided(from_journal(journal, "r1", 1)) == decided(events)


def test_a_recorded_ramp_is_judged_the_same_again():
    record = decode(RunRecord, json.loads((FOLDER / "default-ramp.json").read_text()))
    told = set()
    assert len(record.attempts) == 5
    for attempt in record.attempts:
        judged = judge(
            record.baseline,
            attempt.phase,
            attempt.limits,
            attempt.evidence,
            record.header.reserve,
            weak=record.header.weak,
            told=frozenset(told),
        )
        told.update(told_once(finding, weak=record.header.weak) for finding in judged.findings)
        assert (judged.state, judged.host, judged.job) == (attempt.state, attempt.host, attempt.job)
        assert (judged.findings, judged.observation) == (attempt.findings, attempt.observation)


def test_a_load_that_waits_at_its_own_limit_is_tightened_for_late_frames_and_never_frozen():
    """All that runs waits for half of the time, and none of the session does."""
    turns = list(played(told_in(FOLDER / "machines" / "own-wait.jsonl")))
    assert [each.action for turn in turns for each in turn.decisions] == [Action.TIGHTEN] * 3
    found = [turn.judgement() for turn in turns if isinstance(turn.event, Sampled)]
    assert max(each.level for each in found) is Level.YELLOW
    assert sum(each.own for each in found) > len(found) / 2
