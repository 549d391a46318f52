"""Rates out of two samples."""

import pytest

from steadyrun.model.rates import host_rates, load_rates
from steadyrun.model.sample import CgroupId, CgroupSample, HostSample, Psi

IDENTITY = CgroupId("/sys/fs/cgroup/memory/x", 42)
LOAD = CgroupSample(
    **(dict.fromkeys(CgroupSample._fields)),  # type: ignore[arg-type]
)._replace(
    at=10.0,
    identity=IDENTITY,
    cpu_time=5_000_000,
    cpu_throttled=100_000,
    oom_kills=1,
    io_read=1000,
    io_write=2000,
    psi_memory=Psi(100_000, 50_000, 0.9),
)
HOST = HostSample(**dict.fromkeys(HostSample._fields))._replace(
    at=10.0,
    mem_available=8_000_000,
    psi_memory=Psi(100_000, 50_000, 0.9),
    psi_cpu=Psi(7, None, 0.0),
    swap_in_pages=10,
    swap_out_pages=20,
    oom_kills=3,
)


def test_a_load_gets_cores_shares_and_bytes_a_second():
    after = LOAD._replace(
        at=12.0,
        cpu_time=8_000_000,
        cpu_throttled=600_000,
        oom_kills=4,
        io_read=5000,
        io_write=2000,
        psi_memory=Psi(600_000, 150_000, 0.0),
    )
    rates = load_rates(LOAD, after)
    assert rates is not None
    assert rates.interval == 2.0
    assert rates.cpu == pytest.approx(1.5)
    assert rates.throttled == pytest.approx(0.25)
    assert rates.psi_memory == pytest.approx((0.25, 0.05))
    assert rates.psi_io == (None, None)
    assert (rates.io_read, rates.io_write, rates.oom_kills) == (2000.0, 0.0, 3)


def test_the_machine_gets_shares_pages_a_second_and_the_slope_of_available_memory():
    after = HOST._replace(
        at=10.5,
        mem_available=7_000_000,
        psi_memory=Psi(350_000, 50_000, 0.0),
        psi_cpu=Psi(250_007, None, 0.0),
        swap_in_pages=15,
        swap_out_pages=20,
        oom_kills=3,
    )
    rates = host_rates(HOST, after)
    assert rates is not None
    assert rates.psi_memory == pytest.approx((0.5, 0.0))
    assert rates.psi_cpu.some == pytest.approx(0.5)
    assert rates.psi_cpu.full is None
    assert rates.psi_io == (None, None)
    assert (rates.swap_in, rates.swap_out, rates.oom_kills) == (10.0, 0.0, 0)
    assert rates.available_slope == -2_000_000.0


@pytest.mark.parametrize(
    "after",
    [
        LOAD._replace(at=11.0, identity=CgroupId(IDENTITY.path, 43)),
        LOAD._replace(at=11.0, identity=CgroupId("/other", 42)),
        LOAD._replace(at=11.0, identity=None),
        LOAD,
        LOAD._replace(at=9.0),
        LOAD._replace(at=float("nan")),
        LOAD._replace(at=11.0, cpu_time=4_999_999),
        LOAD._replace(at=11.0, cpu_throttled=0),
        LOAD._replace(at=11.0, oom_kills=0),
        LOAD._replace(at=11.0, io_write=0),
        LOAD._replace(at=11.0, psi_memory=Psi(99_999, 50_000, 0.0)),
        LOAD._replace(at=11.0, psi_memory=Psi(100_000, 0, 0.0)),
    ],
)
def test_samples_of_a_load_that_cannot_be_compared_give_nothing(after):
    assert load_rates(LOAD, after) is None


def test_two_samples_without_identity_are_not_of_one_cgroup():
    nameless = LOAD._replace(identity=None)
    assert load_rates(nameless, nameless._replace(at=11.0)) is None


@pytest.mark.parametrize(
    "after",
    [
        HOST,
        HOST._replace(at=9.0),
        HOST._replace(at=11.0, oom_kills=0),
        HOST._replace(at=11.0, swap_in_pages=0),
        HOST._replace(at=11.0, psi_memory=Psi(0, 0, 0.0)),
    ],
)
def test_samples_of_the_machine_that_cannot_be_compared_give_nothing(after):
    assert host_rates(HOST, after) is None


def test_what_one_sample_lacks_is_unknown_and_never_zero():
    blank = HOST._replace(psi_memory=None, mem_available=None, swap_in_pages=None, oom_kills=None)
    for before, after in ((HOST, blank._replace(at=11.0)), (blank, HOST._replace(at=11.0))):
        rates = host_rates(before, after)
        assert rates is not None
        assert (rates.psi_memory, rates.available_slope, rates.swap_in) == ((None, None), None, None)
        assert rates.oom_kills is None
        assert rates.swap_out == 0.0


def test_a_share_is_never_above_one_though_clock_and_file_are_read_apart():
    after = HOST._replace(at=10.1, psi_memory=Psi(205_000, 50_000, 0.0))
    rates = host_rates(HOST, after)
    assert rates is not None
    assert rates.psi_memory.some == 1.0


def test_the_kernels_average_plays_no_part():
    assert load_rates(LOAD, LOAD._replace(at=11.0)) == load_rates(
        LOAD, LOAD._replace(at=11.0, psi_memory=Psi(100_000, 50_000, 0.0))
    )
