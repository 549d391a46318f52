"""How a probed thing fared, in words: a loss says between which two looks it was."""

from steadyrun.model.desktop import DesktopView, Probe, ProbeName, Seen
from steadyrun.report.figures import Clock, zone_of
from steadyrun.report.lines import probe_words
from steadyrun.units import Seconds

CLOCK = Clock(zone_of("UTC"), 0.0)
SESSION = ProbeName.SESSION


def a_view(wall, identity, seen=Seen.PRESENT, name=SESSION):
    return "boot", DesktopView(Seconds(wall), (Probe(name, seen, identity, "c2", None, None, "said"),))


def test_a_session_that_ended_says_between_which_looks():
    views = [a_view(10, "a"), a_view(15, "a"), a_view(20, None, Seen.ABSENT), a_view(25, None, Seen.ABSENT)]
    assert probe_words(views, SESSION, CLOCK) == (
        "❌ session ended: once in 4 looks, between 00:00:15 and 00:00:20 UTC"
    )


def test_a_look_that_could_not_tell_does_not_move_the_time():
    views = [a_view(10, "a"), a_view(15, None, Seen.UNKNOWN), a_view(20, None, Seen.ABSENT)]
    assert "between 00:00:10 and 00:00:20 UTC" in probe_words(views, SESSION, CLOCK)


def test_another_one_is_restarted_not_ended():
    words = probe_words([a_view(10, "a"), a_view(15, "b")], SESSION, CLOCK)
    assert words.startswith("❌ restarted or lost: once in 2 looks, between 00:00:10 and 00:00:15")


def test_what_is_no_session_is_never_called_one():
    name = ProbeName.SSH
    views = [a_view(10, "a", name=name), a_view(15, None, Seen.ABSENT, name)]
    assert probe_words(views, name, CLOCK).startswith("❌ restarted or lost")
