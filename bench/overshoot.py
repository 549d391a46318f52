"""How far above its hard limit a load gets: 4 x 300 MB under 500 MB."""

from __future__ import annotations

import json
import subprocess
import time

from bench.tools import HOG, Programs, Result, Row, children, command_line, started

LIMIT = 500 * 10**6
PROCESSES = 4
EACH = 300 * 10**6


def measure(tools: Programs) -> Result:
    """Run the load; the peak is read from its cgroup by us while it lives, and from the outcome."""
    load = [*HOG, "--bytes", str(EACH), "--hold", "2", "--processes", str(PROCESSES)]
    file = tools.folder / "overshoot.json"
    limits = ["-q", "--memory", "500MB", "--json", str(file)]
    run = started(tools, [tools.steadyrun, "run", *limits, "--", *load])
    seen = _watch(run)
    outcome = json.loads(file.read_text()) if file.exists() else {}
    told = outcome.get("memory_peak_bytes")
    raw = {
        "limit_bytes": LIMIT,
        "peak_seen_bytes": seen,
        "peak_told_bytes": told,
        "exit_code": run.returncode,
    }
    peak = None if seen is None else max(seen, told or 0)  # the outcome alone is what is to be checked
    return Result((_row(peak, run.returncode), *_others(tools, load)), raw)


def _row(peak: int | None, code: int) -> Row:
    what = "4 x 300 MB under 500 MB: bytes over"
    if peak is None:
        return Row(what, f"not measured: no peak, exit code {code}", "0", None)
    over = max(0, peak - LIMIT)
    return Row(what, f"{over} (peak {peak}, exit code {code})", "0", over == 0 and code == 137)


def _watch(run: subprocess.Popen[bytes]) -> int | None:
    """Return the highest peak read from the load's own cgroup until it is over."""
    path, peak = None, None
    while run.poll() is None:
        path = path or _peak_file(run.pid)
        try:
            if path is not None:
                with open(path, encoding="ascii") as file:
                    peak = max(peak or 0, int(file.read()))
        except (OSError, ValueError):
            pass  # removed a moment ago: the last value stands
        time.sleep(0.005)
    return peak


def _peak_file(guard: int) -> str | None:
    """Return the peak file of the cgroup that the guarded load is in."""
    for pid in children(guard):
        if not command_line(pid).startswith(" ".join(HOG)):  # before its exec it has the guard's own words
            continue
        try:
            with open(f"/proc/{pid}/cgroup", encoding="utf-8") as file:
                lines = [line.rstrip("\n").split(":", 2) for line in file]
        except OSError:
            return None
        for _, controllers, path in lines:
            if "memory" in controllers.split(","):
                return f"/sys/fs/cgroup/memory{path}/memory.max_usage_in_bytes"
        return next((f"/sys/fs/cgroup{p}/memory.peak" for number, _, p in lines if number == "0"), None)
    return None


def _others(tools: Programs, load: list[str]) -> tuple[Row, ...]:
    start = tools.runexec_command("--memlimit", f"{LIMIT}B")
    if start is None:
        return ()
    done = subprocess.run(
        [*start, *load],
        env=tools.env,
        cwd=tools.folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    told = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    return (Row("the same under runexec", f"memory={told.get('memory', 'unknown')}", "", None),)
