"""Readings for tests of the guard: only what a test names differs from a calm machine."""

from steadyrun.model.event import Thresholds
from steadyrun.model.sample import CgroupSample, HostSample, Reading
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


def reading(at=0.0, available=20 * GIB, seq=1, **load):
    return Reading(seq, host_sample(at, mem_available=available), load_sample(at, **load), None)
