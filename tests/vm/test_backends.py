"""The `systemd` and `cgroup2` backends on the real machine: the contract suite, and whole runs."""

import json
import shlex

import pytest
from looking import identities, look
from suites import PLACES, run_in, skips
from testbed.program import PYTHON, REPOSITORY, copy_repository
from testbed.recipe import OLDEST, chosen_suite

SUITES = "tests/contract tests/real/test_contain_hostile.py"
UNITS = "find /sys/fs/cgroup -name 'steadyrun-*'"
HOSTILE = ("detach", "stopped", "zombies", "headless", "forker")
TOKEN = "STEADYRUN_TEST_TOKEN=vm"
BEARING = f"grep -lsz '^{TOKEN}$' /proc/[0-9]*/environ"


@pytest.mark.deadline(600)
@pytest.mark.parametrize("place", PLACES)
def test_the_contract_and_the_hostile_loads(machine, guest, place):
    ran = run_in(place, machine, SUITES, seconds=540)
    assert ran.code == 0, ran.told
    assert ran.missing(*skips(place)) == {}, ran.told
    assert guest.out(UNITS) == ""


@pytest.fixture(params=["root", "desk"])
def someone(request, machine):
    """Somebody who runs steadyrun on systemd, over SSH."""
    return machine.guest(request.param)


USABLE = """
from steadyrun.contain.choose import choose
from steadyrun.contain.facts import read_facts
from steadyrun.errors import SteadyrunError
from steadyrun.model.containment import BackendName
try:
    print(choose(read_facts(), wanted=BackendName.CGROUP2).backend.value)
except SteadyrunError as error:
    print(error.hint)
"""


def test_the_remedy_for_a_cgroup_that_systemd_kept_makes_cgroup2_usable(someone, guest):
    guest.write("/usr/local/bin/usable", f"#!{PYTHON}\n{USABLE}", mode="755")
    remedy = someone.out("usable")
    assert "Delegate=yes" in remedy, remedy
    after = someone.run(remedy.replace("steadyrun doctor", "usable"))
    assert after.out.split() == ["cgroup2"], after


OVER = shlex.quote("x = b'x' * (600 << 20)")
"""600 MiB, written to."""


def test_an_oom_kill_at_its_limit_stops_no_scope_of_systemd(someone):
    """Unlike one in the scope itself, which stops all of it; only 247 takes no notice of that."""
    scope = f"systemd-run -q --scope {'' if someone.user == 'root' else '--user'}"
    loads = f"python3 -c {OVER} & wait $!; sleep 2; echo went on"
    bare = someone.run(f"{scope} -p MemoryMax=200M -p MemorySwapMax=0 sh -c {shlex.quote(loads)}; echo ended")
    assert "ended" in bare.out, bare
    assert ("went on" in bare.out) == (chosen_suite() == OLDEST.name), bare
    guarded = f"steadyrun run --memory 200M -- python3 -c {OVER}; echo code $?; sleep 2; echo went on"
    done = someone.run(f"{TOKEN} {scope} sh -c {shlex.quote(guarded)}", check=False)
    assert done.out.splitlines() == ["code 137", "went on"], done
    assert "killed at its memory limit, 200 MiB" in done.err


OVER_PLAN = """
name = "over"
baseline = "2s"

[[phase]]
number = 1
name = "Over"
summary = "1 process that leaves no room for its interpreter"
goal = "an OOM kill"
method = "1 process"
expected = "killed at its limit"
load = "hog"
processes = 1
memory = "199M"
hold = "5s"
memory_max = "200M"
wall_time = "60s"
"""


def test_an_oom_kill_in_a_phase_is_told_as_that_and_the_ramp_ends_as_it_is_to(someone):
    """Its conductor is in a scope, where an OOM kill would be its end."""
    someone.run("mkdir -p ramp && cat > ramp/plan.toml", stdin=OVER_PLAN.encode())
    ramp = "steadyrun ramp plan.toml --yes --force --accept-weak --progress text --report rep"
    done = someone.run(f"cd ramp && {TOKEN} {ramp}", seconds=200, check=False)
    report = json.loads(someone.read("ramp/rep/latest/report.json"))
    attempt = report["attempts"][-1]  # a busy host costs a try
    found = {check["name"]: check["after"] for check in attempt["job"]["checks"]}
    assert attempt["state"] in {"FAILED", "UNKNOWN"}, done  # of the job it is NO, of a busy host unknown
    assert attempt["job"]["answer"] == "no"
    assert found["exit status"] == "memory-limit", found
    assert found["not killed at the memory limit"] == "2 killed", found
    assert report["summary"]["exit_code"] == done.code


