"""What real guards and a real ramp recorded, played again through the pure core: the same decisions.

The files are made by tools/record_replay.py on a real machine; default-ramp.json is the record of a
default ramp, as the journal gave it back.
"""

import json
from pathlib import Path

import pytest

from steadyrun.guard import held as inputs
from steadyrun.guard import machine
from steadyrun.guard.held import Held, Rules, Stage
from steadyrun.model.codec import decode
from steadyrun.model.record import RunRecord
from steadyrun.ramp.judge import judge

FOLDER = Path(__file__).parent
TRACES = sorted(FOLDER.glob("*.jsonl"))


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
        told.update(finding.code for finding in judged.findings)
        assert (judged.state, judged.host, judged.job) == (attempt.state, attempt.host, attempt.job)
        assert (judged.findings, judged.observation) == (attempt.findings, attempt.observation)
