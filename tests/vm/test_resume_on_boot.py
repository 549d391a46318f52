"""After a crash in the middle of a phase the ramp goes on by itself, and its unit is gone then."""

import json

import pytest
from crashes import panic, pull_the_plug
from looking import type_at_desktop
from test_crash import DOWN_ONCE, HOST_DID_NOT_HOLD, PLAN, TRIES
from test_outlive import LINGERS, RAMP, prepare, running

USER_UNIT = "/home/desk/.config/systemd/user/steadyrun-resume.service"
ROOT_UNIT = "/etc/systemd/system/steadyrun-resume.service"
PLACES = {"desk": ("/home/desk", USER_UNIT), "root": ("/root", ROOT_UNIT)}
MANAGER = {
    "desk": "runuser -u desk -- env XDG_RUNTIME_DIR=/run/user/1000 systemctl --user",
    "root": "systemctl",
}
BOOT_S = 240
DECISION_NEEDED = 6
LONGER = (
    PLAN
    + """
[[phase]]
name = "Last"
load = "hog"
memory = "200MB"
hold = "1s"
memory_max = "650M"
"""
)
IN_PHASE_3 = """
import json, sys
report = json.load(open('{}/rep/latest/report.json'))
last = report['attempts'][-1] if report['attempts'] else {{}}
if report['end'] is not None:
    print('ended')
elif last.get('label') != '3' or last['state'] != 'RUNNING':
    sys.exit(1)
"""
HAS_ENDED = """
import json, sys
sys.exit(json.load(open('{}/rep/latest/report.json'))['end'] is None)
"""
TROUBLE = "task testbed:1 blocked for more than 120 seconds."
"""As the kernel says it of a hung task. Its `INFO:` before it would be taken for a program's name, as it is
written by one."""


def start(guest, user):
    """Start the ramp as that user does: in the desktop's terminal, or as a service of root's."""
    command = f"cd && {RAMP} --resume-on-boot > said 2>&1"
    if user == "desk":
        type_at_desktop(guest, command)
    else:
        guest.run(f"systemd-run --collect --setenv=HOME=/root sh -c '{command}'")


def go_down(machine, crash):
    """Crash once the load has run long enough to have readings, and the kernel has said something."""
    guest = machine.guest()
    guest.until("pgrep -f loads.hog > /dev/null", seconds=60)
    guest.run(f"echo '{TROUBLE}' > /dev/kmsg")
    guest.until("journalctl --dmesg | grep -q testbed:1", seconds=60)
    # Not journalctl --sync: its answer comes before the file is on the disk, and what journald writes of the
    # request itself calls the writing off where that has not begun yet (journal_file_set_online(), 252).
    guest.run("sync -f /var/log/journal && sleep 4")
    crash(machine)


def gone_on(machine, user, first):
    """Wait until the ramp has gone on by itself, has ended, and its service, too; return the way in."""
    home, unit = PLACES[user]
    machine.wait_for_ssh()
    guest = machine.guest()
    guest.until(f"test $(readlink -f {home}/rep/latest) != {first}", seconds=BOOT_S)
    guest.until(f'python3 -c "{HAS_ENDED.format(home)}"', seconds=BOOT_S)
    guest.until(f"! test -e {unit}", seconds=60)
    state = f"$({MANAGER[user]} is-active steadyrun-resume.service)"  # `deactivating`: it still cleans up
    guest.until(f"case {state} in inactive|failed) ;; *) exit 1;; esac", seconds=60)
    return guest


@pytest.mark.deadline(600)
@pytest.mark.parametrize(
    ("user", "crash"), [("desk", pull_the_plug), pytest.param("root", panic, marks=pytest.mark.long)]
)
def test_a_ramp_whose_first_phase_took_the_machine_down_asks_for_a_decision(start_machine, user, crash):
    machine = start_machine(volatile=True)
    guest = machine.guest()
    home, unit = PLACES[user]
    prepare(guest, home, user, hold=60)
    start(guest, user)
    running(guest, home)
    text = guest.read(unit)
    said = guest.read(f"{home}/said")
    assert all(line in said for line in text.splitlines()), "it was shown as it was written"
    first = guest.out(f"readlink -f {home}/rep/latest")

    go_down(machine, crash)
    guest = gone_on(machine, user, first)
    report = json.loads(guest.read(f"{home}/rep/latest/report.json"))
    assert report["end"]["exit_code"] == DECISION_NEEDED
    what_is_left_is_told(report["attempts"][-1], user)
    page = guest.read(f"{home}/rep/latest/PROGRESS.md")
    assert "CRASHED (machine)" in page
    assert "## Current Status: A decision is needed" in page
    nothing_is_left(guest, user)


