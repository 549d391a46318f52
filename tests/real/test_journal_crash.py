"""The journal under what really happens: killed writers, many writers, a full disk."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from journal_values import BOOT, OTHER_BOOT, a_header, a_plan, opened

from steadyrun.journal.recover import plan_recovery
from steadyrun.journal.rows import IntentKind
from steadyrun.journal.store import JOURNAL
from steadyrun.model.codec import encode

pytestmark = pytest.mark.real

UNIT = str(Path(__file__).parents[1] / "unit")
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join([UNIT, *sys.path])}
PREAMBLE = """
import json, os, sys
from journal_values import *
from steadyrun.errors import JournalUnwritableError, SteadyrunError
from steadyrun.journal.rows import IntentKind
from steadyrun.model.record import RunEnd
directory, me = sys.argv[1:3]
def say(value):
    os.write(1, (json.dumps(value) + "\\n").encode())
"""

INTEND_FOR_EVER = """
say("go")
with opened(directory) as journal:
    journal.begin_run(a_header(me))
    say("begun")
    while True:
        number = journal.intend(me, IntentKind.CONTAINMENT, a_plan(me))
        say(number)
        journal.add_samples(me, 1, [(number, 1.0, {"memory": "x" * 500})])
        journal.note(number, a_made(me))
        say([number, "noted"])
        if number % 3 == 0:
            journal.fulfil(number, "removed")
            say([number, "fulfilled"])
"""

SOME_RUNS = """
with opened(directory) as journal:
    set_aside = [f.code for f in journal.findings]
    for turn in range(8):
        run_id = f"{me}-{turn}"
        journal.begin_run(a_header(run_id))
        number = journal.intend(run_id, IntentKind.CONTAINMENT, a_plan(run_id))
        journal.note(number, a_made(run_id))
        journal.add_finding(run_id, a_finding(run_id))
        while True:  # samples wait for a moment alone: their writer comes back
            try:
                journal.add_samples(run_id, 1, [(s, 1.0, {"memory": s}) for s in range(20)])
                break
            except JournalUnwritableError:
                continue
        journal.fulfil(number, "removed")
        journal.end_run(run_id, RunEnd(2.0, 0, "all well"))
say(set_aside)
"""

FILL_THE_DISK = """
import subprocess
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=0700", "tmpfs", directory], check=True)
def fill():
    with open(directory + "/ballast", "ab", buffering=0) as file:
        try:
            while file.write(b"x" * 512):
                pass
        except OSError:
            pass
with open(directory + "/ballast", "wb") as file:
    file.write(b"x" * 300_000)
journal = opened(directory)
journal.begin_run(a_header(me))
written, error = [], None
try:
    for _ in range(5000):
        written.append(journal.intend(me, IntentKind.CONTAINMENT, a_plan("x" * 400)))
except SteadyrunError as caught:
    error = [type(caught).__name__, caught.exit_code, caught.message, caught.hint]
say({"error": error, "kept": [i.id for i in journal.open_intents()] == written, "rows": len(written)})
journal.close()
fill()
try:
    with opened(directory) as journal:
        say({"reopened": [i.id for i in journal.open_intents()] == written})
        journal.begin_run(a_header("more"))
except SteadyrunError as caught:
    say({"refused": [type(caught).__name__, caught.message, caught.hint]})
os.unlink(directory + "/ballast")
with opened(directory) as journal:
    for number in written[:10]:
        journal.fulfil(number, "removed")
    journal.begin_run(a_header("after"))
    say({"after": [r.run_id for r in journal.runs()], "findings": len(journal.findings)})
say({"closed": sorted(os.listdir(directory))})
fill()
with opened(directory) as journal:
    still_open = [i.id for i in journal.open_intents()]
    say({"still": [r.run_id for r in journal.runs()], "open": still_open == written[10:]})
