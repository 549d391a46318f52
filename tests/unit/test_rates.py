"""Shares out of two samples."""

import pytest

from steadyrun.model.rates import host_rates, idle_cores
from steadyrun.model.sample import CpuTimes, HostSample, Psi

HOST = HostSample(**dict.fromkeys(HostSample._fields))._replace(
    at=10.0,
    psi_memory=Psi(100_000, 50_000, 0.9),
    psi_cpu=Psi(7, None, 0.0),
)


def test_the_machine_gets_the_shares_of_the_interval_that_were_waited():
    after = HOST._replace(at=10.5, psi_memory=Psi(350_000, 50_000, 0.0), psi_cpu=Psi(250_007, None, 0.0))
    rates = host_rates(HOST, after)
    assert rates is not None
    assert rates.psi_memory == pytest.approx((0.5, 0.0))
    assert rates.psi_cpu.some == pytest.approx(0.5)
    assert rates.psi_cpu.full is None
    assert rates.psi_io == (None, None)


@pytest.mark.parametrize(
    "after",
    [
        HOST,
        HOST._replace(at=9.0),
        HOST._replace(at=float("nan")),
        HOST._replace(at=11.0, psi_memory=Psi(99_999, 50_000, 0.0)),
        HOST._replace(at=11.0, psi_memory=Psi(100_000, 0, 0.0)),
    ],
)
def test_samples_of_the_machine_that_cannot_be_compared_give_nothing(after):
    assert host_rates(HOST, after) is None


def test_what_one_sample_lacks_is_unknown_and_never_zero():
    blank = HOST._replace(psi_memory=None)
    for before, after in ((HOST, blank._replace(at=11.0)), (blank, HOST._replace(at=11.0))):
        rates = host_rates(before, after)
        assert rates is not None
        assert rates.psi_memory == (None, None)
        assert rates.psi_cpu == (0.0, None)


def test_a_share_is_never_above_one_though_clock_and_file_are_read_apart():
    after = HOST._replace(at=10.1, psi_memory=Psi(205_000, 50_000, 0.0))
    rates = host_rates(HOST, after)
    assert rates is not None
    assert rates.psi_memory.some == 1.0


def test_the_kernels_average_plays_no_part():
    later = HOST._replace(at=11.0)
    assert host_rates(HOST, later) == host_rates(HOST, later._replace(psi_memory=Psi(100_000, 50_000, 0.0)))


def test_idle_cores_are_the_idle_share_of_all_that_may_be_used():
    assert idle_cores(CpuTimes(2, 100, 1000), CpuTimes(2, 400, 1400)) == 1.5
    assert idle_cores(CpuTimes(2, 100, 1000), CpuTimes(2, 100, 1400)) == 0.0


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, CpuTimes(2, 400, 1400)),
        (CpuTimes(2, 100, 1000), None),
        (CpuTimes(2, 100, 1000), CpuTimes(2, 100, 1000)),
        (CpuTimes(2, 100, 1000), CpuTimes(2, 99, 1400)),
        (CpuTimes(2, 100, 1000), CpuTimes(1, 400, 1400)),
    ],
)
def test_processor_times_that_cannot_be_compared_are_not_known(before, after):
    assert idle_cores(before, after) is None
