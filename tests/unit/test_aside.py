import os
import threading

from steadyrun.run import aside
from steadyrun.run.aside import MOST_KEPT, Aside


class Reader:
    """Somebody who reads only when the test lets them."""

    def __init__(self):
        self.may_read = threading.Event()
        self.busy = threading.Event()
        self.heard = []

    def hear(self, line):
        self.busy.set()
        assert self.may_read.wait(20)
        self.heard.append(line)


def test_a_reader_that_does_not_read_holds_nobody_up_and_hears_it_all_in_order_in_the_end():
    reader = Reader()
    speaker = Aside(reader.hear)
    for number in range(5):
        speaker.say(f"line {number}")
    assert reader.busy.wait(10)
    assert reader.heard == []
    reader.may_read.set()
    speaker.finish()
    assert reader.heard == [f"line {number}" for number in range(5)]


def test_what_is_said_after_a_silence_is_heard_as_well():
    reader = Reader()
    reader.may_read.set()
    speaker = Aside(reader.hear)
    for number in range(200):
        speaker.say(str(number))
        if number % 20 == 0:
            speaker.finish()
    speaker.finish()
    assert reader.heard == [str(number) for number in range(200)]


def test_the_oldest_lines_make_room_and_their_number_is_told():
    reader = Reader()
    speaker = Aside(reader.hear)
    speaker.say("first")
    assert reader.busy.wait(10)
    for number in range(MOST_KEPT + 7):
        speaker.say(str(number))
    reader.may_read.set()
    speaker.finish()
    assert reader.heard[:3] == ["first", "7 earlier messages were left out: nobody read them", "7"]
    assert reader.heard[-1] == str(MOST_KEPT + 6)


def test_without_a_thread_to_be_had_it_is_said_at_the_end(monkeypatch):
    def refuse(*_):
        raise RuntimeError("can't start new thread")

    reader = Reader()
    reader.may_read.set()
    monkeypatch.setattr(aside._thread, "start_new_thread", refuse)
    speaker = Aside(reader.hear)
    speaker.say("one")
    speaker.say("two")
    assert reader.heard == []
    speaker.finish()
    assert reader.heard == ["one", "two"]


def test_a_line_that_cannot_be_said_does_not_keep_back_the_next():
    heard = []

    def hear(line):
        if line == "bad":
            raise ValueError(line)
        heard.append(line)

    speaker = Aside(hear)
    for line in ("bad", "good"):
        speaker.say(line)
    speaker.finish()
    assert heard == ["good"]


def test_nothing_said_is_no_thread():
    before = set(os.listdir("/proc/self/task"))
    Aside(print).finish()
    assert set(os.listdir("/proc/self/task")) <= before
