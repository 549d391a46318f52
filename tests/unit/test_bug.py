"""A bug of ours as the record tells it: that it was ours, where it was, where the traceback is."""

import pytest

from steadyrun.model.limits import Limits
from steadyrun.ramp.bug import bug_finding, bug_reason, where_raised
from steadyrun.units import parse_size


def raised(act):
    with pytest.raises(Exception) as caught:  # noqa: PT011  # any: that is the point
        act()
    return caught.value


def test_the_innermost_place_of_ours_is_named_not_the_librarys_below_it():
    error = raised(lambda: parse_size(None, source="x"))  # fails inside `re`
    assert where_raised(error).startswith("units.py:")
    assert where_raised(error).endswith(" in parse_size")


def test_an_error_without_a_traceback_has_no_place():
    assert where_raised(ValueError("x")) == "an unknown place"


def test_the_finding_names_error_place_and_log():
    error = raised(lambda: parse_size(None, source="x"))
    found = bug_finding(error, "/r/conductor.log")
    assert "ended the ramp" in found.title
    assert "TypeError: expected string" in found.evidence
    assert "units.py:" in found.evidence
    assert "the whole traceback is in /r/conductor.log" in found.evidence


def test_a_reason_is_one_line():
    assert bug_reason(KeyError("a\nb")) == "steadyrun itself failed: KeyError: 'a\\nb'"
    assert bug_reason(ValueError("a\nb")) == "steadyrun itself failed: ValueError: a b"
    assert bug_reason(raised(lambda: Limits(1, nothing=2))).startswith("steadyrun itself failed: TypeError: ")
    assert bug_reason(AssertionError()) == "steadyrun itself failed: AssertionError"
