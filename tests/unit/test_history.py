"""The list of runs: which command each was, safe for a terminal and for a program."""

import json

from journal_values import a_header, opened

from steadyrun.cli.main import main
from steadyrun.model.run import RunEnd


def listed(tmp_path, monkeypatch, capsys, *argvs, words=()):
    monkeypatch.setenv("STEADYRUN_STATE_DIR", str(tmp_path))
    tmp_path.chmod(0o700)
    with opened(tmp_path) as journal:
        for number, argv in enumerate(argvs):
            journal.begin_run(a_header(f"r{number}", argv=argv))
    assert main(["history", *words]) == 0
    return capsys.readouterr().out


def test_each_line_ends_in_its_command_as_a_shell_takes_it(tmp_path, monkeypatch, capsys):
    out = listed(tmp_path, monkeypatch, capsys, ("make", "-j"), ("sh", "-c", "echo 'a b'"), ())
    none, shell, make = out.splitlines()
    assert make.endswith("  make -j")
    assert shell.endswith("""  sh -c 'echo '"'"'a b'"'"''""")
    assert none.endswith("looks into it")


def test_a_long_or_hostile_command_stays_on_its_line(tmp_path, monkeypatch, capsys):
    out = listed(tmp_path, monkeypatch, capsys, ("x" * 500,), ("a\nb\x1b[2J",))
    hostile, long = out.splitlines()
    assert long.endswith("x...")
    assert len(long) < 200
    assert "\\x1b" in hostile


def test_json_has_the_whole_command(tmp_path, monkeypatch, capsys):
    argv = ("x" * 500, b"caf\xe9".decode("utf-8", "surrogateescape"))
    (row,) = json.loads(listed(tmp_path, monkeypatch, capsys, argv, words=["--json"]))
    assert row["command"] == ["x" * 500, "caf\\udce9"]


def test_a_header_that_cannot_be_read_has_no_command(tmp_path, monkeypatch, capsys):
    with opened(tmp_path) as journal:
        journal.begin_run(a_header("r9"))
        journal._connection.execute("UPDATE runs SET header='[1'")
    out = listed(tmp_path, monkeypatch, capsys)
    assert out.startswith("r9 ")


def test_a_run_during_which_the_clock_was_set_back_has_no_length(tmp_path, monkeypatch, capsys):
    with opened(tmp_path) as journal:
        journal.begin_run(a_header("r9"))
        journal.end_run("r9", RunEnd(a_header("r9").started_wall - 3598.6, 0, "exited"))
    assert "exit 0, the clock was set back" in listed(tmp_path, monkeypatch, capsys)


def test_a_journal_that_could_not_be_used_is_not_passed_over_in_silence(tmp_path, monkeypatch, capsys):
    tmp_path.chmod(0o700)
    (tmp_path / "journal.db").write_text("garbage\n")
    monkeypatch.setenv("STEADYRUN_STATE_DIR", str(tmp_path))
    assert main(["history"]) == 0
    said = capsys.readouterr().err
    (kept,) = tmp_path.glob("journal.db.set-aside-*")
    assert "could not be used" in said
    assert f"{kept}" in said
