"""Outliving the session: every change has its intent before it, and is taken back in the right order."""

import os
import select

import pytest
from fake_bus import FailureError, FakeSystemd, SilenceError
from journal_values import BOOT, OTHER_BOOT, a_header, opened

from steadyrun.bus import login
from steadyrun.journal.owners import Owners
from steadyrun.journal.rows import IntentKind
from steadyrun.model.change import BootUnit, Lingering
from steadyrun.ramp import outlive
from steadyrun.ramp.outlive import TAKEN_OVER, Outliving, hold_lasting
from steadyrun.ramp.place import Surroundings
from steadyrun.recovery.clean_up import recover
from steadyrun.recovery.lasting import restore_lingering

SESSION = Surroundings(1000, True, "/user.slice/user-1000.slice/session-3.scope")
SCOPE = SESSION._replace(
    unit_path="/user.slice/user-1000.slice/user@1000.service/app.slice/steadyrun-ramp-r1.scope"
)


@pytest.fixture
def systemd(tmp_path, monkeypatch):
    with FakeSystemd(tmp_path / "bus") as fake:
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={fake.path}")
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))  # the user bus is the same one
        monkeypatch.setattr(login, "LINGER_FOLDER", str(tmp_path / "linger"))
        yield fake
        fake.let_go()
        for each in fake.locks:
            os.close(each)


@pytest.fixture
def awake(tmp_path, monkeypatch):
    states = tmp_path / "state"
    states.write_text("freeze mem disk\n")
    monkeypatch.setattr(outlive, "SLEEP_STATES", str(states))
    return states


@pytest.fixture
def journal(tmp_path):
    folder = tmp_path / "journal"
    folder.mkdir(mode=0o700)
    with opened(folder) as journal:
        journal.begin_run(a_header("r1"))
        yield journal


class Ramp:
    """One `Outliving` with what it told, in a place that the fake's scope changes."""

    def __init__(self, journal, systemd, *, around=SESSION, boot_unit=None, owners=None):
        self.told = []
        self._around, self._systemd = around, systemd
        self.outliving = Outliving(
            "r1",
            journal,
            owners or Owners(journal.directory),
            self.told.append,
            boot_unit=boot_unit,
            around=self._now,
        )

    def _now(self):
        moved = "steadyrun-ramp-r1.scope" in self._systemd.units
        return SCOPE if moved and self._around is SESSION else self._around

    def codes(self):
        return [finding.code for finding in self.told]


def open_kinds(journal):
    return [intent.kind for intent in journal.open_intents()]


def test_all_changes_are_made_and_all_are_taken_back(journal, systemd, awake):
    ramp = Ramp(journal, systemd)
    ramp.outliving.begin()
    assert systemd.lingers is True
    assert systemd.units["steadyrun-ramp-r1.scope"]["PIDs"] == ("au", [os.getpid()])
    assert open_kinds(journal) == [IntentKind.INHIBIT, IntentKind.LINGERING]
    assert ramp.codes() == ["lingering-switched-on"]
    systemd.let_go()
    assert not select.select(systemd.locks, [], [], 0)[0]  # the lock is held
    assert ramp.outliving.end() == ()
    assert systemd.lingers is False
    assert select.select(systemd.locks, [], [], 1)[0]  # and let go
    assert open_kinds(journal) == []


def test_each_intent_is_written_before_its_change(journal, systemd, awake):
    seen = {}
    for member in ("Inhibit", "SetUserLinger"):
        answer = systemd.answers[member]

        def look(fake, call, member=member, answer=answer):
            with opened(os.path.dirname(journal.path)) as other:
                seen.setdefault(member, open_kinds(other))
            return answer(fake, call)

        systemd.answers[member] = look
    Ramp(journal, systemd).outliving.begin()
    assert IntentKind.INHIBIT in seen["Inhibit"]
    assert IntentKind.LINGERING in seen["SetUserLinger"]


def test_sleep_is_inhibited_before_the_session_is_left(journal, systemd, awake):
    Ramp(journal, systemd).outliving.begin()
    order = [call.member for call in systemd.calls]
    assert order.index("Inhibit") < order.index("SetUserLinger") < order.index("StartTransientUnit")


def test_lingering_that_was_on_is_left_on(journal, systemd, awake):
    systemd.lingers = True
    ramp = Ramp(journal, systemd)
    ramp.outliving.begin()
    ramp.outliving.end()
    assert systemd.asked("SetUserLinger") == []
    assert systemd.lingers is True
    assert ramp.codes() == []


