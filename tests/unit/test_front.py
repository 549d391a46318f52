"""A `run` that is ended while it gets its command ready ends as it was asked to."""

import os
import signal

import pytest

from steadyrun.errors import ContainmentFailedError, EndedBeforeStartError
from steadyrun.run.front import guard_in_front

LOST = ContainmentFailedError("the keeper ended as soon as it was started")


def fails_after(number):
    def make_hold(_streams):
        if number is not None:
            os.kill(os.getpid(), number)
        raise LOST

    return make_hold


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_what_a_signal_to_the_whole_group_broke_is_told_as_that_signal(number):
    with pytest.raises(EndedBeforeStartError) as ended:
        guard_in_front(fails_after(number), lambda hold: None, lambda event: None)
    assert ended.value.signal == number


def test_without_one_it_is_told_as_what_it_is_and_so_with_one_that_ends_nothing():
    for number in (None, signal.SIGCONT):
        with pytest.raises(ContainmentFailedError) as failed:
            guard_in_front(fails_after(number), lambda hold: None, lambda event: None)
        assert failed.value is LOST
