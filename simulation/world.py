"""The machine while it runs: memory, swap, reclaim, disk, desktop. Deterministic; MiB, seconds.

A model, made to fail in the ways machines do, not to predict one:

- Memory that is asked for comes from what is free, then from cache nobody misses, then, where there is
  swap, from cold anonymous memory, then from hot file pages and hot anonymous memory: the kernel's order
  (Documentation/admin-guide/mm/concepts.rst, "Reclaim"), without a way to tell whose pages they are.
- What is hot and gone is read back at what the store gives at random; until then who needs it stalls.
  So without swap a machine livelocks on its file pages long before the OOM killer: reclaim goes on
  finding pages that are read back at once (rfjakob/earlyoom, README).
- MemAvailable counts file pages, hot ones too, as the kernel does (si_mem_available in mm/show_mem.c).
- A frozen load asks for nothing and gives nothing back.
- The kernel's OOM killer comes when there is nothing left to reclaim, and takes the largest by
  size and oom_score_adj (oom_badness in mm/oom_kill.c).

The desktop is lost when it could not go on for LOST_AFTER seconds, or a part of it was killed.
"""

from __future__ import annotations

import math
from enum import Enum
from itertools import pairwise
from random import Random

from simulation.scenario import Kind, Scenario

DT = 0.02
_CALM_STEPS = 5
LOST_AFTER = 30.0
"""Longer than that nobody waits: the machine is switched off."""
STALLED = 0.8
"""Share of its time that the desktop waits, from which on it does not answer a person."""
_TOUCHED_EVERY = 0.1
"""Seconds in which hot pages are touched again."""
_MISSING = 0.03
"""Share of hot pages missing at which nearly every frame meets one."""
_RECLAIM = 3000.0
"""MiB a second of clean cache."""
_OOM_AFTER = 0.5
_ASLEEP = 0.9
"""Chosen: share of its time that a load over `memory.high` sleeps, or reclaims for itself; both count as
waiting for memory, of the load and of all that runs (reclaim_high and mem_cgroup_handle_over_high in
mm/memcontrol.c)."""
_DESKTOP_RUNS = 0.2
"""Chosen: share of the time in which a desktop that draws is not idle: in the rest the load is all that runs,
and what it waits for is what "all" wait for (Documentation/accounting/psi.rst, "full")."""
_DIRTY = 0.05
"""Of RAM: more a writer waits for (vm.dirty_ratio is 20 % of what is available, per device less)."""
_FREED = 4000.0
"""MiB a second that a dying process gives back."""


PRESSURES = ("session some", "session full", "host full", "io full", "load full")


class Fate(Enum):
    """Of the load."""

    RUNS = "runs"
    ENDED = "ended by itself"
    AT_LIMIT = "killed at its limit"
    KILLED = "killed by the law"
    OOM = "killed by the kernel for the machine"


