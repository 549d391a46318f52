import pytest

from steadyrun.contain.panic import expect_no_panic
from steadyrun.errors import CannotContainError


@pytest.fixture
def machine(tmp_path):
    file = tmp_path / "proc/sys/vm/panic_on_oom"
    file.parent.mkdir(parents=True)
    return file


def test_a_machine_that_panics_at_a_kill_in_a_cgroup_holds_no_load(machine, tmp_path):
    machine.write_text("2\n")
    with pytest.raises(CannotContainError, match="panic") as refused:
        expect_no_panic(str(tmp_path))
    assert refused.value.hint == "sudo sysctl vm.panic_on_oom=0"


@pytest.mark.parametrize("value", ["0\n", "1\n"])
def test_other_machines_do(machine, tmp_path, value):
    machine.write_text(value)
    expect_no_panic(str(tmp_path))


def test_a_machine_that_cannot_be_asked_is_not_refused(tmp_path):
    expect_no_panic(str(tmp_path))
