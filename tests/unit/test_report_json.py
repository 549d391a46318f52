"""report.json is strict JSON, with a unit in every name that has one."""

import json

import pytest
import records

from steadyrun.report.json import SCHEMA, render_json


@pytest.mark.parametrize("name", records.ALL)
def test_every_record_is_strict_json(name):
    text = render_json(records.ALL[name]())
    text.encode("utf-8")
    assert json.loads(text)["schema"] == SCHEMA == 1


def test_names_carry_their_units():
    data = json.loads(render_json(records.passed()))
    limits = data["attempts"][0]["limits"]
    assert limits["memory_max_bytes"] == 500 * 2**20
    assert limits["wall_time_s"] == 60.0
    assert "io_read_bytes_per_s" in limits
    evidence = data["attempts"][0]["evidence"]
    assert evidence["before"]["host"]["psi_memory"]["some_total_us"] == 0
    assert evidence["worst"]["psi_cpu_some_frac"] == 0.12
    assert evidence["guard_cpu_ratio"] == 0.007
    assert evidence["output_bytes"] == 36
    assert data["attempts"][0]["state"] == "PASSED"


def test_the_summary_has_the_figures_one_reads_first():
    summary = json.loads(render_json(records.passed()))["summary"]
    assert summary["started"] == "2025-11-07T15:49:21-08:00"
    assert (summary["phases_passed"], summary["phases"]) == (5, 5)
    assert summary["load1_highest"] == 36.01
    assert (summary["desktop_restarts"], summary["crashes"], summary["reboots"]) == (0, 0, 0)
    assert summary["containment_guaranteed"] is True


def test_without_a_desktop_its_restarts_are_null_and_not_zero():
    summary = json.loads(render_json(records.headless_machine()))["summary"]
    assert summary["desktop"] is False
    assert summary["desktop_restarts"] is None


def test_what_is_no_number_is_null():
    record = records.passed()
    record = record._replace(baseline=record.baseline._replace(load1=float("nan"), uptime=float("inf")))
    baseline = json.loads(render_json(record))["baseline"]
    assert (baseline["load1"], baseline["uptime_s"]) == (None, None)
