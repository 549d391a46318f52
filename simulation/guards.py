"""Each law at its looks at a world: what it can read there, and how its deeds are done to it."""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random
from typing import Protocol

from simulation import others
from simulation.scenario import reserve_mib
from simulation.world import Fate, World
from steadyrun.guard import law, machine
from steadyrun.guard.grip import gripped
from steadyrun.guard.held import Decision, Held, Stage
from steadyrun.model.action import Action
from steadyrun.model.event import Acted, Event, Released, Ruled, Sampled
from steadyrun.model.given import Freed, Rules, Ticked
from steadyrun.model.limits import Limits
from steadyrun.model.machine import Reserve, reserve_of
from steadyrun.model.sample import CgroupId, CgroupSample, Frames, HostSample, ProtectedSample, Psi, Reading
from steadyrun.model.thresholds import Thresholds
from steadyrun.units import Bytes, Cores, Microseconds, Ratio, Seconds

MIB = 2**20
FRAMES_WINDOW = Seconds(1.0)


class Guard(Protocol):
    """A law that guards one world."""

    adj: int
    """oom_score_adj of the load under it."""

    def look(self, world: World) -> None:
        """Look and act, when it is time to."""


class Nobody:
    """No law at all: the hard limit alone, and the kernel."""

    adj = 0

    def look(self, world: World) -> None:
        """Do nothing."""


class Ours:
    """The guard's machine, as `guard/loop.py` drives it."""

    adj = 1000
    """The load's is raised to 1000."""

    def __init__(
        self,
        scenario_seed: int,
        world: World,
        changes: dict[str, float] | None = None,
        *,
        emit: Callable[[Event], None] = lambda _event: None,
    ) -> None:
        """Guard a world.

        Args:
            scenario_seed: Of the world.
            world: It.
            changes: What `[guard]` of the settings may change, and more.
            emit: Hears what the guard's loop would pass on.
        """
        load, ram = world.load, world.machine.ram
        reserve = reserve_of(Bytes(int(ram * MIB)))
        assert abs(reserve.reserve / MIB - reserve_mib(ram)) < 1
        self.thresholds = _thresholds(reserve, changes or {})
        self.limits = Limits(
            memory_max=None if load.limit is None else Bytes(int(load.limit * MIB)),
            swap_max=None if load.may_swap else Bytes(0),
        )
        self.rules = Rules(
            self.thresholds,
            members=1,
            wall_time=None,
            limits=self.limits,
            cores=Cores(float(world.machine.cores)),
            tightens=True,
            throttles=load.may_swap and world.scenario.watching.load,  # without it there is no memory.high
        )
        self.emit = emit
        self.held, _ = machine.step(Held(), Freed(Seconds(0.0)), self.rules)
        self.emit(Ruled(Seconds(0.0), self.rules))
        self.emit(Released(Seconds(0.0), Seconds(0.0)))
        self.random = Random(scenario_seed)
        self.at, self.interval, self.seq, self.passed_on = 0.0, 0.1, 0, 0.0
        self.deeds: list[tuple[float, Action, str]] = []
        self.due: list[tuple[float, Action, Decision]] = []

    def look(self, world: World) -> None:
        """Do what is due, then look when it is time to."""
        for due in [d for d in self.due if world.now >= d[0]]:
            self.due.remove(due)
            self._do(world, due[2])
        watching = world.scenario.watching
        paused = watching.pause[0] <= world.now < watching.pause[1]
        if paused or world.now - self.at < self.interval - 1e-9 or self.held.stage is Stage.OVER:
            return
        late = law.is_late_tick(Seconds(self.interval), Seconds(world.now - self.at))
        self.at = world.now
        reading = self._read(world)._replace(late=late)
        self.interval = law.next_tick(reading, self.thresholds, self.held.past.fill)
        self.interval += self.random.random() * watching.jitter
        if world.fate is not Fate.RUNS:
            return
        for decision in self._decided(reading):
            self.deeds.append((world.now, decision.action, decision.cause))
            # A freeze is in force within a step; a kill is done in one and its memory comes back over
            # several; the helper that tightens may wait its turn on a busy machine.
            delay = 0.2 if decision.action in (Action.TIGHTEN, Action.LOOSEN) else 0.0
            self.due.append((world.now + delay, decision.action, decision))

    def _decided(self, reading: Reading) -> tuple[Decision, ...]:
        """Ask the machine; pass on what its state stands on, and what it decided."""
        now, before = reading.host.at, self.held.stage
        due = now - self.passed_on >= machine.PASS_ON_EVERY - 1e-9
        looked = machine.look(self.held, Ticked(now, reading), self.rules, due=due)
        self.held = looked.held
        if looked.counts:
            self.passed_on, self.seq = now, self.seq + 1
            decides = bool(looked.decisions) and before is not Stage.KILLING
            self.emit(Sampled(reading, decides))
            for each in looked.decisions if decides else ():
                self.emit(Acted(now, now, each.seq, each.action, each.cause, Seconds(0.0)))
        return looked.decisions

    def _do(self, world: World, decision: Decision) -> None:
        match decision.action:
            case Action.FREEZE:
                world.frozen = world.fate is Fate.RUNS
            case Action.THAW:
                world.frozen = False
            case Action.KILL:
                world.kill()
            case Action.TIGHTEN | Action.LOOSEN:
                under = gripped(self.limits, decision.grip, self.rules.cores)
                own = self.rules.cores
                world.quota = (under.cpu_max or own) / own
                read = decision.grip.read
                world.io_cap = math.inf if read is None else read / MIB
                world.high = math.inf if under.memory_high is None else under.memory_high / MIB
            case Action.TERM | Action.FINISH:
                pass  # nothing here has a wall time, and the world itself knows when a load is over

    def _read(self, world: World) -> Reading:
        watching, at, totals = world.scenario.watching, Seconds(world.now), world.totals
        unknown = self.random.random() < watching.unknown
        host = HostSample(
            at=at, wall=at, mem_total=_bytes(world.machine.ram),
            mem_available=None if unknown else _bytes(world.available()),
            swap_total=_bytes(world.machine.swap), swap_free=_bytes(world.swap_free()),
            load1=None, load5=None, load15=None, runnable=None, processes=None,
            psi_memory=_psi(totals["host full"]), psi_io=_psi(totals["io full"]), psi_cpu=None,
            swap_in_pages=None, swap_out_pages=None, oom_kills=0,
            scanned_pages=int(world.scanned * 256), stolen_pages=int(world.stolen * 256),
        )  # fmt: skip
        memory = _bytes(world.mem + world.load_cache)
        load = CgroupSample(
            at=at, identity=CgroupId("/load", 1), memory=memory, memory_peak=memory,
            working_set=_bytes(world.mem), swap=_bytes(world.swapped["load"]),
            cpu_time=Microseconds(0), cpu_throttled=Microseconds(0), tasks=1, tasks_peak=1, oom_kills=0,
            io_read=_bytes(world.read), io_write=_bytes(world.written),
            psi_memory=_psi(totals["load full"]) if watching.load else None, psi_io=None, psi_cpu=None,
            frozen=world.frozen,
        )  # fmt: skip
        frames = None
        if watching.canary:
            p99 = world.p99_ms()
            frames = Frames(FRAMES_WINDOW, 60, p99, p99, p99, Seconds(max(0.01, world.silent)))
        protected: tuple[ProtectedSample, ...] = ()
        if watching.protected:
            some, full = (_microseconds(totals[f"session {kind}"]) for kind in ("some", "full"))
            protected = (ProtectedSample("session", some, full),)
        return Reading(self.seq, host, load, frames, protected)


