"""The machine goes down in the middle of a phase: the next start knows, lowers the limits and finishes.

The power cuts here empty the disk's write cache, too (`testbed/volatile.py`): what the journal and the
report call durable has to have been flushed, and in the right order.
"""

import json
import re

import pytest
from crashes import panic, pull_the_plug
from looking import type_at_desktop
from testbed.state import with_desktop

pytestmark = pytest.mark.deadline(900)

MIB = 2**20
HOST_DID_NOT_HOLD = 5
LATEST_S = 6.0
"""Of the last reading before the crash: a second between two syncs, and what an emulated disk is behind."""
PLAN = """
name = "crash"
baseline = "2s"

[[phase]]
name = "Careful"
load = "hog"
memory = "100MB"
hold = "1s"
memory_max = "150M"

[[phase]]
name = "More"
load = "hog"
memory = "300MB"
hold = "1s"
memory_max = "350M"

[[phase]]
name = "Most"
load = "hog"
memory = "500MB"
hold = "20s"
memory_max = "600M"
"""
RAMP = "steadyrun ramp --yes --force --progress text --report rep"
LOOK = """
import json, sys
report = json.load(open('/home/desk/rep/latest/report.json'))
last = report['attempts'][-1] if report['attempts'] else {}
if report['end'] is not None:
    print('ended')
elif last.get('label') == '3' and last['state'] == 'RUNNING':
    print('in the middle')
else:
    sys.exit(1)
"""
DOWN_ONCE = re.compile("the machine went down once( and [^.]+)? on the way")
"""What there was beside it, where a busy host cost a try or two."""
TRIES = 5
"""The testbed's host may be busy: a frame that is late for that reason ends a ramp as it has to."""


def begin(machine):
    """Start the ramp in the desktop's terminal; return when its last phase is running."""
    guest = machine.guest()
    guest.write("/home/desk/plan.toml", PLAN)
    guest.run("sync /home/desk/plan.toml")  # written long ago; Linux 5.10 had it empty after the cut
    for _ in range(TRIES):
        guest.run("rm -rf /home/desk/rep")
        type_at_desktop(guest, f"cd && {RAMP} plan.toml > said 2>&1")
        if guest.until(f'python3 -c "{LOOK}"', seconds=240).out == "in the middle\n":
            return guest.until("pgrep -u desk -f loads.hog > /dev/null", seconds=60)
    raise AssertionError(guest.read("/home/desk/said"))


def resume(desk):
    """Go on until the ramp is through; return how the last run ended."""
    for _ in range(TRIES):
        done = desk.run(f"{RAMP} --resume", check=False, seconds=300)
        if done.code != HOST_DID_NOT_HOLD:
            break
    return done


@pytest.mark.parametrize("crash", [pytest.param(panic, marks=pytest.mark.long), pull_the_plug])
def test_the_next_start_goes_on_more_carefully_and_finishes(start_machine, crash):
    machine = start_machine(volatile=True)
    begin(machine)
    boot = machine.guest().out("cat /proc/sys/kernel/random/boot_id")
    # As long as it takes until readings of this phase are there to be lost.
    down = float(machine.guest().out("sleep 4; date +%s.%N"))
    crash(machine)
    guest = with_desktop(machine)
    assert guest.out("cat /proc/sys/kernel/random/boot_id") != boot
    page = guest.read("/home/desk/rep/latest/PROGRESS.md")
    for name in ("1(\\.[0-9])?: Careful", "2(\\.[0-9])?: More"):
        assert re.search(f"### Phase {name} - COMPLETED", page), (
            f"not the truth up to the last border:\n{page}"
        )

    desk = machine.guest("desk")
    refused = desk.run(f"{RAMP} plan.toml", check=False, seconds=120)
    assert refused.code == 6, f"what took the machine down is not simply done again: {refused}"
    done = resume(desk)
    assert done.code == 0, done

    report = json.loads(guest.read("/home/desk/rep/latest/report.json"))
    told = [(attempt["phase"]["number"], attempt["state"]) for attempt in report["attempts"]]
    before = told.index((3, "CRASHED (machine)"))
    assert (1, "PASSED") in told[:before]
    assert (2, "PASSED") in told[:before]
    assert told[-1] == (3, "PASSED")
    assert {number for number, _ in told[before:]} == {3}, "one story: what passed is not done again"
    lowered = report["attempts"][before + 1]["limits"]["memory_max_bytes"]
    assert lowered == 350 * 7 // 10 * MIB, "0.7 of what held before the crash"

    found = report["attempts"][before]["crash"]
    assert (found["boot_id"], found["found_boot_id"]) == (boot, report["header"]["boot_id"])
    assert abs(found["last"]["wall_s"] - down) < LATEST_S, "readings up to the crash are on the disk"
    assert found["last"]["mem_available_bytes"] > 0
    assert found["last"]["psi_memory_full_frac"] is not None
    logs = {log["source"]: log for log in found["logs"]}
    assert not logs["systemd's journal"]["known"], "an ordinary user may not read it"
    assert logs["systemd's journal"]["why"]
    assert not logs["pstore"]["known"]
    assert "crash-log-unknown" in {each["code"] for each in report["attempts"][before]["findings"]}

    page = guest.read("/home/desk/rep/latest/PROGRESS.md")
    assert "CRASHED (machine)" in page
    assert page.index("Careful") < page.index("CRASHED (machine)")
    assert "- System crashes: 1\n- Reboots: 1\n" in page
    assert boot[:8] in page, "the evidence names the boot that ended"
    assert DOWN_ONCE.search(page)
    assert "held throughout" not in page
    assert re.search(r"Loosened up to\*\*: Most \(with 245 MiB instead of 600 MiB\)", page)
    assert "storm" not in page
    assert desk.run("steadyrun recover").out == "nothing to recover\n"
    assert guest.run("find /sys/fs/cgroup -name '*steadyrun*' -path '*run-*'").out == ""


def test_a_power_cut_loses_what_was_not_flushed_and_nothing_else(start_machine):
    """The proof of the testbed's own disk: without it the tests above would prove little."""
    machine = start_machine(volatile=True)
    guest = machine.guest()
    guest.run("head -c 65536 /dev/zero | tr '\\0' a > /root/flushed; cp /root/flushed /root/taken; sync")
    guest.run("head -c 65536 /dev/zero | tr '\\0' b > /dev/shm/new")
    write = "dd if=/dev/shm/new of=/root/{} bs=64k conv=notrunc status=none oflag=direct"
    guest.run(f"{write.format('flushed')},sync; {write.format('taken')}")
    pull_the_plug(machine)
    machine.wait_for_ssh()
    assert machine.guest().out("head -c 1 /root/flushed; head -c 1 /root/taken") == "ba"
