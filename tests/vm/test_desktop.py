"""The desktop of the real machine, and what the program sees of it."""

import json

import pytest
from looking import MANAGER, SERVER, SESSION, SSH, USER, doctor, identities, look, type_at_desktop
from testbed.state import DESKTOP_UP

from picture import colours


def test_the_desktop_is_up_and_shows_something(machine, guest, tmp_path):
    guest.run(DESKTOP_UP)
    seen = colours(machine.screenshot(tmp_path / "screen.png").read_bytes())
    total = sum(seen.values())
    assert seen[(0x2F, 0x6F, 0x8F)] > total / 2, "the screen is not painted"
    assert seen[(0, 0, 0)] > total / 20, "no terminal on the screen"


def test_the_desktops_terminal_runs_what_is_typed_in_the_session(guest):
    type_at_desktop(guest, "{ id -un; tty; cat /proc/self/cgroup; } > /tmp/said 2>&1")
    said = guest.until('test "$(wc -l < /tmp/said)" = 3 && cat /tmp/said', seconds=30).out.split()
    assert said[0] == "desk"
    assert said[1].startswith("/dev/pts/")
    assert said[2].startswith("0::/user.slice/user-1000.slice/session-")


@pytest.mark.parametrize("user", [None, "desk", "other"])
def test_the_doctor_names_the_desktop(guest, user):
    rungs, told = doctor(guest, user)
    found = {name: rungs[name]["level"] for name in (SESSION, MANAGER, SERVER, USER, SSH)}
    assert set(found.values()) == {"ok"}, {name: rungs[name] for name in found}
    assert "x11, seat0" in rungs[SESSION]["evidence"]
    assert "lightdm" in rungs[MANAGER]["evidence"]
    assert "X :0" in rungs[SERVER]["evidence"]
    assert "OpenSSH" in rungs[SSH]["evidence"]
    assert told["containment"]["cgroup_mode"] == "unified"
    assert rungs["other guards"]["level"] == "ok", "systemd-oomd, earlyoom or nohang runs"


def test_the_canary_asks_the_display_for_a_round_trip_each_second(guest):
    rows = list(map(json.loads, guest.out("steadyrun canary --display --seconds 3 --json").splitlines()))
    assert [(row["display"], row["display_seen"]) for row in rows] == [("X :0", "present")] * 3
    assert all(0 < row["display_ms"] < 1000 for row in rows)


def test_a_quiet_desktop_keeps_its_identities(guest):
    first = identities(look(guest))
    assert set(first) == {SESSION, MANAGER, SERVER, USER, SSH}
    assert identities(look(guest, "desk")) == first
    assert identities(look(guest, "other")) == first


def test_the_session_is_the_one_that_logind_names(guest):
    asked = guest.out(
        "id=$(loginctl show-seat seat0 -p ActiveSession --value);"
        " leader=$(loginctl show-session $id -p Leader --value);"
        " echo session $id, leader $leader started $(cut -d' ' -f22 /proc/$leader/stat)"
    )
    assert identities(look(guest))[SESSION] == asked
    unit = guest.out("systemctl show -p InvocationID --value lightdm.service")
    assert identities(look(guest))[MANAGER] == f"invocation {unit}"


def changed(before, after):
    """Return the names whose identity is another one now, or that are gone."""
    return {name for name, identity in before.items() if after.get(name) != identity}


def test_a_restart_of_the_display_manager_is_seen(guest):
    before = identities(look(guest))
    guest.run("systemctl restart lightdm.service")
    guest.until(DESKTOP_UP, seconds=120)
    after = identities(look(guest))
    assert set(after) == set(before), "all of it is there again"
    assert changed(before, after) == {SESSION, MANAGER, SERVER}


def test_the_death_of_the_x_server_is_seen(guest):
    before = identities(look(guest))
    guest.run("pkill -KILL -x Xorg")
    guest.until("loginctl --no-legend | grep -q lightdm", seconds=120)
    view = look(guest)
    assert view[SESSION]["seen"] == "absent", "autologin is not repeated: the login screen is there"
    assert changed(before, identities(view)) == {SESSION, SERVER, USER}
    assert "login screen" in view[SESSION]["evidence"]


def test_a_logout_is_seen(guest):
    before = identities(look(guest))
    type_at_desktop(guest, "openbox --exit")
    guest.until("loginctl --no-legend | grep -q lightdm", seconds=120)
    view = look(guest, "other")
    assert view[SESSION]["seen"] == "absent"
    assert {SESSION, SERVER} <= changed(before, identities(view))
    assert MANAGER not in changed(before, identities(view))


def test_the_death_of_the_user_manager_is_seen(guest):
    before = identities(look(guest))
    guest.run("systemctl kill --signal=KILL --kill-who=main user@1000.service")
    guest.until("! pgrep -u desk -x systemd", seconds=30)
    view = look(guest)
    assert view[USER]["seen"] == "absent"
    assert changed(before, identities(view)) == {USER}


def test_ssh_that_is_stopped_is_absent_and_frozen_is_unknown(guest):
    guest.run("kill -STOP $(systemctl show -p MainPID --value ssh.service)")
    assert look(guest)[SSH]["seen"] == "unknown", "it listens and says nothing"
    guest.run("kill -CONT $(systemctl show -p MainPID --value ssh.service)")
    assert look(guest)[SSH]["seen"] == "present"
    guest.run("systemctl stop ssh.service")
    assert look(guest)[SSH]["seen"] == "absent"


def test_an_x_server_that_hangs_is_unknown(guest):
    guest.run("pkill -STOP -x Xorg")
    assert look(guest)[SERVER]["seen"] == "unknown"
    guest.run("pkill -CONT -x Xorg")
    assert look(guest)[SERVER]["seen"] == "present"
