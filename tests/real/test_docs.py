"""What README and docs show is what the program does: their commands, messages, tables and fields."""

import json
import os
import re
import shlex
import signal
from pathlib import Path

import pytest
from program import a_ramp_runs

from conftest import until
from steadyrun.cli.main import COMMANDS

pytestmark = [pytest.mark.real, pytest.mark.usefixtures("nothing_left")]

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
STAND_INS = {
    "COMMAND": ["true"],
    "YOUR COMMAND": ["true"],
    "pytest -n auto": ["sh", "-c", "exit 0"],
    "make -j": ["sh", "-c", "exit 0"],
}
"""What runs in place of the user's command."""


def blocks(page, kind=r"\w*"):
    """Return the fenced and the indented blocks of a page, without their fences."""
    text = page.read_text()
    fenced = re.findall(rf"^```{kind}\n(.*?)^```", text, re.M | re.S)
    return fenced + re.findall(r"(?:^ {4}\S.*\n)+", text, re.M)


def examples():
    """Return (page, words) for every command line that a page shows to be typed."""
    found = []
    for page in PAGES:
        for block in blocks(page):
            for line in block.splitlines():
                typed = re.match(r"(?: {4}|\$ |tomorrow: )?(steadyrun .*)", line)
                if typed:
                    found += [(page.name, words) for words in commands_of(typed[1])]
    return found


def commands_of(line):
    """Split `steadyrun a | b      what it does` into commands: two spaces or a # begin the words about it."""
    typed = re.split(r"\s{2,}|\s#", line)[0].split(" > ")[0]
    name, _, rest = typed.partition(" ")
    return [f"{name} {each.strip()}" for each in rest.split(" | ")]


EXAMPLES = examples()


def test_there_are_examples_and_every_command_has_one():
    shown = {words.split()[1] for _, words in EXAMPLES}
    assert shown == set(COMMANDS)


def with_stand_in(typed):
    """Return (options, command) of an example, with something harmless in place of the user's command."""
    own, dashes, command = typed.partition(" -- ")
    return shlex.split(own)[1:], ["--", *STAND_INS[command]] if dashes else []


@pytest.fixture
def prepared(steadyrun):
    """The files that the examples speak of, made as the examples make them."""
    made = steadyrun("ramp", "--print-plan")
    assert made.returncode == 0, made.stderr
    for name in ("plan.toml", "my.toml"):
        (steadyrun.cwd / name).write_text(made.stdout)
    return steadyrun


NEEDS_A_RUN = ("stop", "watch", "report")
HAS_SYSTEMD = os.path.isdir("/run/systemd/system")
CANNOT = 3


@pytest.mark.parametrize(("page", "typed"), EXAMPLES, ids=lambda each: str(each)[:60])
def test_every_example_does_what_it_says(prepared, page, typed):
    words, command = with_stand_in(typed)
    name = words[0]
    if name == "canary":
        words += ["--seconds", "0.5"]
    if name == "ramp" and not {"--dry-run", "--print-plan", "--resume"} & set(words):
        words.append("--dry-run")
    if name == "protect":
        words.append("--dry-run")
    done = prepared(*words, *command)
    if name == "protect" and "--undo" not in words and not HAS_SYSTEMD:
        assert done.returncode == CANNOT, done.stdout + done.stderr
        assert "steadyrun run -- COMMAND" in done.stdout + done.stderr
    elif "--resume-on-boot" in words and not HAS_SYSTEMD:
        assert done.returncode == CANNOT, done.stdout + done.stderr
        assert "leave it out" in done.stderr
    elif name in NEEDS_A_RUN or "--resume" in words:
        assert done.returncode == 2, done.stderr
        assert re.match(r"steadyrun: expected (one|a (running )?(run|ramp))\b", done.stderr), done.stderr
    else:
        assert done.returncode == 0, done.stdout + done.stderr


def test_report_and_history_show_a_run_that_was(steadyrun):
    assert steadyrun("run", "-q", "--memory", "64M", "--", "true").returncode == 0
    (run_id,) = steadyrun.run_ids()
    assert f"{run_id} " in steadyrun("history").stdout
    shown = steadyrun("report", run_id, "--format", "json")
    assert shown.returncode == 0, shown.stderr
    assert json.loads(shown.stdout)["command"] == ["true"]


def test_the_printed_plan_is_read_back(prepared):
    shown = prepared("ramp", "--dry-run", "plan.toml")
    assert shown.returncode == 0
    assert shown.stdout == prepared("ramp", "--dry-run").stdout


def test_the_line_about_a_kill_has_the_form_that_the_readme_shows(steadyrun):
    (line,) = [
        each
        for block in blocks(PAGES[0])
        for each in block.splitlines()
        if each.startswith("steadyrun: killed")
    ]
    done = steadyrun("run", "--memory", "64M", "--", "python3", "-c", "b = bytearray(200 << 20)")
    assert done.returncode == 137
    assert without_figures(done.stderr) == without_figures(line + "\n")


