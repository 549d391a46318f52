"""What a backend hears of a load before it is made, and whom a signal to the load reaches."""

import os
import signal

import pytest

from conftest import until
from steadyrun.contain.fake import FakeBackend
from steadyrun.guard.hold import Hold, Streams, prepare
from steadyrun.model.limits import Limits
from steadyrun.model.plan import Member, RunAs


class HeardError(Exception):
    """Ends the preparation."""


class Hears:
    """A backend that takes down its limits and makes nothing."""

    def create(self, plan, *, limits):
        raise HeardError(limits)


@pytest.mark.parametrize(("new_session", "wall_time"), [(True, 10.0), (False, None)])
def test_the_wall_time_is_no_managers_business_where_a_terminal_may_stop_the_load(new_session, wall_time):
    limits = Limits(memory_max=2**26, wall_time=10.0)
    with pytest.raises(HeardError) as heard:
        prepare(Hears(), None, limits, (), Streams(), run_as=None, new_session=new_session)
    assert heard.value.args == (limits._replace(wall_time=wall_time),)


@pytest.fixture
def of_two_users():
    """A hold of two members, of users 65533 and 65534."""
    backend = FakeBackend()
    member = Member(("sleep", "60"), "/", {"PATH": os.defpath})
    plan = backend.plan(f"test-{os.urandom(8).hex()}")
    held = prepare(backend, plan, Limits(), (), Streams(), run_as=None, new_session=False)
    try:
        for uid in (65533, 65534):
            user = RunAs(uid, uid, (), str(uid), "/")
            held.fill((member,), Streams(), run_as=user, new_session=False)
        held.release()
        assert [w.start_error() for w in held.members.values()] == [None, None]
        yield held
    finally:
        held.abandon()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root for processes of two users")
@pytest.mark.parametrize(("deed", "number"), [(Hold.term, signal.SIGTERM), (Hold.kill, signal.SIGKILL)])
def test_a_process_that_is_not_ours_to_signal_keeps_no_other_one_from_its_signal(of_two_users, deed, number):
    theirs, ours = of_two_users.members.values()
    os.seteuid(65534)
    try:
        deed(of_two_users)
    finally:
        os.seteuid(0)
    assert until(lambda: ours.ended_by() == number)
    assert theirs.ended_by() is None


class Watched:
    """Takes down what it is told to be inside, and knows of one that is not."""

    def __init__(self):
        self.inside, self.killed = [], []

    def living(self, own, inside):
        self.inside.append(set(inside))
        return {4711}

    def kill(self, pids):
        self.killed.append(set(pids))


def test_a_kill_knows_what_is_outside_of_the_containment_from_the_listing_it_killed_by():
    backend, outside = FakeBackend(), Watched()
    plan = backend.plan(f"test-{os.urandom(8).hex()}")
    member = Member(("sleep", "60"), "/", {"PATH": os.defpath})
    hold = prepare(
        backend, plan, Limits(), (member,), Streams(), run_as=None, new_session=False, orphans=outside
    )
    try:
        (pid,) = hold.members
        listed, hold.containment.pids = [], lambda: listed.append(1) or ()
        hold.kill()
        assert (outside.inside, outside.killed, listed) == ([{pid}], [{4711}], [])
    finally:
        hold.abandon()


def test_who_survives_are_those_found_living_and_the_members_that_were_not_reaped():
    backend = FakeBackend()
    plan = backend.plan(f"test-{os.urandom(8).hex()}")
    member = Member(("sleep", "60"), "/", {"PATH": os.defpath})
    hold = prepare(backend, plan, Limits(), (member,), Streams(), run_as=None, new_session=False)
    try:
        (pid,) = hold.members
        assert hold.living() == {pid}
        assert hold.survivors({4711}) == tuple(sorted((pid, 4711)))
    finally:
        hold.abandon()
