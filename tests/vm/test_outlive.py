"""A ramp outlives the session it was started from, and everything it changed for that is as it was."""

import json
import time

import pytest
from looking import type_at_desktop

PLAN = """
name = "outlive"
baseline = "2s"

[[phase]]
number = 1
name = "Long"
summary = "1 process for a while"
goal = "outlive the session"
method = "1 process"
expected = "easy"
load = "hog"
processes = 1
memory = "32MB"
hold = "{hold}s"
memory_max = "64M"
wall_time = "180s"
"""
HOLD_S = 30
"""The desktop is killed at its beginning; the looks every 5 s see it gone well before its end."""
RAMP = "steadyrun ramp plan.toml --yes --force --accept-weak --progress text --report rep"
CONDUCTOR = r"import_module.*steadyrun\.ramp\.process"
GREETER = "loginctl --no-legend | grep -q lightdm"
"""The login screen is there: the session before it has ended, and autologin is not repeated."""
LINGERS = "test -e /var/lib/systemd/linger/desk"
ENDED = "grep -qs '\"exit_code\": [0-9]' {}/rep/latest/report.json"
KILL_USER_PROCESSES = """
mkdir -p /etc/systemd/logind.conf.d
printf '[Login]\\nKillUserProcesses=yes\\n' > /etc/systemd/logind.conf.d/kill.conf
systemctl restart systemd-logind.service
"""


def prepare(guest, home="/home/desk", owner="desk", hold=HOLD_S):
    guest.write(f"{home}/plan.toml", PLAN.format(hold=hold))
    guest.run(f"chown {owner}: {home}/plan.toml")


def running(guest, home="/home/desk"):
    """Wait until the phase's load runs; return the conductor's cgroup."""
    guest.until(f'grep -qs \'"state": "RUNNING"\' {home}/rep/latest/report.json', seconds=120)
    return guest.out(f"cat /proc/$(pgrep -f '{CONDUCTOR}' | head -n 1)/cgroup")


def ended(guest, home="/home/desk", seconds=150):
    guest.until(f"! pgrep -f '{CONDUCTOR}' > /dev/null", seconds=seconds)
    return json.loads(guest.read(f"{home}/rep/latest/report.json"))


def host_checks(report):
    return {check["name"]: check for check in report["attempts"][-1]["host"]["checks"]}


@pytest.mark.parametrize("kills", [False, True], ids=["left behind", "KillUserProcesses"])
def test_the_x_server_dies_in_the_middle_of_a_phase_and_the_ramp_goes_on(machine, guest, kills):
    if kills:
        guest.run(KILL_USER_PROCESSES)
    prepare(guest)
    assert guest.run(LINGERS, check=False).code != 0
    type_at_desktop(guest, f"cd && {RAMP}")
    scope = running(guest)
    assert "/user@1000.service/app.slice/steadyrun-ramp-" in scope
    guest.run(LINGERS)
    assert "sleep:idle" in guest.out("systemd-inhibit --list --no-legend")
    killed = time.time()
    guest.run("pkill -KILL -x Xorg")
    guest.until(GREETER, seconds=120)
    assert guest.out(f"cat /proc/$(pgrep -f '{CONDUCTOR}' | head -n 1)/cgroup") == scope
    report = ended(guest)
    attempt = report["attempts"][-1]
    assert attempt["host"]["answer"] == "no"
    assert host_checks(report)["graphical session"]["answer"] == "no"
    assert host_checks(report)["graphical session"]["why"].startswith("graphical session ended")
    # Lingering keeps it; a look that an emulated machine does not finish in 2 s is unknown.
    assert host_checks(report)["user manager"]["answer"] in ("yes", "unknown")
    assert attempt["job"]["answer"] == "yes", "the load did its work all the same"
    assert report["end"]["exit_code"] == 5
    assert attempt["ended_wall_s"] > killed
    page = guest.read("/home/desk/rep/latest/PROGRESS.md")
    said = next(line for line in page.splitlines() if "❌ session ended" in line)
    assert " between " in said, "it says when"
    assert guest.run(LINGERS, check=False).code != 0, "lingering is off again"
    assert guest.out("systemd-inhibit --list --no-legend") == ""
    assert guest.run("runuser -u desk -- steadyrun recover").out == "nothing to recover\n"
    guest.until("! pgrep -u desk -x systemd", seconds=60)  # and so the user manager ends, as it would have


