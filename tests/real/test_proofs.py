"""The containment proofs on a machine that is slow: what took long is no reason to call a limit broken."""

import os
import time

import pytest
from program import our_cgroups

from conftest import until
from steadyrun.errors import JournalUnwritableError
from steadyrun.guard import keeper
from steadyrun.model.containment import BackendName
from steadyrun.model.verdict import Answer
from steadyrun.ramp import proofs

pytestmark = pytest.mark.real

LONG = keeper.SILENCE_S + 0.5


@pytest.fixture
def backend(backend_named):
    return backend_named(BackendName.CGROUP1)


@pytest.fixture
def name():
    """A random name of throw-away containments, none of which may stay."""
    made = f"test-{os.urandom(8).hex()}"
    yield made
    assert until(lambda: not [path for path in our_cgroups() if made in path])


def intent(plan, *, takes=0.0):
    def made(_):
        time.sleep(takes)
        return lambda how: None

    return made


def test_an_over_allocator_that_is_slow_to_start_still_proves_the_limit(backend, name):
    """Seen on a busy machine: the keeper took the silent prover for dead and killed what was to be proven."""
    slow = f"import time; time.sleep({LONG}); b = bytearray({proofs.OVER_ALLOCATES})"
    with proofs._contained(backend, name, intent, slow, proofs.QUICK_LIMITS) as hold:
        proof = proofs._over_allocator_dies(backend, hold)
    assert proof.answer is Answer.YES, proof.evidence
    assert proof.took >= LONG


def test_a_journal_that_takes_its_time_does_not_cost_the_proof_its_load(backend, name):
    def slow_disk(plan):
        return intent(plan, takes=LONG)

    hog = f"b = bytearray({proofs.OVER_ALLOCATES})"
    with proofs._contained(backend, name, slow_disk, hog, proofs.QUICK_LIMITS) as hold:
        proof = proofs._over_allocator_dies(backend, hold)
    assert proof.answer is Answer.YES, proof.evidence


def test_a_proof_whose_inodes_cannot_be_written_down_leaves_nothing(backend, name):
    def full_disk(plan):
        def made(_):
            raise JournalUnwritableError("no space left")

        return made

    def contain():
        with proofs._contained(backend, name, full_disk, "import time; time.sleep(60)", proofs.QUICK_LIMITS):
            pass

    with pytest.raises(JournalUnwritableError):
        contain()
    assert not [path for path in our_cgroups() if name in path]
