"""How late the desktop's frames are under a contained storm of memory, CPU and I/O, against idle."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time

from bench.tools import MIB, Programs, Result, Row, started
from steadyrun.guard.frames import FramesReader, frames_of, make_frames, start_canary
from steadyrun.ramp.loads import storm
from steadyrun.units import Seconds

WATCH_S = 8.0
SETTLE_S = 2.0
MEMORY = 1024 * MIB
PROCESSES = 90
WRITER = "while :; do dd if=/dev/zero of=bench-io bs=1M count=64 conv=fdatasync 2>/dev/null; done"


def measure(tools: Programs) -> Result:
    """Watch the canary idle, then beside the storm, then idle again (what the machine itself did)."""
    fd = make_frames()
    reader, canary = FramesReader(fd), start_canary(fd)
    try:
        time.sleep(SETTLE_S)
        before = _p99(reader)
        run = _storm(tools)
        try:
            time.sleep(SETTLE_S)
            during = _p99(reader)
            blew = run.poll() is None
        finally:
            run.terminate()
            run.wait(30)
        time.sleep(SETTLE_S)
        after = _p99(reader)
    finally:
        canary.close()
        reader.close()
        os.close(fd)
    row = _row(before, during if blew else None, after)
    return Result((row,), {"p99_ms": [before, during, after], "storm_outlived_the_watch": blew})


def _storm(tools: Programs) -> subprocess.Popen[bytes]:
    blow = [sys.executable, "-I", "-S", storm.__file__, "--bytes", str(MEMORY), "--hold", "60"]
    both = f"({WRITER}) & exec {shlex.join([*blow, '--processes', str(PROCESSES)])}"
    return started(tools, [tools.steadyrun, "run", "-q", "--memory", "2000M", "--", "sh", "-c", both])


def _p99(reader: FramesReader) -> float | None:
    """Return the 99th percentile of the lateness over the next `WATCH_S`, ms."""
    time.sleep(WATCH_S)
    now, window = Seconds(time.monotonic()), Seconds(WATCH_S)
    frames = frames_of(reader.entries(int((now - window) * 1e9)), now, window)
    return None if frames is None else frames.p99_ms


def _row(before: float | None, during: float | None, after: float | None) -> Row:
    what = f"canary p99 beside a contained storm of {PROCESSES} processes"
    if before is None or during is None or after is None:
        return Row(what, "not measured: no frames, or no storm", "<= max(1.5 x idle, idle + 5 ms)", None)
    idle = max(before, after)
    budget = max(1.5 * idle, idle + 5)
    value = f"{during:.2f} ms (idle {before:.2f} before, {after:.2f} after)"
    return Row(what, value, f"<= {budget:.2f} ms", during <= budget)