class World:
    """One scenario on its way. `with_load=False`: what the machine does without it."""

    def __init__(self, scenario: Scenario, *, adj: int, with_load: bool = True) -> None:
        """Begin; `adj` is the load's oom_score_adj."""
        machine = scenario.machine
        self.scenario, self.machine, self.load = scenario, machine, scenario.load
        self.adj = adj
        self.now = 0.0
        self.hot_anon, self.hot_file = machine.hot_anon, machine.hot_file
        self.cold = machine.cold
        self.other = scenario.other.points[0][1]
        used = machine.kernel + self.hot_anon + self.hot_file + self.cold + self.other
        self.cache = min(machine.cache, max(0.0, machine.ram - used) * 0.9)
        self.mem = 0.0
        """Anonymous memory of the load that is in RAM."""
        self.load_cache = 0.0
        self.swapped = {"hot": 0.0, "cold": 0.0, "other": 0.0, "load": 0.0}
        self.fate = Fate.RUNS if with_load else Fate.ENDED
        self.dying = 0.0
        self.frozen = False
        self.quota = 1.0
        """Share of the CPU time it would use."""
        self.io_cap = math.inf
        self.high = math.inf
        self.backlog = 0.0
        """MiB that the disk has not taken yet."""
        self.ran = 0.0
        self.frozen_for = 0.0
        self.stall = self.io_stall = self.load_stall = 0.0
        self.away = self.worst_away = 0.0
        self.waited = [0.0] * round(1 / DT)
        """Of the last second, by steps."""
        self.worst_second = 0.0
        """Seconds that the desktop waited for memory in its worst second."""
        self.silent = 0.0
        self.totals = dict.fromkeys(
            ("session some", "session full", "host full", "io full", "load full"), 0.0
        )
        self.scanned = self.stolen = 0.0
        self.read = self.written = 0.0
        self.lateness = [0.0] * round(1 / DT)
        self._frames = Random(f"{scenario.seed}, frames")
        self.tight = 0.0
        """Seconds that the load ran under a quota."""
        self._step = 0
        self.dt = DT
        self._starving = 0.0
        self.lost = ""
        self.other_killed = False
        self.least_available = self.available()
        self.floor = 0.0
        self.under_floor = self.longest_under_floor = 0.0
        self.watermark = max(32.0, machine.ram * 0.008)

    # What a guard reads

    def free(self) -> float:
        """Return what nobody uses."""
        machine = self.machine
        used = machine.kernel + self.hot_anon + self.hot_file + self.cold + self.other + self.cache
        return machine.ram - used - self.mem - self.load_cache - self.dying

    def available(self) -> float:
        """Return MemAvailable."""
        files = self.cache + self.load_cache + self.hot_file
        low = max(32.0, self.machine.ram * 0.008)
        return max(0.0, self.free() - low + files - min(files / 2, low))

    def swap_free(self) -> float:
        """Return what is left of the swap."""
        return self.machine.swap - sum(self.swapped.values())

    # What a law does

    def kill(self, fate: Fate = Fate.KILLED) -> None:
        """Kill the load: what it holds comes back in a moment."""
        if self.fate is Fate.RUNS:
            self.fate, self.frozen = fate, False
            self.dying, self.mem = self.mem, 0.0
            self.cache, self.load_cache = self.cache + self.load_cache, 0.0
            self.swapped["load"] = 0.0

    def kill_other(self) -> None:
        """Kill the other program."""
        self.other_killed = True
        self.dying += self.other
        self.other, self.swapped["other"] = 0.0, 0.0

    def kill_desktop(self, by: str) -> None:
        """Kill a part of the session: it is over."""
        self.lost = self.lost or f"{by} killed the session"

    # Time

    def step(self) -> None:
        """Let DT seconds pass, or five times as long while nothing can become short."""
        ticks = _CALM_STEPS if self._is_calm() else 1
        self.dt = DT * ticks
        self.now += self.dt
        self.dying = max(0.0, self.dying - _FREED * self.dt)
        runs = self.fate is Fate.RUNS and not self.frozen
        speed = (1.0 - self.load_stall) if runs else 0.0
        self.tight += self.dt if runs and self.quota < 1.0 else 0.0
        if self.fate is Fate.RUNS:
            self.ran, self.frozen_for = (
                (self.ran + self.dt, 0.0) if runs else (self.ran, self.frozen_for + self.dt)
            )
        wants = self._load_wants(speed) if runs else 0.0
        other = self._other_wants()
        back_file, back_anon, back_load, back_other = self._refaults(runs)
        io = self._io(speed, back_file)
        asked = max(0.0, wants) + other + back_file + back_anon + back_load + back_other + io
        granted = self._reclaim(asked) / asked if asked > 0 else 1.0
        self._grant(granted, wants, other, (back_file, back_anon, back_load, back_other), io)
        self._stalls(granted, runs, back_load)
        self._limits()
        self._oom(asked, granted)
        self._account(runs)
        if self.fate is Fate.RUNS and self.ran >= self.load.lasts:
            self.kill(Fate.ENDED)

    def _is_calm(self) -> bool:
        """Tell whether there is room for all that could be asked for in a long step, and nobody waits."""
        if (
            self.stall
            or self.io_stall
            or self.backlog
            or self.load_stall
            or self.frozen
            or self.high < math.inf
        ):
            return False
        limit = self.load.limit
        if limit is not None and self.fate is Fate.RUNS and self.mem + self.load_cache > limit * 0.8:
            return False
        most = (self.load.rate + self.load.cache + self.machine.fill) * DT * _CALM_STEPS
        return self.free() + self.cache > self.watermark + 2 * most

    def _load_wants(self, speed: float) -> float:
        load = self.load
        target = load.target
        if load.period and self.ran % load.period > load.period * 0.7:
            target *= 0.2
        held = self.mem + self.swapped["load"]
        if held > target:
            given = min(self.mem, held - target, _FREED * self.dt)
            self.mem -= given
            return 0.0
        wants = min(load.rate * self.dt * speed * self.quota, target - held)
        if self.mem > self.high:  # put to sleep as it returns to user space (cgroup-v2.rst, memory.high)
            wants *= 0.05
        return wants

    def _other_wants(self) -> float:
        if self.other_killed:
            return 0.0
        points = self.scenario.other.points
        target = points[-1][1]
        for (t0, m0), (t1, m1) in pairwise(points):
            if self.now < t1:
                target = m0 + (m1 - m0) * (self.now - t0) / (t1 - t0)
                break
        held = self.other + self.swapped["other"]
        return max(0.0, min(target - held, self.machine.fill * self.dt * (1 - self.stall)))

    def _refaults(self, runs: bool) -> tuple[float, float, float, float]:
        """Return what is read back in this step: hot file pages, the desktop's, the load's, the other's."""
        machine, share = self.machine, min(1.0, self.dt / _TOUCHED_EVERY)
        files = min((machine.hot_file - self.hot_file) * share, machine.store.refault * self.dt)
        swap_in = machine.swap_rate * self.dt
        anon = min(self.swapped["hot"] * share, swap_in)
        swap_in -= anon
        hot = self.load.hot * (self.mem + self.swapped["load"])
        missing = max(0.0, hot - self.mem) if runs else 0.0
        load = min(missing * share * self.quota, swap_in * 0.7)
        other = min(self.swapped["other"] * 0.3 * share, swap_in - load)
        return files, anon, load, other

    def _io(self, speed: float, refaults: float) -> float:
        """Move what the load moves over the store; return the page cache that makes."""
        store = self.machine.store
        moved = min(self.load.io * store.stream * speed * self.quota, self.io_cap) * self.dt if speed else 0.0
        capacity = store.stream * self.dt
        seeks = refaults / max(1e-9, store.refault * self.dt)
        self.read += min(moved, capacity)
        # What the disk does not take at once is written back later, also of a load that is frozen meanwhile.
        queued = moved + self.backlog
        self.backlog = min(max(0.0, queued - capacity), self.machine.ram * _DIRTY)
        # A queue that is always full makes others wait, a spinning disk much more than a fast one.
        patience = {"disk": 0.75, "ssd": 0.35, "nvme": 0.15}[store.name]
        self.io_stall = patience * min(1.0, max(0.0, queued / capacity - 0.7) / 0.6)
        self.totals["io full"] += min(1.0, seeks + queued / capacity) * 0.6 * self.dt
        if not speed or not self.load.cache:
            return 0.0
        return min(self.load.cache * speed * self.quota, self.io_cap) * self.dt

    def _reclaim(self, asked: float) -> float:
        """Make room; return how much of `asked` can be had now."""
        left = self.free() - self.watermark - asked
        if left >= 0:
            return asked
        need = -left
        self.scanned += need
        got = self._take_cache(min(need, _RECLAIM * self.dt))
        swap_out = min(self.machine.swap_rate * self.dt, self.swap_free())
        out = self._swap_cold(min(max(0.0, need - got), swap_out))
        swap_out -= out
        got += out
        if got < need and self.cache + self.load_cache < 1.0:  # what is not missed goes first, however fast
            got += self._take_hot(need - got, swap_out)
        self.stolen += got
        if self.cache + self.load_cache < 1.0:
            self.scanned += max(0.0, need - got) * 20  # round and round
        return max(0.0, asked - max(0.0, need - got))

    def _take_cache(self, want: float) -> float:
        own = min(self.load_cache, want)
        self.load_cache -= own
        others = min(self.cache, want - own)
        self.cache -= others
        return own + others

    def _swap_cold(self, want: float) -> float:
        if want <= 0:
            return 0.0
        idle = (1 - self.load.hot) * (self.mem + self.swapped["load"]) - self.swapped["load"]
        if self.frozen:
            idle = self.mem  # what is frozen touches nothing
        parts = {
            "cold": self.cold,
            "other": max(0.0, self.other * 0.7 - self.swapped["other"] * 0.3),
            "load": max(0.0, idle) if self.load.may_swap or self.load.limit is None else 0.0,
        }
        whole = sum(parts.values())
        if whole <= 0:
            return 0.0
        taken = min(want, whole)
        for name, part in parts.items():
            self._swap(name, taken * part / whole)
        return taken

    def _swap(self, name: str, amount: float) -> None:
        self.swapped[name] += amount
        match name:
            case "cold":
                self.cold -= amount
            case "other":
                self.other -= amount
            case "load":
                self.mem -= amount
            case _:
                self.hot_anon -= amount

    def _take_hot(self, want: float, swap_out: float) -> float:
        files = min(want, self.hot_file * 0.9, _RECLAIM * 0.3 * self.dt)
        self.hot_file -= files
        hot = {"hot": self.hot_anon}
        if self.load.may_swap or self.load.limit is None:
            hot["load"] = self.mem
        whole = sum(hot.values())
        taken = min(max(0.0, want - files), swap_out, whole)
        if taken > 0:
            for name, part in hot.items():
                self._swap(name, taken * part / whole)
        return files + taken

    def _grant(
        self, granted: float, wants: float, other: float, back: tuple[float, float, float, float], io: float
    ) -> None:
        files, anon, load, others = (each * granted for each in back)
        self.mem += max(0.0, wants) * granted + load
        self.swapped["load"] = max(0.0, self.swapped["load"] - load)
        self.other += other * granted + others
        self.swapped["other"] -= others
        self.hot_file += files
        self.hot_anon += anon
        self.swapped["hot"] = max(0.0, self.swapped["hot"] - anon)
        self.load_cache += io * granted

    def _stalls(self, granted: float, runs: bool, back_load: float) -> None:
        machine = self.machine
        hot = machine.hot_anon + machine.hot_file
        missing = (machine.hot_file - self.hot_file) + self.swapped["hot"]
        short = 1.0 - granted
        waits = short * (0.9 if self.cache < 1.0 else 0.2)  # for its own few allocations
        self.stall = max(1.0 - math.exp(-missing / (_MISSING * hot)) if missing > 0.05 else 0.0, waits)
        held = self.mem + self.swapped["load"]
        away = max(0.0, self.load.hot * held - self.mem) / held if held > 1 else 0.0
        self.load_stall = min(0.98, max(short, min(1.0, away * 10))) if runs or back_load else 0.0
        if runs and self.mem > self.high:
            self.load_stall = max(self.load_stall, _ASLEEP)

    def _limits(self) -> None:
        """The load's own hard limit: its cache goes first, then it is killed."""
        limit = self.load.limit
        if limit is None or self.fate is not Fate.RUNS:
            return
        over = self.mem + self.load_cache - limit
        if over > 0 and self.load_cache > 0:
            self.load_cache -= min(over, self.load_cache)
            over = self.mem - limit
        if over > 0 and self.load.may_swap and self.swap_free() > 1:
            out = min(over, self.machine.swap_rate * self.dt, self.swap_free())
            self._swap("load", out)
            self.load_stall = max(self.load_stall, _ASLEEP)
            over -= out
            self.mem -= max(0.0, over)  # nobody gets it while it waits for its own reclaim
            over = 0.0
        if over > 0:
            self.kill(Fate.AT_LIMIT)

    def _oom(self, asked: float, granted: float) -> None:
        nothing_left = self.cache + self.load_cache + self.hot_file < 0.01 * self.machine.ram
        starving = granted < 0.5 and asked > 0.1 and nothing_left and self.swap_free() < 1
        self._starving = self._starving + self.dt if starving else 0.0
        if self._starving >= _OOM_AFTER:
            self._starving = 0.0
            self.kill_largest("the kernel's OOM killer", Fate.OOM)

    def kill_largest(self, by: str, fate: Fate, *, spare_desktop: int = 0) -> None:
        """Kill whom the kernel's badness names: size in thousandths of RAM and swap, and oom_score_adj."""
        machine, all_there = self.machine, self.machine.ram + self.machine.swap
        scores = {
            "desktop": 600 * (machine.hot_anon + machine.cold) / all_there
            + (200 if machine.services_first else 0)
            - spare_desktop,
            "other": 1000 * (self.other + self.swapped["other"]) / all_there + self.scenario.other.adj,
            "load": -math.inf,
        }
        if self.fate is Fate.RUNS:
            scores["load"] = 1000 * (self.mem + self.swapped["load"]) / all_there + self.adj
        if self.other_killed:
            scores["other"] = -math.inf
        match max(scores, key=lambda name: scores[name]):
            case "load":
                self.kill(fate)
            case "other":
                self.kill_other()
            case _:
                self.kill_desktop(by)

    def _account(self, runs: bool) -> None:
        totals, stall = self.totals, self.stall
        away = max(stall, self.io_stall)
        totals["session some"] += stall * self.dt
        totals["session full"] += stall * 0.9 * self.dt
        load = self.load_stall if runs else 0.0
        together = stall * (load if runs else 1.0)
        totals["host full"] += (together + (1.0 - stall) * (1.0 - _DESKTOP_RUNS) * load) * self.dt
        totals["load full"] += load * self.dt
        late = 16.7 * away / (1.0 - min(away, 0.98)) + self._late_by_others()
        busy = 0.0 if not runs else min(1.0, self.quota) * (1.5 if self.load.kind is Kind.SUITE else 0.4)
        for _ in range(round(self.dt / DT)):
            self._step = (self._step + 1) % len(self.lateness)
            self.lateness[self._step], self.waited[self._step] = 0.2 + busy + late, stall * DT
        if stall > 0:
            self.worst_second = max(self.worst_second, sum(self.waited))
        self.silent = self.silent + self.dt if away > 0.95 else 0.0
        if away > STALLED:
            self.away += self.dt
        else:
            self.away = max(0.0, self.away - 2 * self.dt)
        self.worst_away = max(self.worst_away, self.away)
        if self.away >= LOST_AFTER:
            self.lost = self.lost or "the desktop did not answer any more"
        available = self.available()
        self.least_available = min(self.least_available, available)
        self.under_floor = self.under_floor + self.dt if available < self.floor else 0.0
        self.longest_under_floor = max(self.longest_under_floor, self.under_floor)

    def _late_by_others(self) -> float:
        late = self.scenario.other.late
        if not late.begins <= self.now < late.ends:
            return 0.0
        return late.ms * self._frames.lognormvariate(0.0, late.sigma)

    def p99_ms(self) -> float:
        """Return the lateness of the last second's frames."""
        return sorted(self.lateness)[-2]