def _thresholds(reserve: Reserve, changes: dict[str, float]) -> Thresholds:
    return Thresholds.of(reserve)._replace(**changes)  # type: ignore[arg-type]


def _bytes(mib: float) -> Bytes:
    return Bytes(max(0, int(mib * MIB)))


def _microseconds(seconds: float) -> Microseconds:
    return Microseconds(int(seconds * 1e6))


def _psi(full: float) -> Psi:
    return Psi(_microseconds(full), _microseconds(full), Ratio(0.0))


class Daemon:
    """earlyoom, nohang or systemd-oomd: looks at the machine, kills whom it finds."""

    adj = 0
    """An ordinary command's."""

    def __init__(self, name: str, law_of_it: Callable[[others.Look, others.Memory], others.Answer]) -> None:
        """Guard with one of `others`."""
        self.name, self.law = name, law_of_it
        self.memory, self.next_look = others.Memory(), 0.0
        self.some = self.full = 0.0
        self._before = (0.0, 0.0)
        self.dies_at = math.inf

    def look(self, world: World) -> None:
        """Average the pressure as the kernel does; look when it is time to."""
        some, full = world.totals["session some"], world.totals["session full"]
        weight = 1 - math.exp(-world.dt / 10)
        self.some += weight * ((some - self._before[0]) / world.dt - self.some)
        self.full += weight * ((full - self._before[1]) / world.dt - self.full)
        self._before = some, full
        if world.now >= self.dies_at:  # what was asked to end has ended
            self.dies_at = math.inf
            world.kill_largest(self.name, Fate.KILLED, spare_desktop=self._spares())
        if (
            world.now < self.next_look or world.dying > 0
        ):  # earlyoom >= 1.3.1 and nohang wait for a victim's exit
            return
        machine_ = world.machine
        look = others.Look(
            at=world.now,
            available=world.available() / machine_.ram,
            swap_total=machine_.swap,
            swap_free=world.swap_free() / machine_.swap if machine_.swap else 1.0,
            ram=machine_.ram,
            some_avg10=self.some,
            full_avg10=self.full,
        )
        answer = self.law(look, self.memory)
        self.memory, self.next_look = answer.memory, answer.next_look
        match answer.deed:
            case others.Deed.TERM:
                self.dies_at = min(self.dies_at, world.now + 0.5)
            case others.Deed.KILL:
                world.kill_largest(self.name, Fate.KILLED, spare_desktop=self._spares())
            case others.Deed.KILL_CGROUP:
                self._kill_cgroup(world)
            case others.Deed.NOTHING:
                pass

    def _spares(self) -> int:
        """nohang-desktop takes 200 from the badness of the desktop's own programs."""
        return 200 if self.name == "nohang" else 0

    def _kill_cgroup(self, world: World) -> None:
        """The cgroup with the most reclaim or swap: here by its swap, else by its size.

        What runs in a terminal of a session scope takes the whole session with it (systemd#35270,
        #23606, #25853): where services of the session are units of their own it does not.
        """
        load = world.swapped["load"] + world.mem * 0.1 if world.fate is Fate.RUNS else -1.0
        other = world.swapped["other"] + world.other * 0.1
        if load >= other and load >= 0:
            if world.machine.services_first:
                world.kill()
            else:
                world.kill()
                world.kill_desktop(self.name)
        elif not world.other_killed:
            world.kill_other()


GUARDS: dict[str, Callable[[World], Guard]] = {
    "no law": lambda _world: Nobody(),
    "steadyrun": lambda world: Ours(world.scenario.seed, world),
    "earlyoom": lambda _world: Daemon("earlyoom", others.earlyoom),
    "nohang": lambda _world: Daemon("nohang", others.nohang),
    "systemd-oomd": lambda _world: Daemon("systemd-oomd", others.oomd),
}
ADJ = {"steadyrun": Ours.adj}
