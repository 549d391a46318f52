"""The live view fits its terminal, and the plain lines tell the same story."""

import io

import pytest
import records
from rich.cells import cell_len
from rich.console import Console

from steadyrun.cli.live import EVENT_LINES, LiveView, bar, spark, stalled
from steadyrun.cli.plain import line_for
from steadyrun.model.limits import Limits
from steadyrun.model.record import State
from steadyrun.units import MIB


def view(record, *, ticks=28):
    shown = LiveView().update(record)
    for i in range(1, ticks):
        shown.sample(
            records.reading(i, memory=i * 70 * MIB, load1=float(i), stalled_us=i * i * 400),
            Limits(memory_max=2000 * MIB),
        )
    return shown


def picture(shown, width, *, encoding="utf-8", **options):
    raw = io.BytesIO()
    console = Console(
        file=io.TextIOWrapper(raw, encoding=encoding, write_through=True),
        width=width,
        force_terminal=True,
        **options,
    )
    console.print(shown)
    return raw.getvalue().decode(encoding)


@pytest.mark.parametrize("name", records.ALL)
@pytest.mark.parametrize("width", [40, 52, 80, 132])
def test_every_line_fits_the_terminal(name, width):
    text = picture(view(records.ALL[name]()), width, color_system=None)
    assert all(cell_len(line) <= width for line in text.splitlines())


def test_an_event_is_wrapped_and_its_reason_is_not_cut():
    text = picture(view(records.killed_at_limit()), 60, color_system=None)
    assert "ended, exit code 0: all phases passed" in text
    last = line_for(None, records.killed_at_limit())[-1]
    assert last in " ".join(text.split())
    assert "…" not in text.split("available")[1]


def test_events_that_are_long_take_no_more_than_their_lines():
    shown = LiveView().update(records.killed_at_limit())
    at_40 = picture(shown, 40, color_system=None).splitlines()
    first = next(n for n, line in enumerate(at_40) if line.startswith("15:5"))
    assert len(at_40) - 1 - first <= EVENT_LINES


@pytest.mark.parametrize(
    ("elapsed", "wall_time", "said"),
    [
        (2.0, 60.0, " 2.0 s of 3.0 s"),
        (30.0, 60.0, " 30 s of at most 60 s"),
        (61.0, 60.0, " 61 s"),
        (30.0, None, " 30 s"),
    ],
)
def test_a_load_that_takes_longer_than_it_should_is_held_against_its_wall_time(elapsed, wall_time, said):
    record = records.halfway()
    running = record.attempts[-1]
    running = running._replace(limits=running.limits._replace(wall_time=wall_time))
    shown = LiveView().update(record._replace(attempts=(*record.attempts[:-1], running)))
    reading = records.reading(1)
    at = running.started_wall + elapsed
    shown.sample(reading._replace(host=reading.host._replace(wall=at)), Limits())
    lines = picture(shown, 80, color_system=None).splitlines()
    assert any("▶ 3" in line and line.endswith(said) for line in lines), lines


def test_the_running_phase_shows_elapsed_of_expected_and_memory_against_its_limit():
    text = picture(view(records.halfway()), 80, color_system=None)
    assert "▶ 3 Moderate (4 Processes, 2GB total)" in text
    assert "2.7 s of 3.0 s" in text
    assert "1890 MiB of 2000 MiB" in text
    assert "27.00 on 20 cores" in text
    assert "17 % stalled on memory" in text
    assert "To stop: Ctrl-C" in text


def test_a_terminal_without_utf8_gets_ascii_alone():
    text = picture(view(records.halfway()), 80, encoding="ascii", color_system=None)
    assert text.isascii()
    assert "> 3 Moderate" in text
    assert "####" in text


