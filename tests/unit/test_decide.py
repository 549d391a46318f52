"""A systemd that is slow to answer: waited for before limits are given up, and told when it stays silent."""

import pytest
from fake_bus import FakeBus, SilenceError
from test_choose import ALL, FILES, UNIFIED, UnifiedLevel, unified

from steadyrun.contain import decide as deciding
from steadyrun.contain.systemd_facts import read_manager
from steadyrun.errors import CannotContainError
from steadyrun.model.containment import BackendName, ManagerFacts

NOT_OURS = UnifiedLevel("/sys/fs/cgroup/user.slice", ALL, (), False, False, False, False, False)
MANAGER = ManagerFacts(True, 252, "/sys/fs/cgroup/user.slice/user@1000.service", ALL, FILES)
SILENT = ManagerFacts(True, None, "", (), (), "it cannot be asked: no answer in time", "wait", silent=True)
NOBODY = SILENT._replace(trouble="there is no bus", silent=False)


@pytest.fixture
def asked(monkeypatch):
    """A machine whose manager gives one answer first and another when it is asked again."""

    def machine(first, second=None):
        facts, again = unified(NOT_OURS, manager=first, euid=1000), []

        def ask_again(found, patience):
            again.append(patience)
            return found._replace(manager=second)

        monkeypatch.setattr(deciding, "read_facts", lambda: facts)
        monkeypatch.setattr(deciding, "ask_again", ask_again)
        return again

    return machine


def decided(*, accept_weak=False):
    said = []
    _, choice = deciding.decide(accept_weak=accept_weak, say=said.append)
    return choice, said


def test_a_manager_that_answers_late_is_used(asked):
    again = asked(SILENT, MANAGER)
    choice, said = decided()
    assert choice.backend is BackendName.SYSTEMD
    assert again == [deciding.SECOND_PATIENCE]
    assert said == ["systemd does not answer yet: waiting for it, 25 s at most"]


def test_a_manager_that_stays_silent_is_an_error_and_no_reason_to_poll(asked):
    asked(SILENT, SILENT)
    with pytest.raises(CannotContainError, match="no answer in time") as caught:
        decided()
    assert "--accept-weak" in caught.value.hint


def test_who_takes_polled_limits_waits_for_nobody(asked):
    again = asked(SILENT)
    choice, said = decided(accept_weak=True)
    assert (choice.backend, again, said) == (BackendName.POLL, [], [])
    assert deciding.reasons(choice).startswith("systemd: it cannot be asked: no answer in time")


@pytest.mark.parametrize("first", [NOBODY, MANAGER])
def test_a_machine_that_answered_is_asked_once(asked, first):
    assert asked(first) == []
    assert decided()[1] == []


@pytest.mark.parametrize("how", ["Get", "Hello", "nobody"])
def test_silence_is_told_from_a_bus_that_is_not_there(tmp_path, monkeypatch, how):
    def keep_silent(fake, call):
        raise SilenceError

    with FakeBus(tmp_path / "bus") as bus:
        bus.answers[how] = keep_silent
        place = tmp_path / ("none" if how == "nobody" else "bus")
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={place}")
        monkeypatch.setattr("os.geteuid", lambda: 0)
        found = read_manager(UNIFIED, 0.3)
    assert found.silent is (how != "nobody")
    assert found.trouble
