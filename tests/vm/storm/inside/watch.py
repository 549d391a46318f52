"""The watcher: begins the storm at the desktop's terminal, watches it, ends it, and writes down what it saw.

`python3 -m storm.inside.watch PLAN` as root, PLAN a JSON object of the fields of `Plan`. It holds its
memory and runs in real time, so that it looks, and ends the load, whatever state the machine is in; it
looks twice a second. All it writes is in `board.FOLDER`; the last is `told.json`, and it is whole.
"""

from __future__ import annotations

import ctypes
import dataclasses
import json
import os
import re
import signal
import sys
import time
from pathlib import Path
from typing import NamedTuple

from storm import frames
from storm.inside import board, census, load, window
from storm.inside.menu import start as start_from_menu
from storm.record import Sample, Told

RUN = "env PYTHONPATH=/srv/storm PYTHONDONTWRITEBYTECODE=1 python3 -m storm.inside"
TERMINAL = "/run/user/1000/testbed-terminal"
TOLD = f"{board.FOLDER}/told.json"
EXIT = f"{board.FOLDER}/exit"
SAID = f"{board.FOLDER}/said"
OUTCOME = f"{board.FOLDER}/outcome.json"
"""Where what the load runs under may write how it ended."""
READY = f"{board.FOLDER}/ready"
"""There when the census before is made: what comes from now on is not in it."""
EVERY_S = 0.5
START_S = 20.0
"""For the window's first second."""
LEAST_S = 10.0
"""A storm is watched at least so long, and `AFTER_S` beyond its end: what it leaves is felt, too."""
AFTER_S = 3.0
END_S = 20.0
"""For what the watcher kills."""
SETTLE_S = 3.0
MLOCK_CURRENT_AND_FUTURE = 3
"""MCL_CURRENT | MCL_FUTURE (mlockall(2))."""


class Plan(NamedTuple):
    """What the host asks for."""

    line: str
    """Typed at the desktop; what it writes goes to `SAID`, its exit code to `EXIT`."""
    idle_s: float
    start_s: float
    """From the line typed to the load's first process at most."""
    seconds: float
    """From there."""
    menu: bool = False
    """The window is started from the desktop's menu, in the desktop's cgroup; else from its terminal."""


def main(argv: list[str]) -> int:
    """Watch one storm."""
    plan = Plan(**json.loads(argv[0]))
    _hold_on()
    show_window(menu=plan.menu)
    before = census.take(os.getpid())
    Path(READY).touch()
    idle, idle_wall = time.monotonic_ns(), time.time()
    time.sleep(plan.idle_s)
    log = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
    os.lseek(log, 0, os.SEEK_END)
    storm, storm_wall = time.monotonic_ns(), time.time()
    type_load(plan.line)
    samples, stopped = _look_on(storm, plan)
    counts = board.Board()
    started, finished = (counts.words[n] for n in (board.STARTED, board.FINISHED))
    begin = started or storm
    over, over_wall = time.monotonic_ns(), time.time()
    alive = bool(census.named(window.COMM))
    end_load()
    time.sleep(SETTLE_S)
    shown = frames.parse(Path(frames.PATH).read_bytes())
    told = Told(
        before=before,
        after=census.take(os.getpid()),
        idle=frames.frames_of(shown, idle, storm, alive=True),
        storm=frames.frames_of(shown, begin, over, alive=alive),
        idle_wall=idle_wall,
        storm_wall=storm_wall + (begin - storm) / 1e9,
        over_wall=over_wall,
        started_s=(started - storm) / 1e9 if started else None,
        stopped_s=None if stopped is None else stopped - (begin - storm) / 1e9,
        finished_s=(finished - started) / 1e9 if finished else None,
        cpu_s=counts.words[board.CPU] / 1e9 if finished else None,
        rounds=counts.rounds(),
        bytes=counts.bytes(),
        forks=board.forks(),
        children_killed=counts.words[board.KILLED],
        children_replaced=counts.words[board.REPLACED],
        exit_code=exit_code(),
        oom_kills=tuple(_oom_kills(log)),
        outcome=Path(OUTCOME).read_text() if os.path.exists(OUTCOME) else None,
        said=Path(SAID).read_text(errors="replace")[-2000:],
        samples=tuple(samples),
    )
    Path(f"{TOLD}.new").write_text(json.dumps(dataclasses.asdict(told)))
    os.rename(f"{TOLD}.new", TOLD)
    return 0