def what_is_left_is_told(crashed, user):
    """The last readings are there; root may read the kernel's last words, an ordinary user may not."""
    assert crashed["crash"]["last"] is not None
    (log,) = (log for log in crashed["crash"]["logs"] if log["source"] == "systemd's journal")
    codes = {finding["code"] for finding in crashed["findings"]}
    if user == "root":
        assert log["known"], log
        assert TROUBLE in [line["text"] for line in log["lines"]]
        assert "crash-log" in codes
    else:
        assert not log["known"]
        assert "crash-log-unknown" in codes


def nothing_is_left(guest, user):
    """The unit is gone and no failed service, lingering is off, and nothing waits for recovery."""
    home, unit = PLACES[user]
    found = guest.out(f"find {unit.rpartition('/')[0]} -name '*resume*'; ls -A /var/lib/systemd/linger")
    assert found == "", "the unit, its link and lingering are gone"
    said = guest.run(f"{MANAGER[user]} is-failed steadyrun-resume.service", check=False).out.strip()
    assert said == "inactive", "a ramp that gave its answer is no failed service"
    become = f"runuser -u {user} --"
    assert guest.run(f"cd / && HOME={home} {become} steadyrun recover").out == "nothing to recover\n"
    assert guest.run(LINGERS, check=False).code != 0


@pytest.mark.deadline(900)
@pytest.mark.parametrize(
    ("user", "crash"), [("root", panic), pytest.param("desk", pull_the_plug, marks=pytest.mark.long)]
)
def test_it_finishes_all_its_phases_and_tells_one_story(start_machine, user, crash):
    machine = start_machine(volatile=True)
    guest = machine.guest()
    home, _ = PLACES[user]
    guest.write(f"{home}/plan.toml", LONGER)
    first = until_phase_3(guest, user)
    go_down(machine, crash)
    guest = gone_on(machine, user, first)
    report = json.loads(guest.read(f"{home}/rep/latest/report.json"))
    for _ in range(TRIES):
        if report["end"]["exit_code"] != HOST_DID_NOT_HOLD:  # a frame that is late: the host is busy
            break
        guest.run(
            f"cd {home} && HOME={home} runuser -u {user} -- {RAMP} --resume".replace(" plan.toml", ""),
            check=False,
            seconds=300,
        )
        report = json.loads(guest.read(f"{home}/rep/latest/report.json"))
    assert report["end"]["exit_code"] == 0, report["end"]

    told = [(attempt["label"], attempt["state"]) for attempt in report["attempts"]]
    assert len({label for label, _ in told}) == len(told), f"every try has a name of its own: {told}"
    assert ("3", "CRASHED (machine)") in told
    passed = {a["phase"]["number"] for a in report["attempts"] if a["state"] == "PASSED"}
    assert passed == {1, 2, 3, 4}
    what_is_left_is_told(next(a for a in report["attempts"] if a["state"] == "CRASHED (machine)"), user)

    page = guest.read(f"{home}/rep/latest/PROGRESS.md")
    assert "went on after the boot as Phase 3.2" in page
    assert DOWN_ONCE.search(page)
    earlier = guest.read(f"{first}/PROGRESS.md")
    assert "this page grows as it runs" not in earlier, "the page of the run that crashed has an end, too"
    assert "CRASHED (machine)" in earlier
    nothing_is_left(guest, user)


def until_phase_3(guest, user):
    """Start until phase 3 runs, from which a late frame of a busy host may keep it; return the folder."""
    home, _ = PLACES[user]
    for _ in range(TRIES):
        guest.run(f"rm -rf {home}/rep")
        start(guest, user)
        if guest.until(f'python3 -c "{IN_PHASE_3.format(home)}"', seconds=240).out == "":
            return guest.out(f"readlink -f {home}/rep/latest")
    raise AssertionError(guest.read(f"{home}/said"))
