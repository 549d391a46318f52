"""Recovery and what is still there: every leftover is ended, and an intent is closed only when it is gone."""

import pytest
from journal_values import BOOT, a_header, a_plan, opened

from steadyrun.errors import JournalUnwritableError, SteadyrunError
from steadyrun.journal.rows import IntentKind
from steadyrun.recovery import clean_up, undo
from steadyrun.units import Seconds


class Busy:
    """A containment that nothing ends, or one that a kill does."""

    def __init__(self, *, dies):
        self.dies, self.alive = dies, True

    def kill(self):
        self.alive = not self.dies

    def pids(self):
        return (1,) if self.alive else ()

    def remove(self):
        return not self.alive

    def close(self):
        pass


class Backend:
    def __init__(self, containment):
        self.containment = containment

    def reopen_planned(self, _plan):
        return self.containment if self.containment.alive else None


@pytest.mark.parametrize(("dies", "said"), [(True, "ended by steadyrun"), (False, None)])
def test_what_is_still_there_has_no_end_for_the_journal(monkeypatch, dies, said):
    monkeypatch.setattr(undo, "KILL_WITHIN", Seconds(0.05))
    backend = Backend(Busy(dies=dies))
    assert undo.end_containment(backend, a_plan(), None, patience=Seconds(0)) == said


@pytest.fixture
def leftovers(tmp_path, monkeypatch):
    """Leave a journal with three containments of a run whose owner is gone; give it and what was ended."""
    ended = []

    def end(each):
        ended.append(each.intent_id)
        return "ended 1 processes that were left"

    monkeypatch.setattr(clean_up, "_undo", end)
    with opened(tmp_path) as journal:
        journal.begin_run(a_header("r0", boot_id=BOOT, pid=2**22 - 3))
        for _ in range(3):
            journal.intend("r0", IntentKind.CONTAINMENT, a_plan())
        yield journal, ended


def test_a_disk_that_takes_no_word_of_it_keeps_no_leftover_alive(leftovers, monkeypatch):
    journal, ended = leftovers

    def full(*_):
        raise JournalUnwritableError("database or disk is full")

    monkeypatch.setattr(journal, "fulfil", full)
    with pytest.raises(JournalUnwritableError, match="full"):
        clean_up.recover(journal)
    assert len(ended) == 3


def test_one_that_cannot_be_ended_is_tried_again_and_the_others_are_not(leftovers, monkeypatch):
    journal, _ = leftovers
    first = journal.open_intents()[0].id

    def end(each):
        if each.intent_id == first:
            raise SteadyrunError("its containment is still busy")
        return ""

    monkeypatch.setattr(clean_up, "_undo", end)
    assert len(clean_up.recover(journal).failed) == 1
    assert [intent.id for intent in journal.open_intents()] == [first]