def test_lingering_that_was_on_stays_on(machine, guest):
    guest.run("loginctl enable-linger desk")
    prepare(guest, hold=2)
    type_at_desktop(guest, f"cd && {RAMP}")
    running(guest)
    report = ended(guest)
    guest.run(LINGERS)
    assert "lingering-switched-on" not in {finding["code"] for finding in report["findings"]}


NO_LINGERING = {
    "/etc/polkit-1/rules.d/10-no-lingering.rules": "polkit.addRule(function(action) {"
    ' if (action.id.indexOf("org.freedesktop.login1.set-") == 0) return polkit.Result.NO; });\n',
    "/etc/polkit-1/localauthority/50-local.d/no-lingering.pkla": "[No lingering]\nIdentity=unix-user:*\n"
    "Action=org.freedesktop.login1.set-*\nResultAny=no\nResultInactive=no\nResultActive=no\n",
}
"""As polkit reads it, and as the one of Debian 11 does (0.105, pklocalauthority(8))."""


def test_where_lingering_is_refused_the_ramp_says_that_it_ends_with_the_session(machine, guest):
    guest.run(f"mkdir -p {' '.join(path.rpartition('/')[0] for path in NO_LINGERING)}")
    for path, text in NO_LINGERING.items():
        guest.write(path, text)
    prepare(guest, hold=2)
    type_at_desktop(guest, f"cd && {RAMP} > said 2>&1")
    assert "/session-" in running(guest)
    report = ended(guest)
    finding = next(each for each in report["findings"] if each["code"] == "ends-with-session")
    assert "SetUserLinger" in finding["evidence"]
    assert "ends with your session" in guest.read("/home/desk/said")
    assert guest.run(LINGERS, check=False).code != 0


def test_a_user_manager_that_dies_takes_the_ramp_with_it_and_the_next_start_cleans_up(machine, guest):
    prepare(guest)
    type_at_desktop(guest, f"cd && {RAMP}")
    running(guest)
    guest.run("systemctl kill --signal=KILL --kill-who=main user@1000.service")
    guest.until(f"! pgrep -f '{CONDUCTOR}' > /dev/null", seconds=60)
    guest.until("! pgrep -u desk -f 'steadyrun.*(hog|guard)' > /dev/null", seconds=60)
    guest.run(LINGERS)
    told = guest.run("runuser -u desk -- steadyrun recover").out
    assert "was interrupted" in told
    assert "switched lingering of uid 1000 off again" in told
    assert guest.run(LINGERS, check=False).code != 0


def test_as_root_it_runs_in_system_slice_and_outlives_the_login(machine, guest):
    prepare(guest, "/root", "root")
    login = guest.start(f"cd && {RAMP}")
    try:
        scope = running(guest, "/root")
        assert "0::/system.slice/steadyrun-ramp-" in scope
        client = guest.out("cat /proc/$(pgrep -f 'bin/steadyrun ramp' | head -n 1)/cgroup")
        assert "/session-" in client
        session = client.rpartition("/session-")[2].removesuffix(".scope")
        guest.run(f"loginctl kill-session --signal=KILL {session}", check=False)
    finally:
        login.kill()
        login.wait()
    assert guest.out(f"cat /proc/$(pgrep -f '{CONDUCTOR}' | head -n 1)/cgroup") == scope
    report = ended(guest, "/root")
    assert report["end"] is not None
    assert report["attempts"][-1]["job"]["answer"] == "yes"
    assert guest.out("ls -A /var/lib/systemd/linger") == ""
    guest.until("! systemctl list-units --all --no-legend 'steadyrun-ramp-*' | grep -q .", seconds=30)
