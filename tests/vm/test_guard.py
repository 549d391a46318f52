"""What the guard does for others where they have groups of their own: a real session, which really waits."""

import json

import pytest
from looking import identities, look, type_at_desktop
from suites import run_in, skips
from testbed.program import PYTHON

WORKS_S = 45
BUSY = f"""
import time
end = time.monotonic() + {WORKS_S}
while time.monotonic() < end:
    pass
"""
GROWS = """
import time
kept = []
for _ in range(600):
    kept.append(b'x' * (1 << 18))
    time.sleep(0.02)
time.sleep(600)
"""
"""In the desktop's terminal: 150 MiB in 12 s, where memory is there."""
SCOPE = "loginctl show-session $(loginctl show-seat seat0 -p ActiveSession --value) -p Scope --value"
FULL = "sed -n 's/^full.*total=//p' {}/memory.pressure"
"""Microseconds that all of a group waited for memory."""


@pytest.mark.deadline(240)
def test_a_session_that_waits_for_memory_stops_a_load_which_later_goes_on_and_ends(machine, guest):
    """The load is small and not to blame: stopped, held tightly, let go on, given back what it had."""
    before = identities(look(guest))
    scope = guest.out(SCOPE)
    group = guest.out(f"find /sys/fs/cgroup/user.slice -type d -name {scope}")
    guest.write("/tmp/busy.py", BUSY)
    guest.write("/tmp/grows.py", GROWS)
    guest.run(
        f"setsid steadyrun run --memory 300M --json /tmp/run.json -- {PYTHON} /tmp/busy.py"
        " > /tmp/run.log 2>&1 & echo"
    )
    guest.until("pgrep -f '^/opt.*busy[.]py' > /dev/null", seconds=20)
    waited = int(guest.out(FULL.format(group)))
    guest.run(f"echo $(( $(cat {group}/memory.current) + (10 << 20) )) > {group}/memory.high")
    type_at_desktop(guest, f"{PYTHON} /tmp/grows.py &")
    guest.until(f"test $({FULL.format(group)}) -gt {waited + 500_000}", seconds=60)
    guest.run(f"echo max > {group}/memory.high")
    guest.until("test -s /tmp/run.json", seconds=150)
    guest.run("pkill -f '^/opt.*grows[.]py'")

    told = json.loads(guest.read("/tmp/run.json"))
    done = [action["action"] for action in told["actions"]]
    assert told["exit_code"] == 0, told
    assert scope in told["means"]["groups"]
    assert done[:3] == ["freeze", "tighten", "thaw"], told["actions"]
    assert f"all of {scope} waited for memory" in told["actions"][0]["cause"]
    assert "loosen" in done
    assert 0 < told["frozen_s"] < WORKS_S
    assert identities(look(guest)) == before


@pytest.mark.deadline(300)
@pytest.mark.parametrize(
    "place", [pytest.param("systemd as root", marks=pytest.mark.long), "systemd as a user", "cgroup2 as root"]
)
def test_its_grip_is_the_kernels(machine, place):
    """Quota, freeze and kill of a real load by the real loop, read where the kernel has them."""
    ran = run_in(place, machine, "tests/real/test_tightening.py", seconds=280)
    assert ran.code == 0, ran.told
    assert ran.missing(*skips(place)) == {}, ran.told
