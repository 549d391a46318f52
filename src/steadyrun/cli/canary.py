"""`steadyrun canary`: the desktop's frames alone, live. Changes nothing and judges nothing."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from typing import Any, assert_never

from steadyrun.cli.follow import CI_VARIABLES
from steadyrun.cli.parser import Parser
from steadyrun.desktop.probes import begin_look
from steadyrun.errors import EXIT_OK, BusyError
from steadyrun.guard.frames import CanaryProcess, FramesReader, make_frames, start_canary
from steadyrun.model.codec import encode
from steadyrun.model.desktop import Probe, ProbeName, Seen
from steadyrun.model.sample import Frames
from steadyrun.report.escape import visible
from steadyrun.units import Seconds, parse_duration

EVERY = Seconds(1.0)
EPILOG = """\
A small process shows 60 frames a second, as a desktop does, and measures how late each is. Below
16.7 ms nobody sees anything; above 100 ms a person does. With --display the X server or the
compositor is asked for a round trip each second, too: whether the desktop itself answers. Ctrl-C ends it.

examples:
  steadyrun canary
  steadyrun canary --display
  steadyrun canary --seconds 10 --json
"""


def configure(parser: Parser) -> None:
    """Say which options there are."""
    parser.usage = "steadyrun canary [--display] [--seconds N] [--json]"
    parser.epilog = EPILOG
    parser.add_argument(
        "--display", action="store_true", help="a round trip to the X server or compositor each second, too"
    )
    parser.add_argument("--seconds", metavar="N", help="end after this time (default: at Ctrl-C)")
    parser.add_argument("--json", action="store_true", help="one line of JSON a second")


def execute(args: argparse.Namespace) -> int:
    """Show the frames until the time is over or Ctrl-C. 0: they could be shown, however late."""
    seconds = None if args.seconds is None else parse_duration(args.seconds, source="--seconds")
    fd = make_frames()
    reader = FramesReader(fd)
    canary = _start(fd)
    screen = _Screen(args.json)
    began = time.monotonic()
    at = began
    try:
        while seconds is None or at < began + seconds:
            before, at = at, min(at + EVERY, began + (seconds or float("inf")))
            asked, patience = time.monotonic(), at - before
            look = begin_look(ProbeName.DISPLAY_SERVER, deadline_s=patience) if args.display else None
            time.sleep(max(0.0, at - time.monotonic()))
            if not canary.alive():
                canary.close()
                canary = _start(fd)
            now = Seconds(time.monotonic())
            frames = reader.read(now, Seconds(now - before))
            display = None if look is None else look.result(asked + patience)
            screen.show(frames, display, Seconds(now - began))
            at = max(at, now - EVERY)  # after a stop or a suspend: no burst of lines
    except KeyboardInterrupt:
        pass  # the way out of a live view, as Ctrl-C is of top
    finally:
        screen.end()
        canary.close()
        os.close(fd)
    return EXIT_OK


def _start(fd: int) -> CanaryProcess:
    try:
        return start_canary(fd)
    except OSError as error:
        raise BusyError(f"canary: expected to start a process, found: {error.strerror}") from None


class _Screen:
    """Where the figures go: one updating line on a terminal, plain lines else."""

    def __init__(self, as_json: bool) -> None:
        self._json = as_json
        self._live = not as_json and is_live(dict(os.environ), terminal=sys.stdout.isatty())

    def show(self, frames: Frames | None, display: Probe | None, at: Seconds) -> None:
        """Show one second's figures; `display`: of a round trip, `None` where none was asked for."""
        line = line_of(frames) + ("" if display is None else f"; {display_words(display)}")
        if self._json:
            text = json.dumps(frames_json(frames, at) | display_json(display)) + "\n"
        elif self._live:
            text = "\r\x1b[K" + line[: shutil.get_terminal_size().columns - 1]
        else:
            text = f"{at:5.0f} s  {line}\n"
        sys.stdout.write(text)
        sys.stdout.flush()

    def end(self) -> None:
        """Leave the cursor on a line of its own."""
        if self._live:
            sys.stdout.write("\n")


def is_live(env: dict[str, str], *, terminal: bool) -> bool:
    """Tell whether a line may be updated in place: on a terminal that can, never in CI."""
    dumb = env.get("TERM", "dumb") == "dumb"
    return terminal and not dumb and not any(env.get(name) for name in CI_VARIABLES)


def line_of(frames: Frames | None) -> str:
    """Return one second in words; what is not known is said so."""
    if frames is None:
        return "no frame yet"
    fps = frames.shown / frames.window if frames.window else 0.0
    if frames.p50_ms is None or frames.p99_ms is None or frames.worst_ms is None:
        return f" 0.0 fps   silent for {frames.silent:.1f} s"
    return (
        f"{fps:4.1f} fps   late by p50 {frames.p50_ms:.1f} ms, p99 {frames.p99_ms:.1f} ms; "
        f"worst gap {frames.worst_ms:.1f} ms late"
    )


def display_words(display: Probe) -> str:
    """Return what the display server said, in words."""
    match display.seen:
        case Seen.PRESENT:
            took = "is there" if display.latency_ms is None else f"answers in {display.latency_ms:.1f} ms"
            return visible(f"{display.label or display.name.value} {took}")
        case Seen.ABSENT:
            return visible(f"no display server ({display.evidence})")
        case Seen.UNKNOWN:
            return visible(f"{display.name.value}: {display.evidence}")
        case _:
            assert_never(display.seen)


def display_json(display: Probe | None) -> dict[str, Any]:
    """Return what the display server said; nothing where it was not asked."""
    if display is None:
        return {}
    return {
        "display": display.label or None,
        "display_seen": display.seen.value,
        "display_ms": None if display.latency_ms is None else round(display.latency_ms, 3),
    }


def frames_json(frames: Frames | None, at: Seconds) -> dict[str, Any]:
    """Return one second with units in its keys; unknown is null."""
    found = {} if frames is None else encode(frames)
    return {
        "at_s": round(at, 3),
        "window_s": found.get("window"),
        "frames": found.get("shown"),
        "fps": None if frames is None or not frames.window else round(frames.shown / frames.window, 2),
        "lateness_p50_ms": found.get("p50_ms"),
        "lateness_p99_ms": found.get("p99_ms"),
        "worst_gap_ms": found.get("worst_ms"),
        "silent_s": found.get("silent"),
    }
