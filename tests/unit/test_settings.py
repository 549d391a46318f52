"""Settings: precedence, meaning, and messages that name file, key and what is allowed."""

import os
from pathlib import Path

import pytest

from steadyrun.cli import ramp, run
from steadyrun.cli.guard_settings import changes
from steadyrun.cli.options import LIMITS, OPTIONS
from steadyrun.cli.parser import Parser
from steadyrun.cli.settings import Settings, load_settings, read_text
from steadyrun.errors import UsageError
from steadyrun.model.limits import Limits
from steadyrun.model.machine import reserve_of
from steadyrun.model.thresholds import SPANS, Thresholds
from steadyrun.units import GIB

HERE, TABLE, OWN = "/w/steadyrun.toml", "/w/pyproject.toml", "/home/x/.config/steadyrun/config.toml"


def load(files=None, env=None):
    return load_settings("/w", env or {}, "/home/x", read=(files or {}).get)


def refused(files=None, env=None):
    with pytest.raises(UsageError) as caught:
        load(files, env)
    return caught.value.message, caught.value.hint or ""


def test_nothing_is_set_where_nothing_is_written():
    assert load() == Settings()


def test_the_nearer_place_wins_key_by_key():
    files = {
        OWN: 'memory = "1G"\ncpus = 1\ntasks = 1\nswap = "1G"',
        TABLE: '[tool.steadyrun]\nmemory = "2G"\ncpus = 2\ntasks = 2',
        HERE: 'memory = "3G"\ncpus = 3',
    }
    found = load(files, {"STEADYRUN_MEMORY": "4G"})
    assert found.word("memory") == ("4G", "STEADYRUN_MEMORY")
    assert found.word("cpus") == ("3", f"{HERE}: cpus")
    assert found.word("tasks") == ("2", f"{TABLE}: tool.steadyrun.tasks")
    assert found.word("swap") == ("1G", f"{OWN}: swap")
    assert found.word("timeout") is None


def test_the_own_file_is_where_xdg_says_and_relative_places_are_ignored():
    there = {"/elsewhere/steadyrun/config.toml": 'goal = "g"', OWN: 'goal = "h"'}
    assert load(there, {"XDG_CONFIG_HOME": "/elsewhere"}).text("goal") == "g"
    assert load(there, {"XDG_CONFIG_HOME": "elsewhere"}).text("goal") == "h"


@pytest.mark.parametrize(
    ("line", "key", "text"),
    [
        ('memory = "500MB"', "memory", "500MB"),
        ("memory = 1048576", "memory", "1048576"),
        ("swap = 0", "swap", "0"),
        ('cpus = "150%"', "cpus", "150%"),
        ("cpus = 1.5", "cpus", "1.5"),
        ("cpu_weight = 10000", "cpu_weight", "10000"),
        ('timeout = "1h30m"', "timeout", "1h30m"),
        ('progress = "none"', "progress", "none"),
        ('problem = "it crashes"', "problem", "it crashes"),
        ("tries = 2", "tries", "2"),
    ],
)
def test_a_value_keeps_the_words_it_was_written_in(line, key, text):
    assert load({HERE: line}).text(key) == text


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("memory = true", 'expected a size such as "500M"'),
        ('memory = "4Q"', "expected a size such as 500M"),
        ("memory = 1.5", "expected a size"),
        ("memory = -1", "expected a size"),
        ("memory = [1]", "expected a size"),
        ("tasks = 0", "expected a whole number of at least 1"),
        ("cpu_weight = 10001", "expected a weight of 1 to 10000"),
        ("cpu_weight = 0", "expected a weight of 1 to 10000"),
        ('progress = "fancy"', "expected one of auto, bar, text, none"),
        ("timeout = nan", "expected a duration"),
        ("timeout = inf", "expected a duration"),
        ('goal = " "', "expected some text"),
        ("cpus = 0", "expected a number of cores"),
    ],
)
def test_a_wrong_value_is_refused_with_file_key_and_what_is_allowed(line, says):
    message, _ = refused({HERE: line})
    assert message.startswith(f"{HERE}: {line.split()[0]}: expected ")
    assert says in message


@pytest.mark.parametrize(
    ("line", "hint"), [("memroy = 1", "did you mean memory?"), ("cpu-weight = 1", "did you mean cpu_weight?")]
)
def test_an_unknown_key_is_refused_with_the_one_that_was_meant(line, hint):
    message, found = refused({HERE: line})
    assert message.startswith(f"{HERE}: ")
    assert found == hint


def test_a_key_like_none_is_refused_with_all_there_are():
    _, hint = refused({TABLE: "[tool.steadyrun]\nzzz = 1"})
    assert all(option.key in hint for option in OPTIONS)


def test_broken_toml_is_refused_with_its_place():
    message, _ = refused({HERE: "memory = \n"})
    assert message.startswith(f"{HERE}: expected TOML")


def test_a_table_that_is_no_table_is_refused():
    message, _ = refused({TABLE: "tool.steadyrun = 3"})
    assert "tool.steadyrun: expected a table" in message


@pytest.mark.parametrize(
    "text", ["[project]\nname = 'other'\n", "[tool.ruff]\nx = 1", "tool = 1 # steadyrun"]
)
def test_a_pyproject_without_our_table_sets_nothing(text):
    assert load({TABLE: text}) == Settings()


def test_somebody_elses_broken_pyproject_is_not_ours_to_complain_about():
    assert load({TABLE: "this is = = not toml"}) == Settings()