def without_figures(text):
    return re.sub(r"\d+", "N", text)


def keys_of_table(page, heading="key"):
    """Return the names in the first column of the table whose first heading is this."""
    rows = re.search(rf"^\| {heading} \|.*\n\|[-| ]+\n((?:\|.*\n)+)", page.read_text(), re.M)[1]
    return [key for row in rows.splitlines() for key in re.findall(r"`([^`]+)`", row.split(" | ")[0])]


def test_the_outcome_has_exactly_the_keys_of_its_page(steadyrun):
    page = ROOT / "docs" / "run-json.md"
    steadyrun("run", "-q", "--memory", "64M", "--json", "out.json", "--", "true")
    found = json.loads((steadyrun.cwd / "out.json").read_text())
    assert sorted(found) == sorted(keys_of_table(page))
    assert found["schema"] == 1
    row = next(line for line in page.read_text().splitlines() if line.startswith("| `termination`"))
    assert found["termination"] in re.findall(r"`([^`]+)`", row.partition(" | ")[2])


def test_the_doctors_json_has_exactly_the_names_of_its_page(steadyrun):
    text = (ROOT / "docs" / "doctor.md").read_text().partition("## JSON")[2].replace("\n", " ")
    found = json.loads(steadyrun("doctor", "--json").stdout)
    assert found["schema"] == 1
    for name, value in found.items():
        assert f"`{name}`" in text
        for inner in value[0] if isinstance(value, list) else value if isinstance(value, dict) else ():
            assert f"`{inner}`" in text, f"{name}.{inner}"
    named = set(re.findall(r"`(\w+)`", text.partition("The levels are")[0]))
    inside = {key for value in found.values() for item in _objects(value) for key in item}
    assert named - {"null"} == set(found) | inside
    levels = set(re.findall(r"`([a-z ]+)`", text.partition("The levels are")[2].partition(".")[0]))
    assert {rung["level"] for rung in found["rungs"]} <= levels


def _objects(value):
    if isinstance(value, dict):
        return [value]
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def test_the_doctors_rungs_are_those_of_its_page(steadyrun):
    page = (ROOT / "docs" / "doctor.md").read_text()
    table = page.partition("## Rungs")[2].partition("## Proofs")[0]
    listed = {
        name
        for row in re.findall(r"^\| ([^|]+) \|", table, re.M)
        for name in _spread(row)
        if name not in ("rung", "---")
    }
    found = json.loads(steadyrun("doctor", "--json").stdout)
    assert {rung["name"] for rung in found["rungs"]} == listed
    proofs = page.partition("## Proofs")[2].partition("## JSON")[0]
    assert all(f"| {proof['name']} |" in proofs for proof in found["proofs"])


def _spread(row):
    """`controller memory, cpu` names two rungs: `controller memory` and `controller cpu`."""
    names = [name.strip() for name in row.split(",")]
    first = names[0].split(" ")[0] if names[0].startswith("controller ") else ""
    return [names[0], *(f"{first} {name}".strip() for name in names[1:])]


def test_report_json_has_the_fields_of_its_page(steadyrun):
    from test_ramp import PLAN, RAMP

    assert until(lambda: not a_ramp_runs(), 120, every=0.2)
    (steadyrun.cwd / "plan.toml").write_text(PLAN)
    assert steadyrun(*RAMP, timeout=90).returncode == 0
    found = json.loads((steadyrun.cwd / "report/latest/report.json").read_text())
    page = ROOT / "docs" / "report-json.md"
    assert sorted(found["summary"]) == sorted(keys_of_table(page, "name"))
    (example,) = [json.loads(block) for block in blocks(page, "json") if block.startswith("{")]
    assert_shaped_like(example, found, "report.json")


def assert_shaped_like(example, found, path):
    """Every name that the example shows is there, and holds something of its kind."""
    for name, value in example.items():
        if name == "...":
            continue
        assert name in found, f"{path}.{name}"
        if isinstance(value, dict):
            assert_shaped_like(value, found[name], f"{path}.{name}")
        elif isinstance(value, list) and value:
            assert_shaped_like(value[0], found[name][0], f"{path}.{name}[0]")


def test_the_exit_codes_of_the_readme_are_those_of_the_program():
    from steadyrun import errors

    table = PAGES[0].read_text().partition("| exit code |")[2].partition("\n\n")[0]
    named = {int(n) for cell in re.findall(r"^\| ([\d, ]+) \|", table, re.M) for n in cell.split(",")}
    ours = {value for name, value in vars(errors).items() if name.startswith("EXIT_")}
    ours |= {
        each.exit_code
        for each in vars(errors).values()
        if isinstance(each, type) and issubclass(each, errors.SteadyrunError)
    }
    assert ours <= named | {128 + signal.SIGINT}
