"""Terminals of a desktop that is one scope: each in a scope of its own, from the moment it is opened.

What the storms say of the frames then is in test_protect.py; here is who is where.
"""

import json

import pytest
from crashes import pull_the_plug
from looking import start_from_menu, type_at_desktop
from test_protect import apply, status
from testbed.state import with_desktop

pytestmark = pytest.mark.deadline(300)

SCOPE = "/user.slice/user-1000.slice/session-"
APART = "/user.slice/user-1000.slice/user@1000.service/app.slice/app-terminal-"
TERMINAL = "xterm -e sh -c 'sleep 3; sh -c \"cat /proc/self/cgroup > {}.new && mv {}.new {}\"; sleep 600'"
RUNS = "pgrep -f '[s]teadyrun.protect.apart'"


def where(guest, path, *, seconds=30):
    """Return the cgroup that a line of a terminal wrote down."""
    guest.until(f"test -s {path}", seconds=seconds)
    return guest.read(path).strip().removeprefix("0::")


def typed(guest, path):
    """Have the desktop's terminal say where what is typed in it runs."""
    guest.run(f"rm -f {path}")
    type_at_desktop(guest, f"cat /proc/self/cgroup > {path}")
    return where(guest, path)


def opened(guest, path):
    """Open a terminal from the menu, and have it say three seconds later where what is typed in it runs."""
    guest.run(f"rm -f {path}")
    start_from_menu(guest, TERMINAL.format(path, path, path))
    return where(guest, path)


def window_manager(guest):
    return guest.out("cat /proc/$(pgrep -o -x openbox)/cgroup").removeprefix("0::")


def test_terminals_that_are_open_and_those_that_come_are_apart_and_the_desktop_stays(guest):
    assert typed(guest, "/tmp/before").startswith(SCOPE)
    told = apply(guest)
    assert {each["state"] for each in told["settings"] if each["setting"] == "terminals apart"} == {
        "in force"
    }
    assert typed(guest, "/tmp/after").startswith(APART)
    assert opened(guest, "/tmp/new").startswith(APART)
    assert window_manager(guest).startswith(SCOPE)
    assert guest.out("cat /proc/$(pgrep -o -x xterm)/cgroup").removeprefix("0::").startswith(SCOPE)


def test_each_terminal_has_a_scope_and_it_is_gone_with_the_terminal(guest):
    apply(guest)
    one, other = opened(guest, "/tmp/one"), opened(guest, "/tmp/other")
    assert one != other
    guest.run("pkill -KILL -f '[s]leep 600'; rm -f /tmp/one")
    guest.until(f"test ! -e /sys/fs/cgroup{one} -a ! -e /sys/fs/cgroup{other}", seconds=30)


def test_its_shell_still_belongs_to_the_person_and_their_session_goes_on(guest):
    apply(guest)
    type_at_desktop(guest, "loginctl show-user $USER -p Sessions --value > /tmp/sessions")
    guest.until("test -s /tmp/sessions", seconds=30)
    type_at_desktop(guest, "steadyrun run --memory 50M -- true; echo $? > /tmp/code")
    guest.until("test -s /tmp/code", seconds=60)
    assert guest.read("/tmp/code").strip() == "0"


def test_after_a_boot_the_desktops_own_terminal_is_apart_from_its_start(machine, guest):
    apply(guest)
    guest.run("sync")
    pull_the_plug(machine)
    guest = with_desktop(machine)
    guest.until(f"ls -d /sys/fs/cgroup{APART}*", seconds=30)
    assert typed(guest, "/tmp/booted").startswith(APART)
    assert status(guest)["holds"]


def test_an_undo_ends_the_service_and_leaves_open_terminals_be(guest):
    apply(guest)
    assert typed(guest, "/tmp/typed").startswith(APART)
    guest.run("steadyrun protect --undo", seconds=120)
    assert typed(guest, "/tmp/typed").startswith(APART)
    assert opened(guest, "/tmp/new").startswith(SCOPE)
    assert guest.run(RUNS, check=False).out == ""


def test_a_user_alone_has_it_too(machine, guest):
    desk = machine.guest("desk")
    done = desk.run("steadyrun protect --apply --yes --json", check=False, seconds=120)
    assert done.code == 0, json.loads(done.out)
    assert opened(guest, "/tmp/new").startswith(APART)
    desk.run("steadyrun protect --undo", seconds=60)
    assert opened(guest, "/tmp/new").startswith(SCOPE)


def test_what_waits_for_terminals_is_small_and_sleeps(guest):
    apply(guest)
    pid = guest.out(RUNS)
    guest.run("sleep 6")  # its last look
    used = f"awk '{{print $14 + $15}}' /proc/{pid}/stat"
    before = int(guest.out(used))
    guest.run("sleep 10")
    assert int(guest.out(used)) == before, "it uses no processor while nothing happens"
    pss = int(guest.out(f"awk '/^Pss:/ {{print $2}}' /proc/{pid}/smaps_rollup"))
    print(f"PSS {pss} KiB, RSS {guest.out(f'ps -o rss= -p {pid}')} KiB")
    assert pss < 24 << 10


def test_one_that_is_killed_comes_again(guest):
    apply(guest)
    first = guest.out(RUNS)
    guest.run(f"kill -9 {first}")
    guest.until(f"pid=$({RUNS}) && test $pid != {first}", seconds=40)
    assert opened(guest, "/tmp/new").startswith(APART)
