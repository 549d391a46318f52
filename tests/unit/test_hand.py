"""What may wait is done beside the loop: in order, the newest wish alone, and told when it takes too long."""

import threading

import pytest

from conftest import until
from steadyrun.guard.hand import LATE_AFTER, Hand, Wish
from steadyrun.guard.held import Decision
from steadyrun.model.action import Action
from steadyrun.model.limits import Limits, ReadBack


def wish(cause="because", names=("cpu_max",)):
    return Wish(Decision(Action.TIGHTEN, cause, 1), 0.0, Limits(cpu_max=0.5), frozenset(names))


class Kernel:
    """A deed that waits until it is let."""

    def __init__(self):
        self.let, self.asked = threading.Event(), []

    def __call__(self, limits, names):
        self.asked.append(names)
        assert self.let.wait(10)
        return (ReadBack("cpu_max", "0.5", "0.5", "cpu.max", True),)


@pytest.fixture
def kernel():
    made = Kernel()
    yield made
    made.let.set()


def collect(hand, count):
    found = []
    assert until(lambda: found.extend(hand.done()) or len(found) >= count)
    return found


def test_a_wish_is_done_beside_and_its_read_back_is_collected(kernel):
    hand = Hand(kernel)
    hand.wish(wish())
    assert hand.done() == []
    kernel.let.set()
    (done,) = collect(hand, 1)
    assert (done.trouble, done.readback[0].held) == ("", True)
    assert hand.close(5.0)


def test_of_wishes_that_wait_the_newest_alone_is_done_with_what_all_of_them_change(kernel):
    hand = Hand(kernel)
    hand.wish(wish("first"))
    assert until(lambda: kernel.asked)
    hand.wish(wish("second", ["memory_high"]))
    hand.wish(wish("third", ["io_read_bps"]))
    kernel.let.set()
    done = collect(hand, 3)
    assert {d.wish.decision.cause: bool(d.trouble) for d in done} == {
        "first": False,
        "second": True,
        "third": False,
    }
    assert kernel.asked == [{"cpu_max"}, {"memory_high", "io_read_bps"}]


def test_what_takes_too_long_is_told_once(kernel):
    hand = Hand(kernel)
    hand.wish(wish())
    now = hand._since
    assert hand.late(now + LATE_AFTER - 0.1) is None
    assert hand.late(now + LATE_AFTER) is not None
    assert hand.late(now + 2 * LATE_AFTER) is None


def test_a_deed_that_fails_is_trouble_and_the_next_one_is_done():
    def fail(limits, names):
        raise OSError("gone")

    hand = Hand(fail)
    for _ in range(2):
        hand.wish(wish())
        (done,) = collect(hand, 1)
        assert done.trouble == "OSError: gone"
    assert hand.close(5.0)


def test_closing_does_not_wait_longer_than_it_may(kernel):
    hand = Hand(kernel)
    hand.wish(wish())
    assert until(lambda: kernel.asked)
    assert not hand.close(0.05)
    kernel.let.set()
    assert hand.close(5.0)
    assert len(hand.done()) == 1


def test_many_wishes_from_a_loop_are_all_answered():
    hand, answered = Hand(lambda limits, names: ()), 0
    for _ in range(500):
        hand.wish(wish())
        answered += len(hand.done())
    assert hand.close(5.0)
    assert answered + len(hand.done()) == 500