def test_a_refused_lingering_ends_the_ramp_with_the_session_and_says_so(journal, systemd, awake):
    def refuse(fake, call):
        raise FailureError("org.freedesktop.DBus.Error.AccessDenied", "Permission denied")

    systemd.answers["SetUserLinger"] = refuse
    ramp = Ramp(journal, systemd)
    ramp.outliving.begin()
    assert ramp.codes() == ["ends-with-session"]
    assert "Permission denied" in ramp.told[0].evidence
    assert systemd.asked("StartTransientUnit") == []
    assert ramp.outliving.end() == ()
    assert open_kinds(journal) == []


def test_lingering_that_came_about_without_an_answer_is_still_taken_back(journal, systemd, monkeypatch):
    monkeypatch.setattr("steadyrun.recovery.lasting.PATIENCE_S", 0.3)

    def switch_and_keep_silent(fake, call):
        fake.lingers = call.body[1]
        if call.body[1]:
            raise SilenceError
        return "", ()

    systemd.answers["SetUserLinger"] = switch_and_keep_silent
    ramp = Ramp(journal, systemd)
    ramp.outliving.begin()
    assert "ends-with-session" in ramp.codes()
    assert systemd.lingers is True
    ramp.outliving.end()
    assert systemd.lingers is False


def test_a_move_that_the_manager_claims_and_the_kernel_does_not_show_is_told(journal, systemd, awake):
    ramp = Ramp(journal, systemd, around=SESSION._replace(unit_path=f"{SESSION.unit_path}/"))
    ramp.outliving.begin()
    assert ramp.codes()[-1] == "ends-with-session"
    assert "expected to be in it" in ramp.told[-1].evidence


def test_what_cannot_be_undone_stays_open_and_the_next_start_undoes_it(journal, systemd, awake):
    ramp = Ramp(journal, systemd)
    ramp.outliving.begin()
    works = systemd.answers["SetUserLinger"]

    def refuse(fake, call):
        raise FailureError("org.freedesktop.DBus.Error.AccessDenied", "Permission denied")

    systemd.answers["SetUserLinger"] = refuse
    (failure,) = ramp.outliving.end()
    assert "Permission denied" in failure
    assert open_kinds(journal) == [IntentKind.LINGERING]
    systemd.answers["SetUserLinger"] = works
    recovered = recover(journal)
    assert recovered.done == ("r1: switched lingering of uid 1000 off again",)
    assert systemd.lingers is False
    assert open_kinds(journal) == []


def test_where_the_machine_cannot_sleep_nothing_is_inhibited_or_told(journal, systemd, awake):
    awake.write_text("\n")
    ramp = Ramp(journal, systemd, around=Surroundings(1000, False, "/"))
    ramp.outliving.begin()
    assert systemd.calls == []
    assert ramp.codes() == []


def test_without_a_bus_the_ramp_goes_on_and_says_what_it_lacks(journal, tmp_path, awake, monkeypatch):
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path}/nobody")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    told = []
    outliving = Outliving("r1", journal, Owners(journal.directory), told.append, around=lambda: SESSION)
    outliving.begin()
    assert [finding.code for finding in told] == ["sleep-not-inhibited", "ends-with-session"]
    assert outliving.end() == ()
    assert open_kinds(journal) == []


def a_boot_unit(tmp_path):
    folder = f"{tmp_path}/units"
    return BootUnit(f"{folder}/x.service", f"{folder}/w/x.service", "[Unit]\n", (f"{folder}/w", folder))


def test_a_boot_unit_is_written_after_its_intent_and_removed_at_the_end(journal, systemd, tmp_path):
    unit = a_boot_unit(tmp_path)
    ramp = Ramp(journal, systemd, boot_unit=unit)
    ramp.outliving.begin()
    assert os.path.exists(unit.link)
    assert "boot-unit-written" in ramp.codes()
    assert IntentKind.BOOT_UNIT in open_kinds(journal)
    ramp.outliving.end()
    assert not os.path.exists(os.path.dirname(unit.path))
    assert open_kinds(journal) == []


