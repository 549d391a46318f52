"""The guard's end of its channel: nothing waits, events are never lost, readings may be."""

import json
import os
import select
import socket
from contextlib import contextmanager

import pytest
from readings import reading

from steadyrun.guard.channel import MOST_UNSENT, Channel
from steadyrun.model.action import Action
from steadyrun.model.codec import decode_event, encode_event
from steadyrun.model.event import Acted, Released, Sampled


@pytest.fixture
def ends():
    """The guard's channel, and the conductor's bare socket."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.setblocking(False)
        yield Channel(ours.fileno()), theirs


def act(number):
    return Acted(float(number), 0.0, number, Action.FREEZE, "because", 0.0)


def read_out(channel, other):
    """Read as a conductor does, the guard flushing at each of its turns; return the events."""
    data = b""
    while channel.unsent() or select.select([other], [], [], 0)[0]:
        channel.flush()
        data += other.recv(1 << 20)
    return [decode_event(json.loads(line)) for line in data.splitlines()]


def test_what_is_emitted_arrives_in_order_and_whole(ends):
    channel, other = ends
    sent = [Released(1.0, 2.0), Sampled(reading(at=3.0)), act(4)]
    for event in sent:
        channel.emit(event)
    assert read_out(channel, other) == sent
    assert not channel.unsent()


def test_of_a_conductor_that_does_not_read_readings_are_dropped_and_counted_and_events_kept(ends):
    channel, other = ends
    readings = 3000
    for number in range(readings):
        channel.emit(Sampled(reading(seq=number)))
        if number % 100 == 0:
            channel.emit(act(number))
    assert 0 < channel.dropped < readings
    arrived = read_out(channel, other)
    acts = [event.seq for event in arrived if isinstance(event, Acted)]
    assert acts == list(range(0, readings, 100))
    assert len(arrived) - len(acts) == readings - channel.dropped


def test_readings_are_kept_as_long_as_there_is_room_and_taken_again_once_it_was_read(ends):
    channel, other = ends
    while channel.dropped == 0:
        channel.emit(Sampled(reading()))
    line = len(json.dumps(encode_event(Sampled(reading())), separators=(",", ":"))) + 1
    assert MOST_UNSENT < len(channel._out) <= MOST_UNSENT + line
    read_out(channel, other)
    channel.emit(Sampled(reading(seq=7)))
    assert channel.dropped == 1
    assert [event.reading.seq for event in read_out(channel, other)] == [7]


def test_a_line_that_comes_in_pieces_is_one_value(ends):
    channel, other = ends
    other.send(b'{"a"')
    assert channel.receive() == []
    other.send(b': 1}\n"sto')
    assert channel.receive() == [{"a": 1}]
    other.send(b'p"\n\n"kill"\n')
    assert channel.receive() == ["stop", "kill"]
    assert channel.open


def test_the_last_words_of_a_side_that_is_gone_are_heard_before_its_end(ends):
    channel, other = ends
    other.send(b'"stop"\n"half')
    other.close()
    assert channel.receive() == ["stop"]
    assert not channel.open
    assert channel.receive() == []


def test_writing_to_a_side_that_is_gone_ends_the_channel_and_raises_nothing(ends):
    channel, other = ends
    other.close()
    channel.emit(act(1))
    assert not channel.open
    assert not channel.unsent()
    channel.emit(act(2))


@contextmanager
def descriptors():
    before = set(os.listdir("/proc/self/fd"))
    yield
    assert set(os.listdir("/proc/self/fd")) == before


def test_a_reset_connection_is_an_end_and_not_an_error():
    """Closing with unread data resets: the next read of the other side is ECONNRESET (unix(7))."""
    with descriptors():
        ours, theirs = socket.socketpair()
        with ours:
            channel = Channel(ours.fileno())
            channel.emit(act(1))
            theirs.close()
            assert channel.receive() == []
            assert not channel.open


def test_a_reading_that_decided_something_is_kept_although_nobody_reads(ends):
    channel, other = ends
    for number in range(3000):
        channel.emit(Sampled(reading(seq=number), decided=number % 500 == 0))
    assert channel.dropped
    kept = [event.reading.seq for event in read_out(channel, other) if event.decided]
    assert kept == list(range(0, 3000, 500))
