"""The most that a load may be given."""

import pytest

from steadyrun.model.machine import Reserve, room_of
from steadyrun.units import GIB, MIB, Bytes

RESERVE = Reserve(Bytes(2 * GIB), Bytes(GIB), Bytes(GIB // 2))


@pytest.mark.parametrize(
    ("available", "room"),
    [
        (None, 18 * GIB),
        (20 * GIB, 18 * GIB * 15 // 16),
        (10 * GIB, 8 * GIB * 15 // 16),
        (1 * GIB, 0),
        (100 * GIB, 18 * GIB),
    ],
)
def test_it_is_what_others_leave_less_the_reserve(available, room):
    assert room_of(Bytes(20 * GIB), available, RESERVE) == room


def test_it_is_whole_mebibytes_and_never_more_than_there_is():
    odd = Bytes(10 * GIB + 12345)
    room = room_of(Bytes(20 * GIB), odd, RESERVE)
    assert room % MIB == 0
    assert 0 <= (odd - RESERVE.reserve) * 15 // 16 - room < MIB
