"""What a person reads before they let it on their machine, and what a program gets."""

import re
from pathlib import Path

import pytest
from protect_disk import FragileDisk
from protect_tree import GIB, Desktop

from steadyrun.cli.protect_json import plan_object, status_object, undone_object
from steadyrun.cli.protect_words import (
    applied_lines,
    joined,
    plan_lines,
    status_closing,
    status_lines,
    to_undo_lines,
    undone_lines,
)
from steadyrun.protect.inforce import State
from steadyrun.protect.plan import plan
from steadyrun.protect.protection import Protection
from steadyrun.protect.read import read_facts
from steadyrun.protect.shares import Profile, shares_of

GOLDEN = Path(__file__).parent / "golden" / "protect-desktop.txt"
PAGE = Path(__file__).parents[2] / "docs" / "protect.md"
WIDTH = 100
PROGRAM = ("/opt/steadyrun/bin/python", "-P")


@pytest.fixture
def tree(tmp_path):
    return Desktop(tmp_path)


def planned(tree, *, euid=0):
    facts = read_facts(root=tree.root, env={"HOME": "/home/desk"}, euid=euid, program=PROGRAM)
    return plan(facts)


def protection(tree):
    return Protection("/var/lib/steadyrun", FragileDisk(tree.root), root=tree.root)


def shown(tree, *, euid=0):
    made, guarded = planned(tree, euid=euid), protection(tree)
    return joined(plan_lines(made, guarded.pending(made), guarded.record(), WIDTH))


def test_a_stranger_reads_this_for_a_desktop_of_one_scope(tree):
    """Change the words, look at them as a whole, then copy them over the golden page."""
    assert shown(tree) == GOLDEN.read_text()


@pytest.mark.parametrize("euid", [0, 1000])
def test_no_line_is_wider_than_the_page_and_none_is_hidden_from_a_terminal(tree, euid):
    for line in shown(tree, euid=euid).splitlines():
        assert len(line) <= WIDTH
        assert line.isprintable()


def test_it_ends_with_what_to_type(tree):
    assert shown(tree).endswith("Type next: sudo steadyrun protect --apply --profile desktop\n")
    assert shown(tree, euid=1000).endswith("Type next: steadyrun protect --apply --profile desktop\n")


def test_every_file_setting_and_value_is_shown_before_it_is_made(tree):
    text, made = shown(tree), planned(tree)
    for each in made.files:
        assert each.path in text
        for line in each.lines:
            assert line.text() in text or f"{line.key} = {line.value}" in text
    for value in made.values:
        assert f"{value.path}: {value.now} -> {value.value}" in text
    for each in made.skipped:
        assert each.what in text
    for finding in made.findings:
        assert finding.title in text


def test_once_applied_it_says_so(tree):
    protection(tree).apply(planned(tree))
    text = shown(tree)
    assert text.startswith("Lasting protection is applied, and nothing is left to be changed.")
    assert "steadyrun protect --status" in text


def test_an_older_version_is_told_what_is_replaced(tree):
    made = planned(tree)
    protection(tree).apply(made._replace(files=made.files[:4]))
    text = shown(tree)
    assert text.startswith("Lasting protection is applied; this is what would be changed in it.")
    assert made.files[0].path not in text, "it is as it would be"
    assert made.files[5].path in text


def test_after_an_apply_each_setting_is_read_back_what_is_not_in_force_first(tree):
    applied = protection(tree).apply(planned(tree))
    tree.file("sys/fs/cgroup/system.slice/ssh.service/cpu.weight", "100\n")
    status = protection(tree).status(planned(tree).facts)
    lines = list(status_lines(status, WIDTH))
    assert lines[0].startswith(f"  {State.NO.value}") or lines[0].startswith(f"  {State.UNKNOWN.value}")
    assert "not all of it" in status_closing(status, protection(tree).record(), planned(tree).facts)
    assert f"Applied: {len(applied.changes)} changes" in joined(applied_lines(applied, WIDTH))


def test_what_an_undo_would_do_and_did_is_told(tree):
    assert list(to_undo_lines(protection(tree).record())) == [
        "Nothing is applied here, nothing to be undone."
    ]
    protection(tree).apply(planned(tree))
    would = joined(to_undo_lines(protection(tree).record()))
    assert "/etc/tmpfiles.d/steadyrun.conf: removed\n" in would
    assert "/proc/201/oom_score_adj: 200 again\n" in would
    tree.file("sys/kernel/mm/lru_gen/min_ttl_ms", "3000\n")
    undone = protection(tree).undo()
    text = " ".join(joined(undone_lines(undone, WIDTH)).split())
    assert "left: /sys/kernel/mm/lru_gen/min_ttl_ms" in text
    assert undone_object(undone)["left"][0]["path"] == "/sys/kernel/mm/lru_gen/min_ttl_ms"


def test_the_page_names_everything_that_a_program_gets(tree):
    text = PAGE.read_text().partition("## JSON")[2].replace("\n", " ")
    named = set(re.findall(r"`(\w+)`", text.partition("`--status --json` has")[0]))
    made, guarded = planned(tree), protection(tree)
    told = plan_object(made, guarded.pending(made), guarded.record())
    assert named == {*told, *told["files"][0], "exit_code"} | {"settings"}
    status = set(re.findall(r"`(\w+)`", text.partition("`--status --json` has")[2].partition("their")[0]))
    assert status == set(status_object(guarded.status(made.facts), guarded.record())) - {"schema"}
    assert all(f"`{state.value}`" in text for state in State)


def test_the_pages_table_of_shares_is_what_is_computed():
    rows = re.findall(
        r"^\| (\d+) GiB \| (\d+) % \| (\d+) % \| (\d+) % \| (\d+) % \|$", PAGE.read_text(), re.M
    )
    assert len(rows) == 4
    for row in rows:
        gib, *percents = map(int, row)
        shares = shares_of(gib * GIB, Profile.DESKTOP)
        assert percents == [shares.everybody, shares.person, shares.ordinary, shares.session]