def test_a_misspelt_variable_is_refused_and_a_foreign_one_passed_over():
    message, hint = refused(env={"STEADYRUN_MEMROY": "4G"})
    assert message.startswith("STEADYRUN_MEMROY: ")
    assert hint == "did you mean STEADYRUN_MEMORY?"
    assert load(env={"STEADYRUN_TEST_TOKEN": "1", "STEADYRUN_STATE_DIR": "/x"}) == Settings()


def test_an_empty_variable_sets_nothing():
    assert load(env={"STEADYRUN_MEMORY": ""}) == Settings()


def test_a_wrong_variable_is_refused_by_its_name():
    assert refused(env={"STEADYRUN_MEMORY": "much"})[0].startswith("STEADYRUN_MEMORY: expected a size")


@pytest.mark.parametrize(("text", "flag"), [("1", True), ("yes", True), ("off", False), ("False", False)])
def test_yes_is_read_from_the_environment(text, flag):
    assert load(env={"STEADYRUN_YES": text}).flag("yes") is flag


def test_yes_is_read_from_the_persons_own_file():
    assert load({OWN: "yes = true"}).flag("yes") is True
    assert load().flag("yes") is None


@pytest.mark.parametrize(("path", "head"), [(HERE, ""), (TABLE, "[tool.steadyrun]\n")])
def test_a_project_cannot_answer_for_the_person(path, head):
    message, hint = refused({path: head + "yes = true"})
    assert "yes: expected no such answer in a project's file" in message
    assert "--yes" in hint


def test_every_setting_is_an_option_of_run_or_ramp_and_is_on_its_page():
    parsers = [Parser(name, "about") for name in ("run", "ramp")]
    for parser, module in zip(parsers, (run, ramp), strict=True):
        module.configure(parser)
    flags = {flag for parser in parsers for action in parser._actions for flag in action.option_strings}
    page = (Path(__file__).parents[2] / "docs/settings.md").read_text()
    for option in OPTIONS:
        assert option.flag in flags
        assert f"`{option.key}`" in page


def test_every_limit_that_can_be_typed_is_one_row_and_one_field():
    assert len({option.limit for option in LIMITS}) == len(LIMITS)
    assert {option.limit for option in LIMITS} <= set(Limits._fields)


def guard_of(files, env=None):
    return changes(load(files, env))


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ('protected_full = "50ms"', {"protected_full": 0.05}),
        ("frames_silent = 1", {"frames_silent": 1.0}),
        ('protected_some = "10%"', {"protected_some": 0.1}),
        ("protected_some = 0.1", {"protected_some": 0.1}),
        ("reds_max = 5", {"reds_max": 5}),
        ("usual_factor = 2.5", {"usual_factor": 2.5}),
    ],
)
def test_the_guards_thresholds_are_set_in_a_table_of_their_own(line, found):
    assert guard_of({HERE: f"[guard]\n{line}"}) == found
    assert guard_of({TABLE: f"[tool.steadyrun.guard]\n{line}"}) == found


def test_the_nearer_place_wins_threshold_by_threshold():
    files = {
        HERE: "[guard]\nclean = 3\nfutile = 4",
        TABLE: "[tool.steadyrun.guard]\nclean = 9\nstall_max = 1",
    }
    found = guard_of(files, {"STEADYRUN_GUARD_FUTILE": "7s"})
    assert found == {"clean": 3.0, "futile": 7.0, "stall_max": 1.0}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("clean = 0", "guard.clean: expected a time of 0.5 to 60 s"),
        ('frozen_max = "1d"', "guard.frozen_max: expected a time of 1 to 600 s"),
        ("protected_some = 5", "guard.protected_some: expected a share of 0.01 to 0.5"),
        ("reds_max = 2.5", "guard.reds_max: expected a whole number of 1 to 20"),
        ("reds_max = true", "guard.reds_max: expected a whole number"),
        ('usual_factor = "much"', "guard.usual_factor: expected a number of 1 to 10"),
        ("floor = 1", "guard.floor: expected a threshold of the guard, found the unknown key 'floor'"),
    ],
)
def test_no_setting_switches_the_guard_off(line, message):
    found, _ = refused({HERE: f"[guard]\n{line}"})
    assert found.startswith(f"{HERE}: {message}")


def test_a_threshold_that_was_misspelt_is_named():
    assert refused({HERE: "[guard]\nfrozenmax = 3"})[1] == "did you mean frozen_max?"
    assert "expected a table" in refused({HERE: "guard = 3"})[0]


def test_what_is_set_becomes_the_guards_table_and_the_rest_stays():
    reserve = reserve_of(24 * GIB)
    assert Thresholds.of(reserve).kill_least == reserve.reserve // 8 > 0
    changed = Thresholds.of(reserve, {"reds_max": 5.0, "clean": 4.0})
    assert changed == Thresholds.of(reserve)._replace(reds_max=5, clean=4.0)
    assert type(changed.reds_max) is int
    assert set(SPANS) < set(Thresholds._fields)
    for name, span in SPANS.items():
        assert span.least <= getattr(Thresholds.of(reserve), name) <= span.most


def test_files_are_read_from_disk(tmp_path):
    (tmp_path / "steadyrun.toml").write_text('memory = "5G"\n')
    found = load_settings(str(tmp_path), {}, str(tmp_path))
    assert found.word("memory") == ("5G", f"{tmp_path}/steadyrun.toml: memory")


@pytest.mark.parametrize("name", ["missing", "file/below"])
def test_a_file_that_is_not_there_is_no_error(tmp_path, name):
    (tmp_path / "file").write_text("")
    assert read_text(str(tmp_path / name)) is None


def test_a_file_that_cannot_be_read_is_one(tmp_path):
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    for name in ("bytes", "."):
        with pytest.raises(UsageError, match="expected"):
            read_text(os.path.join(tmp_path, name))