def test_a_boot_unit_that_cannot_be_written_is_told_and_the_ramp_goes_on(journal, systemd, tmp_path):
    unit = a_boot_unit(tmp_path)
    (tmp_path / "units").write_text("a file")
    ramp = Ramp(journal, systemd, boot_unit=unit)
    ramp.outliving.begin()
    assert "boot-unit-missing" in ramp.codes()


def crashed_run(journal, unit):
    """Leave what a ramp leaves that a crash of the machine ended: another boot, a dead process."""
    journal.begin_run(a_header("r0", boot_id=OTHER_BOOT, pid=2**22 - 3))
    journal.intend("r0", IntentKind.LINGERING, Lingering(1000, before=False))
    journal.intend("r0", IntentKind.BOOT_UNIT, unit)


def test_a_resumed_ramp_takes_over_what_the_crashed_one_changed(journal, systemd, tmp_path):
    unit = a_boot_unit(tmp_path)
    os.makedirs(os.path.dirname(unit.link))
    with open(unit.path, "w") as file:
        file.write(unit.text)
    os.symlink(unit.path, unit.link)
    crashed_run(journal, unit)
    systemd.lingers = True
    assert recover(journal, keep=TAKEN_OVER).done == ()
    assert systemd.lingers is True
    assert os.path.exists(unit.link)
    ramp = Ramp(journal, systemd, boot_unit=unit._replace(folders=()))
    ramp.outliving.begin()
    assert {intent.run_id for intent in journal.open_intents()} == {"r1"}
    assert ramp.outliving.end() == ()
    assert systemd.lingers is False
    assert not os.path.exists(f"{tmp_path}/units")
    assert open_kinds(journal) == []


def test_another_start_undoes_nothing_while_the_resumed_ramp_waits_for_the_machine(
    journal, systemd, tmp_path
):
    unit = a_boot_unit(tmp_path)
    os.makedirs(os.path.dirname(unit.link))
    with open(unit.path, "w") as file:
        file.write(unit.text)
    os.symlink(unit.path, unit.link)
    crashed_run(journal, unit)
    systemd.lingers = True
    held = hold_lasting(journal)
    assert recover(journal, keep=TAKEN_OVER, owners=held).done == ()
    assert journal.record("r0").end.exit_code == 5, "the client itself has to know that it crashed"
    # Now it waits; meanwhile somebody types `steadyrun run -- true`.
    assert recover(journal) == ((), (), (), ())
    assert systemd.lingers is True
    assert os.path.exists(unit.link)
    ramp = Ramp(
        journal, systemd, boot_unit=unit._replace(folders=()), owners=Owners(journal.directory, held.fd)
    )
    ramp.outliving.begin()
    assert {intent.run_id for intent in journal.open_intents()} == {"r1"}
    with Owners(journal.directory) as other:
        assert not other.has_other("r0")
    assert ramp.outliving.end() == ()
    assert systemd.lingers is False


def test_a_resumed_ramp_that_ends_while_it_waits_leaves_its_changes_to_anybody(journal, systemd, tmp_path):
    crashed_run(journal, a_boot_unit(tmp_path))
    systemd.lingers = True
    hold_lasting(journal).close()
    assert any("lingering" in line for line in recover(journal).done)
    assert systemd.lingers is False


def test_recovery_undoes_both_where_no_ramp_takes_them_over(journal, systemd, tmp_path):
    unit = a_boot_unit(tmp_path)
    os.makedirs(os.path.dirname(unit.link))
    with open(unit.path, "w") as file:
        file.write(unit.text)
    os.symlink(unit.path, unit.link)
    crashed_run(journal, unit)
    systemd.lingers = True
    done = recover(journal).done
    assert any("lingering" in line for line in done)
    assert any(unit.path in line for line in done)
    assert systemd.lingers is False
    assert not os.path.exists(f"{tmp_path}/units")


def test_lingering_that_was_on_before_is_never_switched_off(systemd):
    systemd.lingers = True
    assert restore_lingering(Lingering(1000, before=True)) == ""
    assert systemd.calls == []


def test_a_bus_that_is_away_keeps_the_intent_for_the_next_start(journal, tmp_path, monkeypatch):
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path}/nobody")
    journal.begin_run(a_header("r0", boot_id=BOOT, pid=2**22 - 3))
    journal.intend("r0", IntentKind.LINGERING, Lingering(1000, before=False))
    assert len(recover(journal).failed) == 1
    assert open_kinds(journal) == [IntentKind.LINGERING]
