"""What a backend hears of a load before it is made."""

import pytest

from steadyrun.guard.hold import Streams, prepare
from steadyrun.model.limits import Limits


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