def left(guest):
    """Return what there is of any load: cgroups, and processes by their environment."""
    return guest.run(f"{UNITS}; {BEARING}", check=False).out.split()


def test_a_load_over_its_limit_dies_alone_and_the_desktop_lives(someone, guest):
    before = identities(look(guest))
    done = someone.run(f"{TOKEN} steadyrun run --memory 200M -- python3 -c {OVER}", check=False)
    assert done.code == 137, done
    assert "killed at its memory limit, 200 MiB" in done.err
    assert left(guest) == []
    assert identities(look(guest)) == before


def test_nothing_of_a_hostile_load_is_left_after_its_wall_time(someone, guest):
    copy_repository(guest)
    for name in HOSTILE:
        load = f"python3 -I -S {REPOSITORY}/tests/real/hostile/{name}.py"
        limits = "--memory 300M --tasks 200 --timeout 3"
        done = someone.run(f"{TOKEN} steadyrun run {limits} -- {load}", check=False)
        assert done.code in (124, 0), (name, done)  # some leave the first process behind and end with it
        assert left(guest) == [], name


def in_background(someone, command):
    """Start `steadyrun run` and wait until its load runs; return the pid of the guard."""
    someone.run(f"{TOKEN} setsid steadyrun run -- {command} > /tmp/run.log 2>&1 & echo $! > /tmp/run.pid")
    someone.until(f"{UNITS} | grep -q . && {BEARING} | grep -q .", seconds=30)
    someone.until(
        "test -n \"$(cat $(find /sys/fs/cgroup -path '*steadyrun-*/load/cgroup.procs'))\"", seconds=30
    )
    return int(someone.out("pgrep -u $(id -u) -o -f 'steadyrun run'"))


def test_a_killed_guard_leaves_nobody(someone, guest):
    guard = in_background(someone, "sh -c 'trap \"\" TERM; setsid sleep 1000 & sleep 1000'")
    someone.run(f"kill -9 {guard}")
    guest.until(f'! {BEARING} && test -z "$({UNITS})"', seconds=20)


def both_killed(someone, guard, afterwards="true"):
    """Kill the keeper of a stopped guard, so that it starts no other one, and then the guard."""
    keeper = "$(pgrep -u $(id -u) -f '[k]eeper.py')"
    someone.run(f"kill -STOP {guard}; kill -9 {keeper}; kill -9 {guard}; {afterwards}")


def test_a_guard_and_a_keeper_killed_leave_a_unit_that_ends_by_itself(someone, guest):
    guard = in_background(someone, "sh -c 'trap \"\" TERM; while :; do sleep 1; done'")
    both_killed(someone, guard)
    guest.until(f'! {BEARING} && test -z "$({UNITS})"', seconds=30)
    assert "was interrupted" in someone.run("steadyrun recover").out


def test_a_start_after_guard_and_keeper_were_killed_ends_the_load_at_once(someone, guest):
    guard = in_background(someone, "sh -c 'trap \"\" TERM; while :; do sleep 1; done'")
    both_killed(someone, guard, "steadyrun recover")
    assert left(guest) == []


def test_a_unit_stopped_by_somebody_else_is_a_load_that_was_ended(someone, guest):
    in_background(someone, "sh -c 'trap \"\" TERM; while :; do sleep 1; done'")
    user = "" if someone.user == "root" else "--user "
    someone.run(f"systemctl {user}stop 'steadyrun-*.service'", seconds=30)
    someone.until("grep -q 'somebody else removed its containment' /tmp/run.log", seconds=20)
    guest.until(f'! {BEARING} && test -z "$({UNITS})"', seconds=20)


def delegation(guest):
    done = guest.run("steadyrun doctor --json", check=False)
    return next(r for r in json.loads(done.out)["rungs"] if r["name"] == "delegation")


def test_a_controller_that_the_user_manager_lacks_is_had_after_the_remedy_of_the_doctor(machine, guest):
    lacks = delegation(machine.guest("other"))
    assert lacks["level"] == "degraded"
    assert "not io" in lacks["evidence"]
    guest.run(lacks["remedy"].partition("#")[0].replace("sudo ", ""))
    machine.guest("other").close()
    guest.run("loginctl terminate-user other; systemctl stop user@1001.service")
    other = machine.guest("other")
    other.until("systemctl --user is-active --quiet basic.target", seconds=60)
    assert delegation(other)["level"] == "ok"
