import os
import re

from steadyrun.guard.killing import NEWS_EVERY, STUCK_AFTER, Killing, stuck
from steadyrun.units import Seconds


def test_a_kill_is_news_once_and_again_only_when_another_number_is_left():
    kill = Killing()
    assert kill.news(100.0)
    seen = []
    for step in range(1, 1200):
        now = 100.0 + step * 0.05
        kill.look(now, (7, 8) if now < 130.0 else (7,))
        if kill.news(now):
            seen.append(now)
    assert seen == [130.0]


def test_a_number_that_changes_all_the_time_is_news_once_a_second():
    kill = Killing()
    count = 0
    for step in range(1000):
        kill.look(step * 0.01, tuple(range(1, 2 + step)))
        count += kill.news(step * 0.01)
    assert 2 <= count <= 10.0 / NEWS_EVERY + 1


def test_who_does_not_die_is_named_once_and_not_before_its_time():
    kill, me = Killing(), os.getpid()
    assert kill.look(50.0, (me,)) is None
    assert kill.news(100.0)
    assert kill.look(100.0 + STUCK_AFTER - 0.1, (me,)) is None
    assert kill.look(100.0 + STUCK_AFTER, ()) is None
    finding = kill.look(100.0 + STUCK_AFTER, (me,))
    assert f"{me} (R, " in finding.title
    assert "10 s" in finding.title
    assert kill.look(200.0, (me,)) is None


def test_of_many_that_do_not_die_a_few_are_named():
    finding = stuck((os.getpid(), *range(2**22 + 1, 2**22 + 9)), Seconds(10.0))
    assert finding.title.count("(") == 5
    assert "and 4 more" in finding.title
    assert "(unknown)" in finding.title


def test_who_is_not_ours_to_kill_is_told_from_who_waits():
    read_end, write_end = os.pipe()
    asker = os.fork()
    if asker == 0:
        try:
            if os.geteuid() == 0:
                os.setresuid(65534, 65534, 65534)
            os.write(write_end, stuck((1, os.getpid()), Seconds(10.0)).title.encode())
        finally:
            os._exit(0)
    os.waitpid(asker, 0)
    title = os.read(read_end, 4096).decode()
    os.close(read_end)
    os.close(write_end)
    assert re.search(r"\b1 \(\w, [^)]*, not ours to kill\)", title)
    assert re.search(rf"\b{asker} \(R, \w+\)", title)
