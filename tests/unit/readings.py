"""Readings for tests of the guard: only what a test names differs from a calm machine."""

from steadyrun.model.sample import CgroupSample, Frames, HostSample, ProtectedSample, Psi, Reading
from steadyrun.model.thresholds import Thresholds
from steadyrun.units import GIB

THRESHOLDS = Thresholds(reserve=2 * GIB, floor=1 * GIB, black=GIB // 2)


def host_sample(at=0.0, **changes):
    return HostSample(
        at=at,
        wall=1_700_000_000.0 + at,
        mem_total=24 * GIB,
        mem_available=20 * GIB,
        swap_total=0,
        swap_free=0,
        load1=0.5,
        load5=0.4,
        load15=0.3,
        runnable=1,
        processes=None,
        psi_memory=None,
        psi_io=None,
        psi_cpu=None,
        swap_in_pages=0,
        swap_out_pages=0,
        oom_kills=0,
    )._replace(**changes)


def load_sample(at=0.0, **changes):
    return CgroupSample(
        at=at,
        identity=None,
        memory=GIB,
        memory_peak=GIB,
        working_set=GIB,
        swap=0,
        cpu_time=0,
        cpu_throttled=0,
        tasks=1,
        tasks_peak=1,
        oom_kills=0,
        io_read=0,
        io_write=0,
        psi_memory=None,
        psi_io=None,
        psi_cpu=None,
        frozen=False,
    )._replace(**changes)


def psi(full=0.0, some=None):
    """Totals of so many seconds."""
    some = full if some is None else some
    return Psi(round(some * 1e6), round(full * 1e6), 0.0)


def frames(p99_ms=0.3, silent=0.01):
    return Frames(1.0, 60, 0.1, p99_ms, p99_ms, silent)


def reading(at=0.0, available=20 * GIB, seq=1, *, host=None, frames=None, protected=(), **load):
    """A reading; `host` holds fields of the host's sample, `protected` (name, some, full) in seconds."""
    groups = tuple(ProtectedSample(n, round(some * 1e6), round(full * 1e6)) for n, some, full in protected)
    sample = host_sample(at, mem_available=available, **(host or {}))
    return Reading(seq, sample, load_sample(at, **load), frames, groups)
