"""Plan files: what is read, what is refused with which words, what is printed; and docs/plans.md."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from evidence import RAM, RESERVE, phase, plan
from hypothesis import given
from hypothesis import strategies as st

from steadyrun.errors import PlanError
from steadyrun.model.limits import Limits
from steadyrun.model.machine import reserve_of
from steadyrun.model.plan import LoadKind, LoadSpec, Phase, Plan
from steadyrun.ramp.default_plan import STORM_PROCESSES, default_plan
from steadyrun.ramp.planfile import check_plan, print_plan, read_plan, with_command
from steadyrun.units import GIB, MIB, Bytes, Cores, Seconds

DOCS = Path(__file__).parents[2] / "docs" / "plans.md"
HOG = '[[phase]]\nload = "hog"\nmemory = "400MB"\nmemory_max = "500M"\n'


def read(text):
    return read_plan(text, source="plan.toml")


def test_a_small_plan_takes_its_defaults():
    made = read(HOG)
    assert made == Plan(
        "plan",
        Seconds(10.0),
        (
            Phase(
                1,
                "Memory",
                "",
                "",
                "",
                "",
                LoadSpec(LoadKind.HOG, 1, Bytes(400 * 10**6), Seconds(3.0)),
                Limits(memory_max=Bytes(500 * MIB)),
            ),
        ),
    )


def test_every_key_is_read():
    made = read(
        """
        name = "mine"
        baseline = "1m"
        problem = "it crashes"
        goal = "it does not"
        tries = 2
        [[phase]]
        number = 7
        name = "N"
        summary = "S"
        goal = "G"
        method = "M"
        expected = "E"
        load = "command"
        command = ["make", "-j4"]
        memory_max = "2G"
        memory_high = "1800M"
        swap_max = "max"
        cpu_max = 1.5
        cpu_weight = 20
        tasks_max = 100
        io_read_bps = "10MB"
        io_write_bps = "20MB"
        io_weight = 30
        wall_time = "1h30m"
        output_max = "1M"
        scaled = "because"
        """
    )
    limits = Limits(
        memory_max=Bytes(2 * GIB),
        memory_high=Bytes(1800 * MIB),
        swap_max=None,
        cpu_max=Cores(1.5),
        cpu_weight=20,
        tasks_max=100,
        io_read_bps=Bytes(10**7),
        io_write_bps=Bytes(2 * 10**7),
        io_weight=30,
        wall_time=Seconds(5400.0),
        output_max=Bytes(MIB),
    )
    load = LoadSpec(LoadKind.COMMAND, argv=("make", "-j4"))
    only = Phase(7, "N", "S", "G", "M", "E", load, limits, "because")
    assert made == Plan("mine", Seconds(60.0), (only,), "it crashes", "it does not", 2)


def test_a_storm_is_the_usual_one_unless_it_says_otherwise():
    load = read('[[phase]]\nload = "storm"\nmemory = "6GB"\nmemory_max = "8000M"').phases[0].load
    assert load == LoadSpec(LoadKind.STORM, STORM_PROCESSES, Bytes(6 * 10**9), Seconds(30.0))


@pytest.mark.parametrize("spelling", ['"1.5"', '"150%"', "1.5"])
def test_cpu_is_a_number_of_cores_or_a_percentage(spelling):
    assert read(f"{HOG}cpu_max = {spelling}").phases[0].limits.cpu_max == 1.5


REFUSED = [
    ("x = [", "plan.toml: expected TOML, found an error"),
    ("", "plan.toml: phase: expected at least one [[phase]] table, found nothing"),
    ("phase = 3", "plan.toml: phase: expected at least one [[phase]] table, found 3"),
    (
        "phases = 1",
        "plan.toml: phases: expected one of phase, name, baseline, problem, goal, tries, "
        "found 'phases' - did you mean phase?",
    ),
    (f"tries = 0\n{HOG}", "plan.toml: tries: expected a whole number of at least 1, found 0"),
    (
        f"baseline = 10\n{HOG}",
        "plan.toml: baseline: expected a duration in quotes such as '90s' or '10m', found 10",
    ),
    (f'baseline = "ten"\n{HOG}', "plan.toml: baseline: expected a duration such as 90, 90s"),
    (f'{HOG}{HOG}memory_mx = "3"', "plan.toml: phase[2].memory_mx: expected one of load, number"),
    (f'{HOG}memory_mx = "3"', "found 'memory_mx' - did you mean memory_max or memory?"),
    ("[[phase]]", "plan.toml: phase[1].load: expected one of 'hog', 'storm', 'command', found nothing"),
    (
        '[[phase]]\nload = "hg"',
        "plan.toml: phase[1].load: expected one of 'hog', 'storm', 'command', found 'hg'",
    ),
    ('[[phase]]\nload = "hog"', "plan.toml: phase[1].memory: expected a size such as '500MB', found nothing"),
    (HOG.replace("400MB", "5x"), "plan.toml: phase[1].memory: expected a size such as 500M"),
    (
        f"{HOG}output_max = 3",
        "phase[1].output_max: expected a size in quotes such as '500M' or '500MB', found 3",
    ),
    (
        f"{HOG}wall_time = 3",
        "phase[1].wall_time: expected a duration in quotes such as '90s' or '10m', found 3",
    ),
    (f'{HOG}processes = "x"', "phase[1].processes: expected a whole number of at least 1, found 'x'"),
    (f"{HOG}cpu_weight = 0", "phase[1].cpu_weight: expected a whole number from 1 to 10000, found 0"),
    (
        f"{HOG}cpu_max = true",
        "phase[1].cpu_max: expected a number of cores such as 1.5, or '150%', found True",
    ),
    (f"{HOG}cpu_max = -1", "phase[1].cpu_max: expected a number of cores such as 1.5, or 150%, found '-1'"),
    (f"{HOG}name = 1979-05-27", "phase[1].name: expected a text in quotes, found datetime.date"),
    (
        '[[phase]]\nload = "command"\ncommand = ["a", 1]',
        "phase[1].command: expected a list of texts, the command and its arguments, found ['a', 1]",
    ),
    (
        '[[phase]]\nload = "command"\nmemory = "1M"',
        "phase[1].memory: expected nothing for load = 'command', found a value",
    ),
    (f'{HOG}command = ["x"]', "phase[1].command: expected nothing for load = 'hog', found a value"),
]


@pytest.mark.parametrize(("text", "message"), REFUSED)
def test_what_cannot_be_read_is_refused_with_its_place_and_what_is_allowed(text, message):
    with pytest.raises(PlanError, match=re.escape(message)) as caught:
        read(text)
    assert caught.value.exit_code == 2


@given(st.text())
def test_any_text_is_a_plan_or_a_plan_error(text):
    try:
        read(text)
    except PlanError as error:
        said = error.message
    else:
        said = "plan.toml: read"
    assert said.startswith("plan.toml: ")


TEXTS = st.text(st.characters(codec="utf-8"))
SIZES = st.integers(0, 2**50).map(Bytes)
TIMES = st.integers(1, 10**9).map(lambda ms: Seconds(ms / 1000))
WEIGHTS = st.none() | st.integers(1, 10000)
LOADS = st.one_of(
    st.tuples(
        st.sampled_from([LoadKind.HOG, LoadKind.STORM]),
        st.integers(1, 1000),
        SIZES,
        TIMES,
    ).map(lambda fields: LoadSpec(*fields)),
    st.lists(TEXTS).map(lambda argv: LoadSpec(LoadKind.COMMAND, argv=tuple(argv))),
)
LIMITS = st.builds(
    Limits,
    memory_max=st.none() | SIZES,
    memory_high=st.none() | SIZES,
    swap_max=st.none() | SIZES,
    cpu_max=st.none() | st.integers(1, 10**6).map(lambda n: Cores(n / 1000)),
    cpu_weight=WEIGHTS,
    tasks_max=WEIGHTS,
    io_read_bps=st.none() | SIZES,
    io_write_bps=st.none() | SIZES,
    io_weight=WEIGHTS,
    wall_time=st.none() | TIMES,
    output_max=st.none() | SIZES,
)
PHASES = st.builds(
    Phase, st.integers(1, 99), TEXTS, TEXTS, TEXTS, TEXTS, TEXTS, LOADS, LIMITS, st.none() | TEXTS
)
PLANS = st.builds(
    Plan,
    TEXTS,
    TIMES,
    st.lists(PHASES, max_size=3).map(tuple),
    st.none() | TEXTS,
    st.none() | TEXTS,
    st.integers(1, 99),
)


@given(PLANS.filter(lambda p: p.phases))
def test_a_printed_plan_is_read_as_the_same_plan(made):
    assert read(print_plan(made)) == made


def test_a_printed_plan_is_written_as_a_person_would():
    ram = Bytes(24 * GIB)
    text = print_plan(default_plan(effective_ram=ram, reserve=reserve_of(ram), argv=("pytest", "-n 8")))
    for line in (
        'memory = "500MB"  # each of them',
        'memory_max = "500M"  # hard limit: the load is killed there',
        'swap_max = "0"',
        'hold = "3s"',
        'command = ["pytest", "-n 8"]',
        "#",
    ):
        assert line in text


def test_an_argument_that_toml_cannot_hold_is_refused():
    bytes_argument = phase(1, 500, LoadKind.COMMAND, load=LoadSpec(LoadKind.COMMAND, argv=("\udcff",)))
    with pytest.raises(PlanError, match="command: expected text that a TOML file can hold"):
        print_plan(plan()._replace(phases=(bytes_argument,)))


def with_limits(index, made=None, **changes):
    made = made or plan()
    changed = made.phases[index]
    changed = changed._replace(limits=changed.limits._replace(**changes))
    return made._replace(phases=(*made.phases[:index], changed, *made.phases[index + 1 :]))


def with_load(index, load):
    made = plan()
    changed = made.phases[index]._replace(load=load)
    return made._replace(phases=(*made.phases[:index], changed, *made.phases[index + 1 :]))


UNFIT = [
    (plan()._replace(phases=()), "p: phase: expected at least one [[phase]] table, found none"),
    (
        with_limits(4, memory_max=Bytes(23 * GIB)),
        "p: phase[5].memory_max: expected at most 22118M (effective RAM 24 GiB less the reserve 2.4 GiB), "
        "found 23 GiB",
    ),
    (
        with_limits(0, memory_max=None),
        "p: phase[1].memory_max: expected a limit of at most 22118M, found none",
    ),
    (with_limits(0, memory_max=Bytes(MIB)), "p: phase[1].memory_max: expected at least 4M, found 1 MiB"),
    (
        with_limits(0, memory_high=Bytes(GIB)),
        "p: phase[1].memory_high: expected at most memory_max, 500 MiB, found 1 GiB",
    ),
    (
        plan(500, 1000, 900),
        "p: phase[3].memory_max: expected 1000 MiB, as phase[2] has, or looser, found 900 MiB",
    ),
    (
        with_limits(1, cpu_max=Cores(2.0)),
        "p: phase[2].cpu_max: expected no limit, as phase[1] has, or looser, found 2 cores",
    ),
    (
        with_limits(1, with_limits(0, swap_max=None), swap_max=Bytes(0)),
        "p: phase[2].swap_max: expected no limit, as phase[1] has, or looser, found 0 B",
    ),
    (
        plan()._replace(phases=(phase(1), phase(2), phase(1))),
        "p: phase[3].number: expected a number of its own, found 1, which phase[1] has",
    ),
    (
        with_load(4, LoadSpec(LoadKind.COMMAND)),
        "p: phase[5].command: expected a command and its arguments, found nothing",
    ),
    (with_load(0, LoadSpec(LoadKind.HOG, memory=Bytes(0))), "p: phase[1].memory: expected at least one byte"),
    (
        with_load(0, LoadSpec(LoadKind.HOG, memory=Bytes(900 * GIB))),
        "p: phase[1].memory: expected less than memory_max and swap_max hold, 500 MiB, for all its processes "
        "together, found 900 GiB: the kernel would kill it there",
    ),
    (
        with_load(1, LoadSpec(LoadKind.HOG, 4, Bytes(250 * MIB))),
        "p: phase[2].memory: expected less than memory_max and swap_max hold, 1000 MiB, for all its "
        "processes together, found 1000 MiB",
    ),
    (
        with_load(4, LoadSpec(LoadKind.STORM, 96, Bytes(9 * GIB))),
        "p: phase[5].memory: expected less than memory_max and swap_max hold, 8000 MiB",
    ),
    (
        with_limits(0, wall_time=Seconds(3.0)),
        "p: phase[1].hold: expected less than wall_time, 3.0 s, found 3.0 s",
    ),
]


@pytest.mark.parametrize(("made", "message"), UNFIT)
def test_what_cannot_be_carried_out_here_is_refused_with_its_place(made, message):
    with pytest.raises(PlanError, match=re.escape(message)):
        check_plan(made, effective_ram=RAM, reserve=RESERVE, source="p")


def test_a_plan_with_equal_limits_or_a_quota_that_grows_is_fine():
    grows = with_limits(1, with_limits(0, cpu_max=Cores(1.0)), cpu_max=Cores(2.0))
    equal = with_limits(0, memory_high=Bytes(500 * MIB))
    for made in (plan(500, 500), grows, equal):
        check_plan(made, effective_ram=RAM, reserve=RESERVE)


def test_a_hog_larger_than_its_memory_limit_may_swap_where_it_is_let():
    large = LoadSpec(LoadKind.HOG, memory=Bytes(7 * GIB + 900 * MIB))
    for swap in (None, Bytes(GIB)):
        made = with_limits(4, with_load(4, large), swap_max=swap)
        check_plan(made._replace(phases=made.phases[4:]), effective_ram=RAM, reserve=RESERVE)


def test_a_refused_hog_is_told_the_size_that_fits():
    with pytest.raises(PlanError) as caught:
        check_plan(with_load(1, LoadSpec(LoadKind.HOG, 4, Bytes(GIB))), effective_ram=RAM, reserve=RESERVE)
    assert caught.value.hint == 'memory = "236M", or a larger memory_max'


def test_the_command_line_fills_the_phases_that_name_no_command():
    empty = LoadSpec(LoadKind.COMMAND)
    made = with_load(3, empty)
    filled = with_command(made, ("make",))
    assert [p.load.argv for p in filled.phases[3:]] == [("make",), ("pytest", "-n", "8")]


def test_the_command_line_takes_the_place_of_the_last_command():
    assert with_command(plan(), ("make",)).phases[-1].load.argv == ("make",)


def test_a_command_for_a_plan_without_one_is_refused():
    with pytest.raises(PlanError, match="expected one with load = 'command' to run 'make' in"):
        with_command(plan(command=False), ("make",))


def blocks(kind):
    return re.findall(rf"^```{kind}\n(.*?)^```", DOCS.read_text(), re.M | re.S)


@pytest.mark.parametrize("text", blocks("toml"))
def test_every_plan_in_the_documentation_works(text):
    check_plan(read(text), effective_ram=RAM, reserve=RESERVE)


@pytest.mark.parametrize("text", blocks("toml wrong"))
def test_every_wrong_plan_in_the_documentation_gives_the_message_beside_it(text):
    wrong, message = text.split("# says: ")
    with pytest.raises(PlanError) as caught:
        check_plan(
            read(wrong), effective_ram=Bytes(8 * GIB), reserve=reserve_of(Bytes(8 * GIB)), source="plan.toml"
        )
    assert caught.value.message == message.strip()


def test_the_documentation_names_every_key():
    page = DOCS.read_text()
    assert f"| 1; {STORM_PROCESSES} |" in page
    for key in (
        *Limits._fields,
        "processes",
        "memory",
        "hold",
        "command",
        "load",
        "number",
        "baseline",
        "tries",
    ):
        assert f"`{key}`" in page, key
