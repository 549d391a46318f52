"""The live feed: whoever listens gets the truth, and nobody makes the conductor wait or grow."""

import os
import socket
import subprocess
import sys
import tracemalloc

import pytest

from conftest import until
from steadyrun.ramp.feed import Feed, MachineLock, listen

ME = frozenset({os.geteuid()})


@pytest.fixture
def feed():
    made = []

    def make(allowed=ME):
        made.append((f"test-{os.urandom(8).hex()}", allowed))
        made[-1] = (made[-1][0], Feed(made[-1][0], allowed_uids=allowed))
        return made[-1]

    yield make
    for _, each in made:
        each.close()


def connected(run_id):
    """Return a listener that has connected, and its first message."""
    heard = listen(run_id, timeout_s=10.0)
    return heard, next(heard)


def test_who_comes_late_gets_the_record_as_it_is_now(feed):
    run_id, made = feed()
    made.publish_record({"n": 1})
    made.publish_record({"n": 2})
    made.publish("reading", {"at": 1})
    assert connected(run_id)[1] == {"record": {"n": 2}}


def test_every_listener_hears_what_comes_in_order_to_its_end(feed):
    run_id, made = feed()
    made.publish_record(0)
    listeners = [connected(run_id)[0] for _ in range(3)]
    for number in range(1, 6):
        made.publish("reading", number)
    made.publish_record("the last")
    made.close()
    for heard in listeners:
        assert list(heard) == [{"reading": n} for n in range(1, 6)] + [{"record": "the last"}]


def test_a_listener_that_does_not_read_loses_readings_and_no_record(feed):
    run_id, made = feed()
    made.publish_record(0)
    heard, _ = connected(run_id)
    many = 1000
    for number in range(many):
        made.publish("reading", [number, "x" * 10_000])
        if number % 100 == 0:
            made.publish_record(number)
    made.publish_record("the last")
    arrived = []
    for message in heard:
        arrived.append(message)
        if message == {"record": "the last"}:
            break
    assert [m["record"] for m in arrived if "record" in m] == [*range(0, many, 100), "the last"]
    assert 0 < sum("reading" in m for m in arrived) < many


def test_a_listener_that_is_gone_costs_nothing(feed):
    """A closed terminal ends its client; the ramp goes on for hours and publishes on."""
    run_id, made = feed()
    made.publish_record(0)
    heard, _ = connected(run_id)
    heard.close()
    tracemalloc.start()
    try:
        for _ in range(60):
            made.publish_record("x" * 1_000_000)
        assert until(lambda: tracemalloc.get_traced_memory()[0] < 10_000_000, 1.0)
    finally:
        tracemalloc.stop()


def test_a_user_who_may_not_listen_is_turned_away(feed):
    run_id, made = feed(allowed=frozenset({os.geteuid() + 1}))
    made.publish_record("secret")
    assert list(listen(run_id, timeout_s=10.0)) == []


def test_silence_is_told_so_that_the_caller_can_look_elsewhere(feed):
    run_id, made = feed()
    made.publish_record(0)
    heard = listen(run_id, timeout_s=0.01)
    assert next(message for message in heard if message is not None) == {"record": 0}
    assert next(heard) is None


def test_a_feed_that_was_closed_is_not_there_any_more(feed):
    run_id, made = feed()
    made.publish_record(0)
    heard, _ = connected(run_id)  # from here on its thread waits for the next listener
    made.close()
    assert list(heard) == []
    assert until(lambda: is_refused(run_id), 2.0)


def is_refused(run_id):
    try:
        next(listen(run_id, timeout_s=0.0))
    except ConnectionRefusedError:
        return True
    return False


def test_the_feed_of_a_dead_conductor_ends_for_its_listeners():
    run_id = f"test-{os.urandom(8).hex()}"
    code = (
        "import sys; from steadyrun.ramp.feed import Feed\n"
        f"feed = Feed({run_id!r}, allowed_uids=frozenset({{{os.geteuid()}}})); feed.publish_record(1)\n"
        "print(flush=True); sys.stdin.read()"
    )
    conductor = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with conductor:
        conductor.stdout.readline()
        heard, first = connected(run_id)
        assert first == {"record": 1}
        conductor.kill()
        assert list(heard) == []


@pytest.fixture
def lock_class():
    """A lock of this test's own name: a real ramp may hold the real one."""

    class Lock(MachineLock):
        NAME = f"\0steadyrun-test-{os.urandom(8).hex()}"

    return Lock


def test_the_lock_is_taken_once_and_free_again_with_its_holder(lock_class):
    assert lock_class.holder() is None
    held = lock_class()
    with pytest.raises(OSError, match="in use"):
        lock_class()
    held.close()
    lock_class().close()
    assert lock_class.holder() is None


def test_a_lock_that_was_passed_on_is_held_until_the_last_of_both_lets_go(lock_class):
    first = lock_class()
    second = lock_class(os.dup(first.fd))
    first.close()
    assert lock_class.holder() == (os.getpid(), os.geteuid())
    second.close()
    assert lock_class.holder() is None


def test_whoever_asks_is_told_the_holder_however_many_asked_before(lock_class):
    held = lock_class()
    assert [lock_class.holder() for _ in range(50)] == [(os.getpid(), os.geteuid())] * 50
    held.close()


def test_asking_does_not_take_the_lock_away(lock_class):
    held = lock_class()
    lock_class.holder()
    with pytest.raises(OSError, match="in use"), socket.socket(socket.AF_UNIX) as other:
        other.bind(lock_class.NAME)
    held.close()