"""


def start(code, directory, me, *, before=()):
    return subprocess.Popen(
        [*before, sys.executable, "-c", PREAMBLE + code, str(directory), me],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
        text=True,
    )


def said(process, timeout=60):
    """Wait for a process that ends by itself and return what it said."""
    try:
        out, err = process.communicate(timeout=timeout)
    finally:
        process.kill()
    assert process.returncode == 0, err
    return [json.loads(line) for line in out.splitlines()]


def killed_after(process, lines, pause):
    """Kill -9 a process a moment after it said so many lines; return all it said."""
    try:
        heard = [process.stdout.readline() for _ in range(lines)]
        time.sleep(pause)
    finally:
        process.kill()
    rest, _ = process.communicate(timeout=30)
    return [json.loads(line) for line in [*heard, *rest.splitlines()] if line.strip()]


def test_what_returned_before_a_kill_is_there_after_it(tmp_path):
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    numbers, noted, fulfilled = set(), set(), set()
    for turn in range(12):
        process = start(INTEND_FOR_EVER, tmp_path, f"w{turn}")
        heard = killed_after(process, chance.randrange(2, 40), chance.uniform(0, 0.003))
        numbers |= {h for h in heard if isinstance(h, int)}
        noted |= {h[0] for h in heard if isinstance(h, list) and h[1] == "noted"}
        fulfilled |= {h[0] for h in heard if isinstance(h, list) and h[1] == "fulfilled"}
        with opened(tmp_path) as journal:
            assert journal.findings == (), f"seed {seed}"
            still = {i.id: i for i in journal.open_intents()}
            assert f"w{turn}" in {r.run_id for r in journal.open_runs()}
        assert not fulfilled & set(still), f"seed {seed}"
        # The last of each writer may have been fulfilled without the writer living to say so.
        missing = numbers - fulfilled - set(still)
        assert all(n % 3 == 0 for n in missing), f"seed {seed}"
        assert len(missing) <= turn + 1, f"seed {seed}"
        assert all(still[n].detail for n in noted & set(still)), f"seed {seed}"
        assert all(i.payload == encode(a_plan(i.run_id)) for i in still.values())
    assert len(numbers) > 12


def test_after_kills_recovery_sees_to_every_open_intent_once(tmp_path):
    for turn in range(3):
        killed_after(start(INTEND_FOR_EVER, tmp_path, f"w{turn}"), 6, 0)
    with opened(tmp_path) as journal:
        open_before = {i.id for i in journal.open_intents()}
        plan = plan_recovery(journal.open_runs(), journal.open_intents(), boot_id=BOOT, alive=frozenset())
        assert {u.intent_id for u in plan.undo} == open_before
        with journal.batch():
            for undo in plan.undo:
                journal.fulfil(undo.intent_id, undo.how)
            for mark in plan.marks:
                journal.mark(mark)
    with opened(tmp_path, OTHER_BOOT) as journal:
        assert journal.open_runs() == ()
        assert journal.open_intents() == ()
        assert {r.exit_code for r in journal.runs()} == {130}


def test_a_kill_while_the_journal_is_made_leaves_one_that_opens(tmp_path):
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    for turn in range(12):
        directory = tmp_path / str(turn)
        directory.mkdir(mode=0o700)
        heard = killed_after(start(INTEND_FOR_EVER, directory, "w"), 1, chance.uniform(0, 0.006))
        with opened(directory) as journal:
            assert journal.findings == (), f"seed {seed}"
            assert len(journal.runs()) >= heard.count("begun"), f"seed {seed}"
            journal.begin_run(a_header("after"))


def test_many_writers_make_and_use_one_journal(tmp_path):
    writers = [start(SOME_RUNS, tmp_path, f"w{n}") for n in range(6)]
    assert [said(w) for w in writers] == [[[]]] * 6
    with opened(tmp_path) as journal:
        runs = journal.runs()
        assert sorted(r.run_id for r in runs) == sorted(f"w{n}-{t}" for n in range(6) for t in range(8))
        assert all(r.ended_wall == 2.0 for r in runs)
        assert journal.open_intents() == ()
        for run in runs:
            assert [f.code for f in journal.record(run.run_id).findings] == [run.run_id]
            assert len(list(journal.samples(run.run_id, 1))) == 20


def test_many_openers_set_a_foreign_file_aside_once(tmp_path):
    (tmp_path / JOURNAL).write_text("shopping list: milk")
    writers = [start(SOME_RUNS, tmp_path, f"w{n}") for n in range(5)]
    heard = [said(w)[0] for w in writers]
    assert sorted(heard) == [[]] * 4 + [["journal-set-aside"]]
    kept = [n for n in os.listdir(tmp_path) if ".set-aside-" in n]
    assert [(tmp_path / n).read_text() for n in kept] == ["shopping list: milk"]
    with opened(tmp_path) as journal:
        assert len(journal.runs()) == 40


def test_two_journals_open_at_once_see_each_others_rows_after_each_commit(tmp_path):
    with opened(tmp_path) as one, opened(tmp_path) as other:
        one.begin_run(a_header("r1"))
        number = other.intend("r1", IntentKind.CONTAINMENT, a_plan())
        assert [i.id for i in one.open_intents()] == [number]
        one.fulfil(number, "removed")
        assert other.open_intents() == ()


def test_a_second_opening_in_one_process_keeps_the_locks_of_the_first(tmp_path):
    with opened(tmp_path) as one:
        one.begin_run(a_header("r1"))
        opened(tmp_path).close()
        said(start(SOME_RUNS, tmp_path, "w"))
        # A process that saw no lock would have taken itself for the last one and deleted the log.
        assert (tmp_path / (JOURNAL + "-wal")).exists()
        one.begin_run(a_header("r2"))
    with opened(tmp_path) as journal:
        assert {"r1", "r2", "w-0"} <= {r.run_id for r in journal.runs()}


def private_mounts():
    """Return what to put before a command so that it mounts for itself alone; skip where that fails."""
    unshare = shutil.which("unshare")
    if unshare is None:
        pytest.skip("unshare(1) is not installed: no disk of our own can be filled")
    before = (unshare, "--mount", "--propagation", "private")
    tried = subprocess.run(
        [*before, "mount", "-t", "tmpfs", "tmpfs", "/mnt"], check=False, capture_output=True, text=True
    )
    if tried.returncode != 0:
        pytest.skip(f"cannot mount in a namespace of our own: {tried.stderr.strip()}")
    return before


def test_a_full_disk_is_told_with_its_directory_and_loses_nothing_that_was_written(tmp_path):
    directory = tmp_path / "small"
    directory.mkdir(mode=0o700)
    heard = said(start(FILL_THE_DISK, directory, "w", before=private_mounts()))
    full, reopened, *refused, after, closed, still = heard
    name, code, message, hint = full["error"]
    assert (name, code, hint) == ("JournalUnwritableError", 74, f"df -h {directory}")
    assert message.startswith(f"{directory}: expected")
    assert full["kept"]
    assert full["rows"] > 20
    assert reopened == {"reopened": True}
    assert [r["refused"][0] for r in refused] == ["JournalUnwritableError"]
    assert after == {"after": ["after", "w"], "findings": 0}
    # Recovery has to read what is open although there is no room for SQLite's own files.
    assert closed == {"closed": ["journal.db", "journal.lock"]}
    assert still == {"still": ["after", "w"], "open": True}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become nobody")
def test_a_directory_that_cannot_be_written_is_told(tmp_path):
    with opened(tmp_path) as journal:
        journal.begin_run(a_header())
    become_nobody = "import os; os.setgid(65534); os.setuid(65534)\n"
    code = become_nobody + "try: opened(directory)\nexcept SteadyrunError as e: say([e.exit_code, e.hint])"
    for parent in (tmp_path, *tmp_path.parents):
        if os.stat(parent).st_uid == os.geteuid() and parent != Path("/tmp") and len(parent.parts) > 2:
            parent.chmod(0o755)
    assert said(start(code, tmp_path, "w")) == [[74, f"ls -ld {tmp_path}"]]
