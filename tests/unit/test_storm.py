"""The pure parts of the storm: the loads' sizes, what frames say, what a record says."""

import dataclasses
import re

import msgspec
import pytest
from storm.experiment import line_of
from storm.frames import ENTRY, PERIOD_NS, SIZE, frames_of, next_due, parse
from storm.host import Spent, others_frac
from storm.inside.board import SLOTS
from storm.inside.load import parts
from storm.judge import changes, judge, lost, oom_outside
from storm.loads import LOADS
from storm.record import Census, Frames, Login, Process, Record, Told
from storm.swap import SWAPS
from storm.under import BARE, MEMORY, STEADYRUN

SECOND = 1_000_000_000


class TestLoads:
    def test_all_of_the_story_are_there(self):
        wanted = {"few-large", "many-small", "fits", "writer", "fork-bomb", "shm", "leak", "all", "lap"}
        assert set(LOADS) == wanted

    @pytest.mark.parametrize("load", LOADS.values(), ids=str)
    def test_every_process_has_a_slot_of_its_own(self, load):
        crew = list(parts(load))
        assert 0 < len(crew) <= SLOTS
        assert sum(part.hog for part in crew) == load.hogs

    def test_what_has_no_end_asks_for_no_amount(self):
        assert LOADS["fork-bomb"].asked() is None
        assert LOADS["fits"].asked() == 64 * 150
        assert LOADS["writer"].asked() == 4 << 30

    def test_one_fits_and_the_others_do_not(self):
        limit = int(MEMORY.rstrip("M"))
        memory = {n: x.hogs * x.hog_mib + x.shm_mib + x.leak_mib for n, x in LOADS.items()}
        assert memory.pop("fits") == memory.pop("lap") < limit / 2
        assert all(memory.pop(name) == 0 for name in ("writer", "fork-bomb"))
        assert all(mib > 2048 for mib in memory.values()), memory


class TestFrames:
    def stream(self, *ends_ms, late_ms=1):
        return [(ms * 1_000_000, late_ms * 1_000_000) for ms in ends_ms]

    def test_a_quiet_desktop(self):
        ends = [(n * PERIOD_NS, 500_000) for n in range(1, 1000)]
        seen = frames_of(ends, 2 * SECOND, 12 * SECOND, alive=True)
        assert seen.shown / seen.lived_s == pytest.approx(60, abs=0.1)
        assert seen.p99_ms == 0.5
        assert seen.longest_gap_ms == pytest.approx(16.7, abs=0.1)
        assert len(seen.each_second) == 10
        assert set(seen.each_second) == {60}

    def test_a_gap_that_began_before_the_stretch_counts_whole(self):
        seen = frames_of(self.stream(1000, 4000, 4016), 3 * SECOND, 4 * SECOND + 20_000_000, alive=True)
        assert seen.shown == 2
        assert seen.longest_gap_ms == 3000.0

    def test_silence_to_the_end_is_a_gap_while_the_window_lives(self):
        entries = self.stream(1000, 1016)
        assert frames_of(entries, SECOND, 9 * SECOND, alive=True).longest_gap_ms == 7984.0

    def test_one_that_died_lived_until_its_last_frame(self):
        seen = frames_of(self.stream(1000, 1500, 2000), SECOND, 9 * SECOND, alive=False)
        assert (seen.shown, seen.lived_s, seen.longest_gap_ms) == (2, 1.0, 500.0)

    def test_no_frame_has_no_lateness(self):
        seen = frames_of([], SECOND, 9 * SECOND, alive=True)
        assert (seen.shown, seen.p50_ms, seen.p99_ms, seen.longest_gap_ms) == (0, None, None, 8000.0)

    def test_the_percentile_is_one_of_the_frames(self):
        entries = [(n * 16_000_000, n * 1_000_000) for n in range(1, 201)]
        seen = frames_of(entries, 0, 4 * SECOND, alive=True)
        assert (seen.p50_ms, seen.p99_ms) == (100.0, 198.0)

    def test_the_file_ends_at_its_first_zeros(self):
        data = ENTRY.pack(5, 1) + ENTRY.pack(9, 2) + bytes(SIZE - 2 * ENTRY.size)
        assert parse(data) == [(5, 1), (9, 2)]

    def test_a_missed_frame_is_not_caught_up(self):
        assert next_due(100, 101) == 100 + PERIOD_NS
        assert next_due(100, 100 + 5 * PERIOD_NS) == 100 + 6 * PERIOD_NS


def process(pid, comm="xterm", uid=1000, start=10):
    return Process(pid, start, comm, uid)


BEFORE = Census(
    boot_id="b",
    session="session 1, leader 5 started 7",
    display_manager="abc",
    user_manager=process(20, "systemd"),
    user_bus=process(21, "dbus-daemon"),
    display_server=process(22, "Xorg", 0),
    processes=(process(20, "systemd"), process(30), process(31, "openbox"), process(32, "sleep")),
    shm_bytes=0,
)
QUIET = Frames(480, 8.0, 0.3, 1.0, 17.0, (60,) * 8)
TOLD = Told(
    before=BEFORE,
    after=BEFORE,
    idle=QUIET,
    storm=Frames(200, 10.0, 5.0, 80.0, 420.0, (20,) * 10),
    idle_wall=92.0,
    storm_wall=100.0,
    over_wall=110.0,
    started_s=1.0,
    stopped_s=7.5,
    finished_s=None,
    rounds=150,
    bytes=1 << 20,
    forks=3,
    children_killed=1,
    children_replaced=0,
    exit_code=137,
    oom_kills=("Memory cgroup out of memory: Killed process 7 (storm-load) total-vm:1kB",),
    outcome=None,
    said="",
    samples=(),
)
RECORD = Record(
    load="fits",
    under="steadyrun",
    swap="none",
    seconds=40.0,
    at="",
    told=TOLD,
    logins=(Login(-3.0, 0.1, 1.0, 1.1), Login(1.0, 0.2, 1.5, 1.7), Login(5.0, 0.4, None, 6.0)),
    back_s=1.0,
    lost="",
    host_others_frac=0.1,
    took_s=60.0,
)


