"""The command from its words to its exit code, on a machine of files."""

import io
import json
import os

import pytest
from protect_disk import FragileDisk, PowerCutError
from protect_tree import GIB, SESSION, USER, Desktop

from steadyrun.cli import protect
from steadyrun.cli.parser import Parser
from steadyrun.errors import CannotContainError
from steadyrun.journal.place import choose_dir
from steadyrun.protect.plan import plan
from steadyrun.protect.protection import Protection
from steadyrun.protect.read import read_facts


@pytest.fixture
def tree(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/home/desk")
    for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "STEADYRUN_STATE_DIR", "STEADYRUN_YES"):
        monkeypatch.delenv(name, raising=False)
    tree = Desktop(tmp_path)
    tree.file("home/desk/.config/x", "")
    tree.file("home/desk/.local/state/x", "")
    return tree


@pytest.fixture
def run(tree, capsys):
    """Run the command; return exit code and what it printed."""
    parser = Parser("protect", "x")
    protect.configure(parser)

    def run(*words):
        code = protect.execute(parser.parse(list(words)), root=tree.root)
        return code, capsys.readouterr().out

    return run


def test_without_an_option_it_shows_and_changes_nothing(tree, run):
    before = tree.everything()
    code, out = run()
    assert code == 0
    assert out.startswith("This is what would be changed on this machine. Nothing is changed yet.")
    assert run("--apply", "--dry-run") == (code, out)
    assert tree.everything() == before


def test_apply_status_undo(tree, run):
    before = tree.everything()
    code, out = run("--apply")
    assert code == 0, "no cgroup of this machine says otherwise"
    assert "Applied: " in out
    code, out = run("--status")
    assert (code, "and in force" in out) == (0, True)
    code, out = run("--undo", "--dry-run")
    assert (code, ": removed\n" in out) == (0, True)
    code, out = run("--undo")
    assert (code, "taken back" in out) == (0, True)
    assert tree.everything() == before
    assert run("--status") == (1, "Nothing is applied here. `steadyrun protect` shows what would be.\n")


def test_the_profile_that_was_applied_is_the_one_that_is_shown_from_then_on(run):
    run("--apply", "--profile", "workstation")
    _, out = run()
    assert "Profile workstation" in out
    assert out.startswith("Lasting protection is applied, and nothing is left to be changed.")
    assert json.loads(run("--status", "--json")[1])["profile"] == "workstation"


def test_what_is_not_in_force_is_exit_code_1(tree, run):
    run("--apply")
    path = json.loads(run("--json")[1])["files"][0]["path"]
    with open(tree.root + path, "a") as file:
        file.write("# mine\n")
    code, out = run("--status", "--json")
    told = json.loads(out)
    assert (code, told["exit_code"], told["holds"]) == (1, 1, False)
    code, out = run("--undo")
    assert code == 1
    assert "somebody has changed it since" in " ".join(out.split())


def test_json_of_an_apply_names_what_was_changed(run):
    told = json.loads(run("--apply", "--json")[1])
    assert told["exit_code"] == 0
    assert any(path.endswith("steadyrun.slice.d/10-steadyrun.conf") for path in told["changed"])
    assert json.loads(run("--apply", "--json")[1])["changed"] == []


@pytest.mark.parametrize("deed", ["apply", "undo"])
def test_after_a_crash_an_apply_takes_back_what_is_half_done_before_it_plans(tree, run, deed):
    before = tree.everything()
    facts = read_facts(root=tree.root, env=os.environ, euid=os.geteuid())
    state = choose_dir(os.environ, os.geteuid())
    if deed == "undo":
        run("--apply")
    fragile = Protection(state, FragileDisk(tree.root, 70), root=tree.root)
    with pytest.raises(PowerCutError):
        fragile.apply(plan(facts)) if deed == "apply" else fragile.undo()
    code, out = run("--status")
    assert (code, "A crash interrupted a change" in out) == (1, True)
    assert run()[1].startswith("A crash interrupted a change here.")
    code, out = run("--apply")
    assert code == 0
    assert out.startswith("A crash had interrupted a change here: it was taken back first.")
    assert "MemoryMax" in out
    applied = tree.everything()
    assert run("--undo")[0] == 0
    assert tree.everything() == before
    run("--apply")
    now = tree.everything()
    assert {k: v for k, v in now.items() if "protect.changes" not in k} == {
        k: v for k, v in applied.items() if "protect.changes" not in k
    }, "as if there had been no crash, values too"


