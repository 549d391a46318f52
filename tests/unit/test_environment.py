"""A ramp that goes on under another environment says which variables are gone, and never what they held."""

import json

from journal_values import a_header, opened

from steadyrun.ramp.environment import NAMED_MOST, environment_changed
from steadyrun.ramp.process import _names_before


def test_what_is_gone_is_named_in_order():
    finding = environment_changed({"PATH", "JAVA_HOME", "HTTPS_PROXY"}, {"PATH", "INVOCATION_ID"})
    assert finding.evidence == "not set any more: HTTPS_PROXY, JAVA_HOME"
    assert "may fail for this alone" in finding.done


def test_what_is_new_or_the_shells_own_or_not_known_is_no_finding():
    assert environment_changed({"PATH"}, {"PATH", "INVOCATION_ID"}) is None
    assert environment_changed({"PATH", "SHLVL", "_", "PWD", "OLDPWD"}, {"PATH"}) is None
    assert environment_changed({"PATH", "MAKEFLAGS", "MAKELEVEL", "MAKE_TERMOUT"}, {"PATH"}) is None
    assert environment_changed((), {"PATH"}) is None


def test_of_very_many_the_rest_is_counted():
    finding = environment_changed({f"V{n:03}" for n in range(NAMED_MOST + 5)}, ())
    assert finding.evidence.endswith(f"V{NAMED_MOST - 1:03} and 5 more")


def test_the_names_of_all_runs_before_count_also_over_one_that_had_lost_them(tmp_path):
    tmp_path.chmod(0o700)
    with opened(tmp_path) as journal:
        journal.begin_run(a_header("r1", env_names=("CC", "PATH")))
        journal.begin_run(a_header("r2", env_names=("PATH",), resumed_from="r1"))
        journal.begin_run(a_header("r3", resumed_from="r0"))  # of one that is not there
        assert _names_before(journal, "r2") == {"CC", "PATH"}
        assert _names_before(journal, "r3") == set()
        assert _names_before(journal, None) == set()


def test_a_header_that_an_older_steadyrun_wrote_has_no_names(tmp_path):
    tmp_path.chmod(0o700)
    with opened(tmp_path) as journal:
        journal.begin_run(a_header("r1"))
        (text,) = journal._connection.execute("SELECT header FROM runs").fetchone()
        old = {name: value for name, value in json.loads(text).items() if name != "env_names"}
        journal._connection.execute("UPDATE runs SET header=?", (json.dumps(old),))
        assert journal.record("r1").header.env_names == ()
