"""Pressure files."""

import pytest

from steadyrun.errors import FormatError
from steadyrun.kernel.psi import parse_psi, parse_psi_avg60
from steadyrun.model.sample import Psi

BOTH = (
    "some avg10=12.50 avg60=0.13 avg300=0.21 total=8217649\nfull avg10=1.00 avg60=0.00 avg300=0.00 total=42\n"
)


def test_both_lines_give_totals_in_microseconds_and_the_average_as_a_share():
    assert parse_psi(BOTH, source="memory.pressure") == Psi(8217649, 42, 0.125)


def test_a_file_without_a_full_line_leaves_full_unknown():
    only_some = BOTH.splitlines(keepends=True)[0]
    assert parse_psi(only_some, source="cpu").full_total is None


def test_the_order_of_fields_and_further_fields_do_not_matter():
    text = "full total=2 avg10=0.00\nsome total=1 avg5=3.00 avg10=100.00 avg900=0.00\n"
    assert parse_psi(text, source="x") == Psi(1, 2, 1.0)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "some\n",
        "some avg10=0.00 avg60=0.00\n",
        "some total=5\n",
        "full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
        "some avg10=0.00 total=-1\n",
        "some avg10=0.00 total=1_000\n",
        "some avg10=nan total=0\n",
        "some avg10=100.01 total=0\n",
        "some avg10=1e1 total=0\n",
        "some avg10=0.00 total=0\nmost avg10=0.00 total=0\n",
        "some avg10=0.00 total=٣\n",
        "some avg10=0.00 total=" + "9" * 5000,
    ],
)
def test_text_of_another_form_is_refused_with_its_source(text):
    with pytest.raises(FormatError, match=r"^/proc/pressure/io: expected .*, found ") as caught:
        parse_psi(text, source="/proc/pressure/io")
    assert len(caught.value.message) < 250


@pytest.mark.parametrize(
    ("text", "shares"),
    [
        (BOTH, (0.0013, 0.0)),
        (BOTH.splitlines(keepends=True)[0], (0.0013, None)),
        ("full total=1 avg60=100.00\nsome avg60=12.50\n", (0.125, 1.0)),
    ],
)
def test_the_average_of_the_last_minute_is_a_share_of_some_and_of_full(text, shares):
    assert parse_psi_avg60(text, source="memory.pressure") == pytest.approx(shares)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "some avg60=0.00\n\n",
        "some avg10=0.00 total=0\n",
        "full avg60=0.00\n",
        "some avg60=900.00\n",
        "some avg60=-1.00\n",
        "some avg60=0.00\nmost avg60=0.00\n",
        "some\tavg60=0.00\n",
    ],
)
def test_an_average_of_another_form_is_refused_with_its_source(text):
    with pytest.raises(FormatError, match=r"^/proc/pressure/io: expected .*, found "):
        parse_psi_avg60(text, source="/proc/pressure/io")