def with_after(**changed):
    return with_told(after=dataclasses.replace(BEFORE, **changed))


def with_told(**told):
    return dataclasses.replace(RECORD, told=dataclasses.replace(TOLD, **told))


class TestJudging:
    def test_a_kept_desktop(self):
        row = judge(RECORD)
        assert row.survived is True
        assert (row.changed, row.lost, row.oom_outside) == ((), (), ())
        assert (row.fps, row.fps_idle, row.p99_ms, row.gap_ms) == (20.0, 60.0, 80.0, 420.0)
        assert (row.work, row.work_share) == (150, round(1 / 64, 3))
        assert (row.stopped_s, row.exit_code) == (7.5, 137)

    def test_logins_of_the_idle_window_do_not_count_and_no_answer_is_as_long_as_it_waited(self):
        row = judge(RECORD)
        assert (row.ssh_p50_s, row.ssh_max_s, row.ssh_refused) == (1.5, 6.0, 1)
        assert row.banner_max_s == 0.4

    def test_a_look_that_the_end_cut_short_says_nothing(self):
        record = dataclasses.replace(
            RECORD, logins=(Login(9.0, 0.1, None, 1.5), Login(10.5, 0.1, None, 60.0))
        )
        row = judge(record)
        assert (row.ssh_p50_s, row.ssh_max_s, row.ssh_refused) == (None, None, 0)

    @pytest.mark.parametrize(
        ("changed", "how"),
        [
            ({"session": "session 2, leader 9 started 8"}, {"session": "other"}),
            ({"session": ""}, {"session": "gone"}),
            ({"session": None}, {"session": "unknown"}),
            ({"display_server": process(99, "Xorg", 0)}, {"display_server": "other"}),
            ({"user_bus": None}, {"user_bus": "gone"}),
            ({"boot_id": "c", "display_manager": "d"}, {"boot_id": "other", "display_manager": "other"}),
        ],
    )
    def test_what_changed_is_named(self, changed, how):
        assert changes(BEFORE, dataclasses.replace(BEFORE, **changed)) == how
        row = judge(with_after(**changed))
        assert row.survived is (None if "unknown" in how.values() else False)
        assert set(row.changed) == set(how)

    def test_what_was_unknown_before_is_not_called_kept(self):
        unknown = dataclasses.replace(BEFORE, display_manager=None)
        assert changes(unknown, unknown) == {"display_manager": "unknown"}
        assert judge(with_told(before=unknown, after=unknown)).survived is None

    def test_a_process_with_the_same_number_is_another_one(self):
        after = dataclasses.replace(BEFORE, processes=(process(20, "systemd"), process(30, start=11)))
        assert lost(BEFORE, after) == ("openbox", "xterm"), "and what comes and goes is no loss"

    def test_a_guest_that_never_came_to_say_is_unknown(self):
        row = judge(dataclasses.replace(RECORD, told=None))
        assert row.survived is None
        assert (row.fps, row.work, row.work_share, row.stopped_s) == (None, None, None, None)
        assert row.ssh_max_s == 6.0

    def test_the_work_of_a_cpu_second_is_known_of_what_came_to_its_end(self):
        told = dataclasses.replace(TOLD, finished_s=30.0, rounds=9600, cpu_s=50.0)
        assert judge(dataclasses.replace(RECORD, told=told)).per_cpu_s == 192.0
        assert judge(RECORD).per_cpu_s is None

    def test_victims_of_the_kernel_that_are_not_the_loads(self):
        lines = (
            "/init.scope: Out of memory: Killed process 1 (systemd) total-vm:1kB",
            "/user.slice: Out of memory: Killed process 9 (storm-load) total-vm:1kB",
            "/steadyrun-7-proof-memory.service/load: Out of memory: Killed process 5 (python) total-vm:1kB",
        )
        assert oom_outside(lines) == ("systemd",)

    def test_a_kept_record_gives_the_same_row(self):
        kept = msgspec.json.encode(RECORD)
        assert judge(msgspec.json.decode(kept, type=Record)) == judge(RECORD)


class TestHost:
    def test_what_the_machine_itself_took_is_not_of_others(self):
        before, after = Spent(10.0, 5000, 400), Spent(20.0, 6500, 1400)
        assert others_frac(before, after, cpus=2, ticks=100) == 0.25

    def test_no_time_has_no_others(self):
        assert others_frac(Spent(1.0, 5, 4), Spent(1.0, 5, 4), cpus=2, ticks=100) == 0.0


class TestTyping:
    def test_all_run_the_same_command_and_differ_in_what_stands_before_it(self):
        bare, ours = line_of(BARE, LOADS["fits"]), line_of(STEADYRUN, LOADS["fits"])
        assert ours == f"{STEADYRUN.before} {bare}"
        assert re.fullmatch(r"env PYTHONPATH=\S+ \S+ python3 -m storm.inside.load fits", bare)

    def test_no_swap_needs_no_command(self):
        assert [name for name, command in SWAPS.items() if not command] == ["none"]