def test_no_color_gives_no_colour(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[3" not in picture(view(records.halfway()), 80)


def test_what_commands_wrote_moves_no_cursor():
    text = picture(view(records.hostile()), 80, color_system=None)
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_nothing_known_yet_is_a_picture_too():
    assert "waiting" in picture(LiveView(), 40, color_system=None)
    assert "unknown" in picture(
        LiveView().update(records.halfway()).sample(records.reading(1, memory=None), Limits()),
        80,
        color_system=None,
    )


def test_the_view_draws_and_stops_on_a_console():
    out = io.StringIO()
    with view(records.halfway()) as shown:
        shown.start(Console(file=out, width=80, force_terminal=True))
    shown.stop()
    assert "Moderate" in out.getvalue()
    assert out.getvalue().endswith("\x1b[?25h")


@pytest.mark.parametrize(
    ("values", "drawn"), [([0, 50, 100, 900], "▁▅██"), ([None, 0], " ▁"), ([1], "   ▁"), ([], "    ")]
)
def test_a_sparkline(values, drawn):
    assert spark(values, top=100, width=4) == drawn.rjust(4)


@pytest.mark.parametrize(("part", "drawn"), [(0.5, "##--"), (2.0, "####"), (-1.0, "----"), (None, "----")])
def test_a_bar(part, drawn):
    assert bar(part, width=4, ascii_only=True) == drawn


def test_the_last_line_says_how_to_stop_then_that_it_was_asked_then_nothing():
    shown = view(records.halfway())
    shown.say("asking the ramp to stop")
    text = picture(shown, 80, color_system=None)
    assert text.splitlines()[-1].strip() == "Asking the ramp to stop"
    assert "To stop" not in text
    assert "To stop" not in picture(view(records.passed()), 80, color_system=None)


def test_stalled_time_is_a_share_of_the_interval_and_a_counter_that_fell_is_unknown():
    assert stalled(records.psi(0), records.psi(500_000), 1.0) == 0.5
    assert stalled(records.psi(5), records.psi(0), 1.0) is None
    assert stalled(None, records.psi(0), 1.0) is None


def test_a_ramp_reads_as_a_story_in_plain_lines():
    lines, before = [], None
    for record in (records.just_begun(), records.halfway(), records.passed()):
        lines += line_for(before, record)
        before = record
    assert lines[0].startswith("15:49:21 PST run 20251107-154921-3f9a: 5 phases")
    assert "15:49:58 phase 1 Ultra-Conservative: started, limit 500 MiB" in lines
    assert (
        "15:50:02 phase 1 Ultra-Conservative: passed in 4.2 s: peak 488 MiB of 500 MiB (headroom 12 MiB), "
        "load 3.10 -> 3.12 -> 3.01, worst gap 3.0 ms"
    ) in lines
    assert sum("phase 3 Moderate: started" in line for line in lines) == 1
    assert lines[-2:] == [
        "15:52:11 PST ended, exit code 0: all phases passed",
        "tomorrow: steadyrun run --memory 8000M -- python3 chat.py --test",
    ]


def test_a_ramp_that_goes_on_tells_in_one_line_what_the_one_before_came_to():
    resumed = records.crashed_and_resumed()
    lines = line_for(None, resumed)
    assert [line for line in lines if "CRASHED" in line] == [lines[1]]
    assert lines[1].startswith(
        f"it goes on from run {resumed.header.resumed_from}: phase 1 Ultra-Conservative passed"
    )
    own = line_for(resumed._replace(attempts=()), resumed)
    assert any("phase 4 Progressive: CRASHED" in line for line in own)


def test_no_change_is_no_line():
    assert line_for(records.passed(), records.passed()) == []


def test_a_kill_at_the_limit_says_which_limit_and_what_comes_next():
    lines = line_for(None, records.killed_at_limit())
    assert any(
        "phase 5 Advanced: FAILED" in line and "killed at its memory limit of 8000 MiB" in line
        for line in lines
    )
    assert any("phase 5.2 Advanced: killed at 8000 MiB while the machine held" in line for line in lines)


def test_a_weak_containment_is_said_in_plain_lines():
    assert all(
        "containment not guaranteed" in line for line in line_for(None, records.weak()) if ": passed" in line
    )
    ended = next(line for line in line_for(None, records.weak()) if "ended, exit code" in line)
    assert ended.endswith("(containment not guaranteed)")


@pytest.mark.parametrize("state", list(State))
def test_every_state_has_its_words(state):
    record = records.passed()
    changed = record._replace(attempts=(record.attempts[0]._replace(state=state),))
    lines = line_for(None, changed)
    assert all("\n" not in line for line in lines)