@pytest.mark.skipif(os.geteuid() != 0, reason="root's part")
def test_a_user_is_told_that_root_has_done_it(tree, run, monkeypatch):
    run("--apply")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    _, out = run()
    assert "Root has applied lasting protection for the whole machine" in out
    assert "sudo steadyrun protect --status" in run("--status")[1]


def test_where_it_cannot_be_done_every_way_in_says_so(tree, run):
    os.rmdir(f"{tree.root}/run/systemd/system")
    for words in ((), ("--apply",), ("--status",), ("--apply", "--dry-run")):
        with pytest.raises(CannotContainError, match="no systemd"):
            run(*words)
        code, out = run(*words, "--json")
        assert (code, json.loads(out)["possible"]) == (3, False)
    assert run("--undo")[0] == 0


def test_what_was_applied_is_undone_where_systemd_is_gone(tree, run):
    before = tree.everything()
    run("--apply")
    os.rename(f"{tree.root}/run/systemd/system", f"{tree.root}/run/systemd/elsewhere")
    assert run("--undo")[0] == 0
    os.rename(f"{tree.root}/run/systemd/elsewhere", f"{tree.root}/run/systemd/system")
    assert tree.everything() == before


def fill(tree, gib=15):
    tree.file(f"{USER}/{SESSION}/memory.current", f"{gib * GIB}\n")
    tree.file(f"{USER}/{SESSION}/memory.stat", f"anon {gib * GIB}\n")


@pytest.fixture
def root():
    if os.geteuid() != 0:
        pytest.skip("sessions are root's part")


@pytest.mark.usefixtures("root")
def test_a_wall_that_what_runs_does_not_fit_behind_is_not_put_up(tree, run):
    fill(tree)
    before = tree.everything()
    with pytest.raises(CannotContainError, match=r"session-3\.scope may not fit") as caught:
        run("--apply", "--yes")
    assert caught.value.exit_code == 3
    assert "--force" in caught.value.hint
    code, out = run("--apply", "--json")
    told = json.loads(out)
    assert (code, told["exit_code"], told["findings"][0]["code"]) == (3, 3, "wall-too-full")
    assert tree.everything() == before
    assert "In the way now" in run()[1]


@pytest.mark.usefixtures("root")
def test_it_is_put_up_by_force(tree, run):
    fill(tree)
    run("--apply", "--force")
    assert "MemoryMax" in tree.text("etc/systemd/system/session-.scope.d/10-steadyrun.conf")


@pytest.mark.usefixtures("root")
def test_what_fills_up_until_enter_is_seen(tree, run, monkeypatch):
    fill(tree, gib=1)
    before = tree.everything()
    monkeypatch.setattr(protect, "wait_for_enter", lambda _words, yes: fill(tree))
    with pytest.raises(CannotContainError, match="may not fit"):
        run("--apply")
    fill(tree, gib=1)
    assert tree.everything() == before


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_on_a_terminal_nothing_happens_without_enter(tree, run, monkeypatch):
    before = tree.everything()
    monkeypatch.setattr("sys.stdin", Terminal(""))
    monkeypatch.setattr("sys.stdout", Terminal())
    with pytest.raises(KeyboardInterrupt):
        run("--apply")
    assert tree.everything() == before
    monkeypatch.setattr("sys.stdin", Terminal("\n"))
    run("--apply")
    assert tree.everything() != before
