import argparse
import shlex

import pytest

from steadyrun.cli import report
from steadyrun.cli.options import add_limit_options, limits_of
from steadyrun.cli.parser import Parser
from steadyrun.cli.settings import Settings
from steadyrun.errors import UsageError
from steadyrun.model.envelope import kind_of, proven_limits
from steadyrun.model.limits import Limits
from steadyrun.model.plan import LoadKind, LoadSpec
from steadyrun.report.command import limit_options, run_command
from steadyrun.units import GIB, MIB, Bytes, Seconds


@pytest.mark.parametrize(
    "limits",
    [
        Limits(memory_max=8000 * MIB, tasks_max=4096),
        Limits(memory_max=500_000_001, swap_max=64 * MIB, cpu_max=1.5, wall_time=90.5),
        Limits(memory_max=GIB, memory_high=512 * MIB, cpu_weight=50, io_read_bps=MIB, io_write_bps=2 * MIB),
    ],
)
def test_the_words_are_read_back_as_the_same_limits(limits):
    parser = Parser("run", "about")
    add_limit_options(parser)
    assert limits_of(parser.parse(limit_options(limits)), Settings()) == limits


def test_the_command_can_be_pasted_into_a_shell():
    line = run_command(("sh", "-c", "echo 'a b'"), Limits(memory_max=MIB))
    assert shlex.split(line) == ["steadyrun", "run", "--memory", "1M", "--", "sh", "-c", "echo 'a b'"]
    assert run_command((), Limits(memory_max=MIB)).endswith("-- YOUR COMMAND")


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["--memroy", "1G"], "did you mean --memory? "),
        (["--cpu=2"], "did you mean --cpus? "),
        (["--no-such-thing-anywhere"], ""),
        (["-x"], ""),
        (["--secert"], ""),
    ],
)
def test_a_misspelt_option_is_asked_for_by_its_name(words, hint):
    parser = Parser("run", "about")
    add_limit_options(parser)
    parser.add_argument("--secret", help=argparse.SUPPRESS)
    with pytest.raises(UsageError) as refused:
        parser.parse(words)
    assert refused.value.hint == f"{hint}`steadyrun run --help` lists the options"


@pytest.mark.parametrize(
    ("words", "begins"),
    [
        (["make", "-j"], "the command goes after --: steadyrun run -- COMMAND; "),
        (["--resmue"], "`steadyrun run"),
        (["-v", "--no-such"], "`steadyrun run"),
    ],
)
def test_a_command_without_its_dashes_is_told_from_a_wrong_option(words, begins):
    parser = Parser("run", "about")
    parser.takes_command = True
    with pytest.raises(UsageError) as refused:
        parser.parse(words)
    assert refused.value.hint.startswith(begins)


def test_two_formats_of_a_report_are_one_too_many():
    parser = Parser("report", "about")
    report.configure(parser)
    with pytest.raises(UsageError, match="--format: not allowed with argument --json"):
        parser.parse(["--json", "--format", "md"])


@pytest.mark.parametrize(
    ("argv", "kind"),
    [
        ((), "storm"),
        (("pytest", "-n", "auto"), "pytest"),
        (("/usr/bin/make", "-j"), "make"),
        (("python3", "-m", "pytest", "tests"), "pytest"),
        (("python3.12", "chat.py", "--test"), "chat.py"),
        (("python3",), "python3"),
        (("sh", "-c", "exit 3"), "sh -c exit 3"),
        (("sh", "-c", "make\n  test"), "sh -c make test"),
        (("bash", "-ec", "cd /a && make"), "bash -c cd /a && make"),
        (("bash", "-e", "ci/build.sh"), "build.sh"),
        (("python3", "-B", "-c", "1/2"), "python3 -c 1/2"),
        (("perl", "-ne", "print /a/"), "perl -c print /a/"),
        (("node", "--eval", "1/2"), "node -c 1/2"),
        (("sudo", "sh", "-c", "make"), "sh -c make"),
        (("sudo", "nice", "-n", "5"), "nice"),
        (("nice", "-n", "19", "make", "-j"), "make"),
        (("env", "CC=clang", "python3", "-m", "pytest"), "pytest"),
        (("/opt/storm/bin/storm", "jar"), "./storm"),
    ],
)
def test_the_kind_of_a_load_is_the_program_that_does_the_work(argv, kind):
    assert kind_of(argv) == kind


def test_two_long_programs_that_begin_alike_are_two_kinds():
    first, second = (kind_of(("sh", "-c", "x" * 100 + end)) for end in "ab")
    assert first != second
    assert len(first) < 90


PASSED = Limits(memory_max=Bytes(8000 * MIB), cpu_weight=1, wall_time=Seconds(120.0), output_max=Bytes(MIB))
STORM = LoadSpec(LoadKind.STORM, 96, Bytes(6 * 10**9))
MAKE = LoadSpec(LoadKind.COMMAND, argv=("make",))


@pytest.mark.parametrize(
    ("load", "peak", "memory"),
    [
        (STORM, 6400 * MIB + 5, 6501 * MIB),
        (LoadSpec(LoadKind.HOG), 6400 * MIB, 6500 * MIB),
        (STORM, 7990 * MIB, 8000 * MIB),
        (STORM, 8001 * MIB, 8000 * MIB),
        (STORM, None, None),
        (MAKE, 100 * MIB, 8000 * MIB),
        (MAKE, None, 8000 * MIB),
    ],
)
def test_a_built_in_load_proves_the_memory_it_held_and_a_little_and_a_command_its_limit(load, peak, memory):
    assert proven_limits(load, PASSED, peak) == Limits(memory_max=memory, cpu_weight=1)


def test_a_throttle_limit_is_not_proven_above_the_hard_one():
    high = PASSED._replace(memory_high=Bytes(7000 * MIB))
    assert proven_limits(STORM, high, Bytes(6400 * MIB)).memory_high == 6500 * MIB
    assert proven_limits(STORM, high, Bytes(7500 * MIB)).memory_high == 7000 * MIB
