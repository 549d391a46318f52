"""One experiment: take up a machine, an idle window, the load under something, the end, the census.

    with Machine(start) as machine:
        taken_up(machine)
        record = storm(machine, LOADS["few-large"], STEADYRUN)

Nothing here judges; `judge.py` does.
"""

from __future__ import annotations

import contextlib
import io
import json
import shlex
import tarfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from testbed.errors import DeadlineError, TestbedError
from testbed.state import with_desktop

from .host import Spent, others_frac, spent
from .inside.laps import LAP_S
from .inside.watch import READY, RUN
from .record import Lap, Record, Told
from .ssh import Probe
from .swap import SWAPS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from testbed.guest import Guest
    from testbed.machine import Machine

    from .loads import Load
    from .under import Under

IDLE_S = 8.0
SCREEN_AFTER_S = 15.0
"""From the end of that window on: a load has begun within 5 s, and one that is killed early has not ended."""
AROUND_S = 120.0
"""What the watcher needs beside its windows on a machine that answers: the window, the end, the census."""
BACK_S = 60.0
"""How long a machine that does not answer after the storm is waited for."""
WATCHER = "storm-watch.service"
FOLDER = "/srv/storm"
_TOLD = "/run/storm/told.json"


def storm(
    machine: Machine,
    load: Load,
    under: Under,
    *,
    swap: str = "none",
    seconds: float | None = None,
    idle_s: float = IDLE_S,
    screen: Path | None = None,
) -> Record:
    """Do the experiment on a machine that answers; it is of no further use afterwards.

    Args:
        machine: Taken up, desktop up, nothing else running.
        load: What is run at the desktop.
        under: What holds it.
        swap: One of `SWAPS`.
        seconds: How long the load is watched at most, `None`: as it says; less when it ends before.
        idle_s: The window before it.
        screen: Where to keep what the screen shows in the middle of it, PNG.

    Raises:
        TestbedError: It could not begin. What happens afterwards is in the record.
    """
    if under.boots:  # first: the machine's process is another one afterwards
        _prepare_and_boot(machine, under)
    began, at = time.monotonic(), time.strftime("%Y-%m-%dT%H:%M:%S%z")
    busy = _spent(machine)
    seconds = load.watched_s if seconds is None else seconds
    guest = machine.guest()
    put_into(guest)
    guest.run(f"mkdir -p /run/storm && chown desk: /run/storm && {SWAPS[swap] or 'true'}", seconds=120)
    if under.prepare and not under.boots:
        guest.run(under.prepare, seconds=120)
    plan = {
        "line": line_of(under, load),
        "idle_s": idle_s,
        "start_s": under.start_s,
        "seconds": seconds,
        "menu": under.menu,
    }
    _start_watcher(guest, json.dumps(plan))
    guest.until(f"test -e {READY}", seconds=AROUND_S)
    look = _screenshot_after(idle_s + SCREEN_AFTER_S, machine, screen)
    with look, Probe(guest, machine.port, every_s=under.ssh_every_s) as probe:
        told, lost = _wait(machine, idle_s + under.start_s + seconds + AROUND_S)
        until, after = time.monotonic(), _spent(machine)
    looks = probe.looks(told.storm_wall if told else time.time() - (time.monotonic() - began))
    return Record(
        load=load.name,
        under=under.name,
        swap=swap,
        seconds=seconds,
        at=at,
        told=told,
        logins=looks,
        back_s=_back(machine, until),
        lost=lost,
        host_others_frac=None if after is None or busy is None else others_frac(busy, after),
        took_s=round(time.monotonic() - began, 1),
    )


def _prepare_and_boot(machine: Machine, under: Under) -> None:
    guest = machine.guest()
    guest.run(f"{under.prepare} && sync", seconds=120)
    machine.power_cut()
    machine.power_on()
    with_desktop(machine)


@contextlib.contextmanager
def _screenshot_after(seconds: float, machine: Machine, path: Path | None) -> Iterator[None]:
    """Keep what the screen shows so long after the beginning, unless it is over before; `None`: nothing."""
    if path is None:
        yield
        return
    timer = threading.Timer(seconds, _screenshot, (machine, path))
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()


def _screenshot(machine: Machine, path: Path) -> None:
    with contextlib.suppress(TestbedError, OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        machine.screenshot(path)


def laps(machine: Machine, load: Load, unders: Sequence[Under], *, turns: int) -> list[Lap]:
    """Run a short load under each in turn, `turns` times, at the desktop of one machine.

    Raises:
        TestbedError: A lap did not come to its end.
    """
    guest = machine.guest()
    put_into(guest)
    lines = json.dumps({under.name: line_of(under, load) for under in unders})
    said = guest.out(
        "mkdir -p /run/storm && chown desk: /run/storm &&"
        f" PYTHONPATH={FOLDER} python3 -m storm.inside.laps {turns} {shlex.quote(lines)}",
        seconds=AROUND_S + turns * len(unders) * LAP_S,
    )
    return msgspec.json.decode(said, type=list[Lap])


def _spent(machine: Machine) -> Spent | None:
    """Return the CPU time so far; `None`: the machine's process has ended."""
    try:
        return None if machine.pid is None else spent(machine.pid)
    except OSError:
        return None


def line_of(under: Under, load: Load) -> str:
    """Return what is typed at the desktop."""
    return f"{under.before} {RUN}.load {load.name}".strip()


def put_into(guest: Guest) -> None:
    """Copy this package into the guest."""
    packed = io.BytesIO()
    here = Path(__file__).resolve().parent
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for path in sorted([*here.glob("*.py"), *here.glob("inside/*.py")]):
            archive.add(path, f"storm/{path.relative_to(here)}")
    guest.run(f"mkdir -p {FOLDER} && tar -xf - --no-same-owner -C {FOLDER}", stdin=packed.getvalue())


def _start_watcher(guest: Guest, plan: str) -> None:
    """Start the watcher as a service: it outlives our connection, and no session is its place."""
    guest.run(
        f"systemd-run --quiet --unit={WATCHER} --setenv=PYTHONPATH={FOLDER} -p LimitMEMLOCK=infinity"
        f" -p TasksMax=infinity python3 -m storm.inside.watch {shlex.quote(plan)}"
    )


def _wait(machine: Machine, seconds: float) -> tuple[Told | None, str]:
    """Wait for the watcher's word over one connection, or several where one is lost."""
    end = time.monotonic() + seconds
    waiting = f"while systemctl is-active -q {WATCHER}; do sleep 0.5; done; cat {_TOLD}"
    lost = ""
    while (left := end - time.monotonic()) > 0:
        machine.check_alive()
        try:
            done = machine.guest().run(waiting, seconds=max(5.0, left), check=False)
        except (TestbedError, DeadlineError) as error:
            lost = f"{error}"
            time.sleep(1.0)
            continue
        if done.code == 0 and done.out:
            return msgspec.json.decode(done.out, type=Told), ""
        lost = machine.guest().out(f"journalctl -b -u {WATCHER} --no-pager | tail -n 20")
        break
    return None, lost or f"the watcher did not come to its end within {seconds:g} s"


def _back(machine: Machine, since: float) -> float | None:
    """Return how long it took until SSH answered after the watch; `None`: not within `BACK_S`."""
    try:
        machine.wait_for_ssh(BACK_S)
    except TestbedError:
        return None
    return round(time.monotonic() - since, 1)
