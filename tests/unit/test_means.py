"""What a guard had to go by: counted look by look, said with what was unknown, never left out."""

import pytest
from readings import frames, psi, reading

from steadyrun.guard.means import Looks, deeds_of, known_in
from steadyrun.model.codec import decode, encode
from steadyrun.model.containment import BackendName, Capability
from steadyrun.model.means import DEEDS, Known, Means, Priority
from steadyrun.report.means import DEED_WORDS, SENSES, deed_words, means_lines, priority_words, sense_words

ALL = frozenset(Capability)
SEEN = {"psi_memory": psi(), "psi_io": psi(), "scanned_pages": 1, "stolen_pages": 1}
WHOLE = reading(host=SEEN, frames=frames(), protected=[("ssh.service", 0.0, 0.0)], psi_memory=psi())


def looked(*readings, deeds=(), priority=None):
    looks = Looks(deeds, priority)
    for each in readings:
        looks.take(each)
    return looks.means()


def test_every_input_and_every_deed_has_its_words():
    assert tuple(SENSES) == Known._fields
    assert set(DEED_WORDS) == set(DEEDS)


def test_a_whole_reading_knows_everything_and_an_empty_one_nothing():
    assert known_in(WHOLE) == (True,) * len(Known._fields)
    unread = {"swap_free": None}
    empty = reading(available=None, host=unread, memory=None, io_read=None)
    assert not any(known_in(empty))


@pytest.mark.parametrize("name", Known._fields)
def test_one_input_that_is_missing_is_missed_alone(name):
    lacks = {
        "mem_available": {"available": None},
        "psi_memory": {"host": SEEN | {"psi_memory": None}},
        "psi_io": {"host": SEEN | {"psi_io": None}},
        "protected": {"protected": ()},
        "frames": {"frames": None},
        "reclaim": {"host": SEEN | {"stolen_pages": None}},
        "swap": {"host": SEEN | {"swap_out_pages": None}},
        "load_memory": {"memory": None},
        "load_psi_memory": {"psi_memory": None},
        "load_io": {"io_write": None},
    }
    whole = {
        "host": SEEN, "frames": frames(), "psi_memory": psi(), "protected": [("ssh.service", 0.0, 0.0)],
    }  # fmt: skip
    known = Known(*known_in(reading(**(whole | lacks[name]))))
    assert [field for field in Known._fields if not getattr(known, field)] == [name]


def test_what_was_never_known_is_called_unknown_and_what_was_lost_is_counted():
    lost = WHOLE._replace(frames=None)
    said = sense_words(looked(WHOLE, lost, lost, lost))
    assert "memory pressure of protected groups (ssh.service)" in said
    assert said.endswith("; unknown, which fires nothing: the canary's frames (at 3 of 4 looks)")
    never = sense_words(looked(lost, lost))
    assert never.endswith("; unknown, which fires nothing: the canary's frames")


def test_groups_that_are_found_once_the_load_runs_count_as_known():
    assert "unknown" not in sense_words(looked(WHOLE._replace(protected=()), WHOLE, WHOLE))


def test_no_look_at_all_is_nothing_known():
    assert sense_words(looked()).startswith("nothing; unknown, which fires nothing: available memory")


def test_a_load_that_may_not_swap_is_not_throttled_and_a_leaf_has_no_weight_of_its_own():
    assert deeds_of(BackendName.CGROUP2, ALL) == DEEDS
    assert Capability.MEMORY_HIGH not in deeds_of(BackendName.CGROUP2, ALL, throttles=False)
    lost = set(DEEDS) - set(deeds_of(BackendName.SYSTEMD, ALL))
    assert lost == {Capability.CPU_WEIGHT, Capability.IO_WEIGHT}


def test_polling_stops_a_load_and_says_what_it_has_not():
    deeds = deeds_of(BackendName.POLL, frozenset({Capability.FREEZE}))
    assert deed_words(deeds).startswith("freeze; not: CPU quota, CPU weight")
    assert "a kill that no fork outruns" in deed_words(deeds)


@pytest.mark.parametrize(
    ("priority", "words"),
    [
        (Priority(True, True, -900, 0), "ran in real time (SCHED_FIFO 1), memory locked, OOM score -900"),
        (Priority(False, False, 0, -20), "ran not in real time, nice -20, memory not locked, OOM score 0"),
        (Priority(False, False, None),
         "ran not in real time, nice unknown, memory not locked, OOM score unchanged"),
        (None, "what was granted to it is unknown"),
    ],
)  # fmt: skip
def test_what_was_granted_is_said_as_it_is(priority, words):
    assert priority_words(priority) == words


def test_a_record_of_an_older_version_says_nothing_about_it():
    assert means_lines(None) == ()


def test_it_goes_through_the_journal_unchanged():
    means = looked(WHOLE, deeds=DEEDS, priority=Priority(True, False, None, 0))
    assert decode(Means, encode(means)) == means
