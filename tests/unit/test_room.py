"""The most that a load may be given."""

import pytest

from steadyrun.model.machine import Reserve, room_of
from steadyrun.units import GIB, Bytes

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
