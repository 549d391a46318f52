"""What is said of a plan before anything of it runs: the most memory, and the time."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest
import records
from evidence import attempt, plan

from steadyrun.cli.ramp import _expect_resumable
from steadyrun.cli.ramp_plan import describe, expect_command, has_all_passed, plan_for
from steadyrun.cli.settings import Settings
from steadyrun.errors import UsageError
from steadyrun.model.containment import BackendName, Choice
from steadyrun.model.plan import LoadKind, LoadSpec
from steadyrun.model.record import State
from steadyrun.model.run import RunKind
from steadyrun.units import GIB, MIB, Bytes, Seconds

MACHINE = records.passed().header.machine
CHOICE = Choice(BackendName.CGROUP1, ())


def said(of, **how):
    return describe(of, MACHINE, CHOICE, None, **how)


def with_limits(of, **changes):
    return of._replace(phases=tuple(p._replace(limits=p.limits._replace(**changes)) for p in of.phases))


def test_a_plan_of_built_in_loads_names_its_largest_limit():
    assert re.search(r"^The loads get at most 400 MiB; ", said(plan(300, 400, command=False)), re.M)


def test_a_command_that_may_be_given_more_is_in_the_most_that_is_said():
    words = "The loads get at most 1012 MiB (300 MiB, and more where the command is killed at its limit); "
    assert words in said(plan(300, tries=4))
    assert "The loads get at most 300 MiB; " in said(plan(300, tries=1))


def test_what_a_ramp_goes_on_with_is_in_the_most_that_is_said():
    of = plan(300, tries=1)
    broke_off = attempt(of.phases[0], State.INTERRUPTED, memory_mib=450)
    assert "The loads get at most 450 MiB (300 MiB, " in said(of, carried=(broke_off,))


def test_a_ramp_that_goes_on_counts_only_what_is_left():
    of = with_limits(plan(300, 400, 900, command=False), wall_time=Seconds(20.0))
    words = said(of, carried=tuple(attempt(phase) for phase in of.phases[1:]))
    assert "The loads get at most 300 MiB; " in words
    assert re.search(r"^Phase 3: .*: has passed$", words, re.M)
    assert words.count("hard limit") == 1
    assert "at most 2 min 35 s unless" in words


def test_a_ramp_with_nothing_left_names_no_load():
    of = plan(300, command=False)
    words = said(of, carried=(attempt(of.phases[0]),))
    assert "No load is run but the proofs'; " in words


def test_a_quota_above_the_cores_there_are_is_told():
    of = plan(300, command=False)
    assert "  cpu_max 64 limits nothing here: there are 20 cores" in said(with_limits(of, cpu_max=64.0))
    assert "limits nothing here" not in said(with_limits(of, cpu_max=20.0))


@pytest.mark.parametrize("wall_s", [20.0, 60.0])
def test_it_does_not_usually_take_longer_than_it_can(wall_s):
    of = plan(command=False)
    load = LoadSpec(LoadKind.HOG, memory=Bytes(900 * GIB))
    of = of._replace(phases=(of.phases[0]._replace(load=load),))
    of = with_limits(of, wall_time=Seconds(wall_s), memory_max=Bytes(500 * MIB))
    usual, most = re.search(r"about (.*), at most (.*) unless a phase has to be repeated", said(of)).groups()
    assert (usual, most) == {
        20.0: ("38 s", "2 min 35 s"),
        60.0: ("78 s", "3 min 15 s"),
    }[wall_s]


def test_each_try_of_a_command_is_in_the_most_time():
    of = with_limits(plan(300, tries=3), wall_time=Seconds(60.0))
    assert "about 15 s and the time of your command, at most 9 min 15 s unless" in said(of)
    assert "at most" not in said(plan(300)).partition("It takes")[2].partition("\n")[0]


@pytest.mark.parametrize(
    ("argv", "hint"),
    [
        (("make -j8",), 'each word is a string of its own: command = ["make", "-j8"]'),
        (("make  -j8", "all"), 'each word is a string of its own: command = ["make", "-j8", "all"]'),
        (("make | tee log",), "a line of shell goes as: sh -c 'make | tee log'"),
        (("no-such-command",), "check its spelling and PATH"),
    ],
)
def test_a_command_that_is_not_there_is_named_with_its_place_in_the_plan(argv, hint):
    with pytest.raises(UsageError) as caught:
        expect_command(argv, source="my.toml: phase[2].command: ")
    said = f"my.toml: phase[2].command: {argv[0]}: expected a command, found none of that name"
    assert caught.value.message == said
    assert caught.value.hint == hint


def test_a_plans_phases_are_counted_from_one_as_in_its_other_errors(tmp_path):
    file = tmp_path / "my.toml"
    good = '[[phase]]\nload = "command"\nnumber = {}\nname = "x"\ncommand = ["{}"]\nmemory_max = "100M"\n'
    file.write_text(good.format(1, "true") + good.format(2, "make -j8"))
    args = SimpleNamespace(
        plan=str(file), argv=(), tries=None, problem=None, goal=None, ok_exit=None, accept_weak=False
    )
    with pytest.raises(UsageError, match=r"my.toml: phase\[2\].command: make -j8: expected a command"):
        plan_for(args, Settings(), MACHINE, None, earlier=None)
    args.argv = ("make -j8",)  # typed behind --
    with pytest.raises(UsageError, match=r"^make -j8: expected a command"):
        plan_for(args, Settings(), MACHINE, None, earlier=None)


def test_a_ramp_has_nothing_left_where_every_phase_of_this_very_plan_passed():
    passed = records.passed()
    assert has_all_passed(passed.header.plan, MACHINE, passed)
    of = passed.header.plan
    other = of.phases[-1]._replace(load=of.phases[-1].load._replace(argv=("another",)))
    changed = of._replace(phases=(*of.phases[:-1], other))
    assert not has_all_passed(changed, MACHINE, passed)
    last = passed.attempts[-1]._replace(state=State.FAILED)
    assert not has_all_passed(of, MACHINE, passed._replace(attempts=(*passed.attempts[:-1], last)))


def goes_on(record, **args):
    _expect_resumable(record, SimpleNamespace(**({"plan": None, "argv": ()} | args)))


def in_folder(folder, argv=("make",)):
    return records.passed()._replace(header=records.passed().header._replace(cwd=str(folder), argv=argv))


def test_a_ramp_goes_on_with_its_command_where_it_ran_it_and_nowhere_else(tmp_path, monkeypatch):
    there, here = tmp_path / "the project", tmp_path / "here"
    there.mkdir()
    here.mkdir()
    monkeypatch.chdir(here)
    goes_on(in_folder(here))
    with pytest.raises(UsageError, match=r"ran its command in .*the project, this is .*here") as caught:
        goes_on(in_folder(there))
    assert f"cd '{there}' && steadyrun ramp --resume " in caught.value.hint
    for fine in ({"argv": ("make",)}, {"plan": "my.toml"}):
        goes_on(in_folder(there), **fine)
    goes_on(in_folder(there, argv=()))  # built-in loads


@pytest.mark.parametrize("kind", [RunKind.RUN, RunKind.DOCTOR])
def test_what_is_no_ramp_is_not_gone_on_with(kind, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    record = in_folder(tmp_path)
    with pytest.raises(UsageError, match=f"expected a ramp to go on with, found a {kind.value}"):
        goes_on(record._replace(header=record.header._replace(kind=kind)))


def test_a_command_that_was_typed_has_no_place():
    with pytest.raises(UsageError, match=r"^make -j8: expected a command"):
        expect_command(("make -j8",))