def _hold_on() -> None:
    """Be there whatever happens: memory held, before everybody else, never an OOM victim."""
    if ctypes.CDLL(None, use_errno=True).mlockall(MLOCK_CURRENT_AND_FUTURE):
        raise OSError(ctypes.get_errno(), "mlockall")
    Path("/proc/self/oom_score_adj").write_text("-1000")
    Path("/proc/self/comm").write_text("storm-watch")
    os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(1))


def show_window(*, menu: bool = False) -> None:
    """Start the 60 Hz window on the desktop; return when it has shown a second."""
    user = census.DESK
    board.make(user)
    for path, size in ((frames.PATH, frames.SIZE), (SAID, 0), (EXIT, 0)):
        Path(path).write_bytes(bytes(size))
        os.chown(path, user, user)
    line = f"{RUN}.window 2> {board.FOLDER}/window"
    if menu:
        start_from_menu(f"exec {line}")
    else:
        type_at_desktop(f"{line} &")
    end = time.monotonic() + START_S
    while len(frames.parse(Path(frames.PATH).read_bytes())) < 60:
        if time.monotonic() > end:
            said = Path(f"{board.FOLDER}/window")
            raise SystemExit(f"the window does not show: {said.read_text() if said.exists() else ''}")
        time.sleep(0.2)


def type_at_desktop(line: str) -> None:
    """Let the person at the desktop type a line into the terminal."""
    with open(TERMINAL, "w") as pipe:
        pipe.write(f"{line}\n")


def type_load(line: str) -> None:
    """Let them type the line of a load; what it says and its exit code are kept."""
    type_at_desktop(f"cd; {{ {line}; echo $? > {EXIT}; }} > {SAID} 2>&1")


def _look_on(storm: int, plan: Plan) -> tuple[list[Sample], float | None]:
    """Look twice a second; return what was seen, and when nothing of the load was left any more.

    The time that is watched begins when the load does; its own time is what the samples bear.
    """
    counts = board.Board()
    samples: list[Sample] = []
    stopped = None
    while True:
        at = (time.monotonic_ns() - storm) / 1e9
        there = len(census.named(load.COMM))
        samples.append(_sample(at, there))
        started = counts.words[board.STARTED]
        begun = (started - storm) / 1e9 if started else None
        if there:
            stopped = None
        elif stopped is None and (started or exit_code() is not None):
            stopped = at
        ran = at - begun if begun is not None else 0.0
        if ran >= plan.seconds or (begun is None and at >= plan.start_s):
            return samples, stopped
        if stopped is not None and ran >= LEAST_S and at >= stopped + AFTER_S:
            return samples, stopped
        if stopped is not None and begun is None and at >= LEAST_S:
            return samples, stopped
        time.sleep(EVERY_S)


def _sample(at: float, there: int) -> Sample:
    memory = {}
    for line in Path("/proc/meminfo").read_text().splitlines():
        name, _, rest = line.partition(":")
        memory[name] = int(rest.split()[0])
    stalls = [line.rpartition("=")[2] for line in Path("/proc/pressure/memory").read_text().splitlines()]
    return Sample(
        at_s=round(at, 2),
        load_processes=there,
        available_mib=memory["MemAvailable"] >> 10,
        swap_used_mib=(memory["SwapTotal"] - memory["SwapFree"]) >> 10,
        memory_some_us=int(stalls[0]),
        memory_full_us=int(stalls[1]),
    )


def end_load() -> None:
    """Kill what is left of the load: stopped first, so that it cannot fork for its life."""
    end = time.monotonic() + END_S
    while (left := census.named(load.COMM)) and time.monotonic() < end:
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in left:
                try:
                    os.kill(pid, number)
                except ProcessLookupError:
                    pass
        time.sleep(0.2)


def exit_code() -> int | None:
    """Return what the shell at the desktop said of the line; `None`: it has not come to its end."""
    said = Path(EXIT).read_text().strip()
    return int(said) if said else None


def _oom_kills(log: int) -> list[str]:
    """Return the lines of OOM kills since the descriptor was moved to the log's end (dev-kmsg ABI).

    Each with the victim's cgroup before it, as the line before or the group's line says it (mm/oom_kill.c).
    """
    found: list[str] = []
    where = ""
    while True:
        try:
            line = os.read(log, 8192).decode(errors="replace")
        except BlockingIOError:
            return found
        except BrokenPipeError:
            continue  # records were overwritten: it goes on with the oldest there is
        text = line.partition(";")[2].partition("\n")[0]
        if told := re.search(r"task_memcg=([^,]+)|Tasks in (\S+) are going to be killed", text):
            where = told[1] or told[2]
        if "Killed process" in text:
            found.append(f"{where}: {text}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
