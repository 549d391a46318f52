"""The table of formats: what a ramp writes and what `steadyrun report` prints are the same pages."""

import json

import pytest
import records
from test_report_single import a_run

from steadyrun.report.formats import FORMATS


def test_each_format_has_a_file_of_its_own():
    assert len({each.file for each in FORMATS.values()}) == len(FORMATS)


@pytest.mark.parametrize("name", FORMATS)
def test_a_ramp_is_rendered_whole_and_anything_else_short(name):
    made = FORMATS[name]
    ramp, single = records.passed(), a_run()
    assert made.render(ramp) == made.ramp(ramp) != made.render(single)
    assert made.render(single) == made.single(single)


def test_markdown_and_json_are_what_they_say():
    assert FORMATS["md"].render(records.passed()).startswith("#")
    assert json.loads(FORMATS["json"].render(records.passed()))["schema"]
    assert json.loads(FORMATS["json"].render(a_run()))["schema"]
