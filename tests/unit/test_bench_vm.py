"""Side by side: what is kept, what is done again, what the table says."""

import dataclasses
from pathlib import Path

import pytest
from bench.vm import results, table
from bench.vm.results import Machine, Results
from bench.vm.unders import TASKS, UNDERS
from storm.judge import judge
from storm.loads import LOADS
from storm.under import MEMORY
from test_storm import BEFORE, RECORD, TOLD

from steadyrun.run.allowance import DEFAULT_TASKS
from steadyrun.units import parse_size

DOCS = Path(__file__).resolve().parents[2] / "docs"


def record(load="fits", under="steadyrun", **changed):
    return dataclasses.replace(RECORD, load=load, under=under, **changed)


class TestResults:
    def test_a_file_goes_on_where_it_was(self, tmp_path):
        path = tmp_path / "new" / "day.json"
        assert results.read(path) == Results(None, ())
        machine = Machine("2 x cpu", "2 CPUs", "tcg", "QEMU 7", {"nothing": "6.1"})
        kept = Results(machine, (record(), record(under="nothing")))
        results.write(kept, path)
        assert results.read(path) == kept
        assert [one.name for one in path.parent.iterdir()] == ["day.json"]

    def test_a_cell_is_there_once_the_last_one(self):
        twice = Results(None, ()).with_record(record()).with_record(record(took_s=1.0))
        assert [one.took_s for one in twice.records] == [1.0]

    def test_a_cell_of_a_busy_host_is_not_there_for_who_wants_calm(self):
        kept = Results(None, (record(host_others_frac=0.3),))
        assert kept.has("fits", "steadyrun", "none", calm=1.0)
        assert not kept.has("fits", "steadyrun", "none", calm=0.2)
        assert not kept.has("fits", "steadyrun", "zram", calm=1.0)


class TestTable:
    def cells(self, **told):
        one = record(told=dataclasses.replace(TOLD, **told))
        return dict(zip(table.HEADS, table.cells(judge(one)), strict=True))

    def test_a_kept_desktop(self):
        assert self.cells() == {
            "under": "steadyrun",
            "session": "kept",
            "others lost": "none",
            "fps (idle)": "20.0 (60.0)",
            "p99, ms": "80.0",
            "longest gap, ms": "420",
            "SSH p50 / max, s": "1.5 / 6.0, 1 unanswered",
            "work done": "2%",
            "stopped after, s": "7.5",
            "exit": "137",
        }

    def test_a_finished_load_says_in_which_time(self):
        cells = self.cells(rounds=LOADS["fits"].asked(), finished_s=31.24, exit_code=0)
        assert (cells["work done"], cells["exit"]) == ("100%, in 31.2 s", "0")

    def test_a_lost_session_says_what_of_it(self):
        after = dataclasses.replace(BEFORE, user_bus=None, processes=BEFORE.processes[:1])
        cells = self.cells(after=after, stopped_s=None)
        assert cells["session"] == "LOST: user's D-Bus"
        assert cells["others lost"] == "openbox, xterm"
        assert cells["stopped after, s"] == "not"

    def test_a_guest_that_never_came_to_say_is_unknown_everywhere_but_outside(self):
        cells = dict(zip(table.HEADS, table.cells(judge(record(told=None))), strict=True))
        assert {cells[head] for head in ("session", "others lost", "p99, ms", "work done", "exit")} == {"?"}
        assert cells["stopped after, s"] == "?"
        assert cells["SSH p50 / max, s"].startswith("1.5 / 6.0")

    def test_rows_stand_in_the_order_of_the_lists(self):
        rows = [judge(record(load, under)) for load in ("all", "fits") for under in reversed(UNDERS)]
        blocks = table.blocks(rows)
        assert list(blocks) == [("fits", "none"), ("all", "none")]
        assert all([row.under for row in block] == list(UNDERS) for block in blocks.values())

    def test_page_and_terminal_have_every_row(self):
        rows = [judge(record(under=under)) for under in UNDERS]
        page = table.for_page(rows).splitlines()
        assert len([line for line in page if line.startswith("| ")]) == 1 + len(UNDERS)
        assert [one.row_count for one in table.for_terminal(rows)] == [len(UNDERS)]


class TestUnders:
    @pytest.mark.parametrize("name", ["systemd-run", "systemd-run, all limits", "runexec", "steadyrun"])
    def test_all_that_take_a_memory_limit_get_the_same(self, name):
        assert MEMORY in UNDERS[name].before or f"{parse_size(MEMORY, source='')}B" in UNDERS[name].before

    def test_the_limit_of_tasks_is_our_default(self):
        assert TASKS == DEFAULT_TASKS

    def test_every_one_says_its_version(self):
        assert all(under.version for under in UNDERS.values())


class TestPage:
    """A page of tables is what the raw figures beside it say."""

    @pytest.mark.parametrize(("page", "lines"), [("side-by-side", 32), ("protect-storms", 23)])
    def test_its_tables_are_those_of_the_raw_figures(self, page, lines):
        rows = [judge(record) for record in results.read(DOCS / f"{page}.json").records]
        assert len(rows) == lines
        assert table.for_page(rows).rstrip() in (DOCS / f"{page}.md").read_text()

    def test_protected_nobody_is_lost(self):
        """What docs/protect-storms.md says first."""
        rows = [judge(record) for record in results.read(DOCS / "protect-storms.json").records]
        protected = [row for row in rows if row.under != "nothing"]
        assert all(row.survived and row.lost == () and row.ssh_refused == 0 for row in protected)
        assert {row.load for row in rows if not row.survived} == {"few-large", "many-small", "all"}

    def test_protected_the_desktop_is_hardly_felt_to_be_busy(self):
        rows = [judge(record) for record in results.read(DOCS / "protect-storms.json").records]
        drawn = [row.fps for row in rows if row.under != "nothing"]
        assert (round(min(drawn)), round(max(drawn))) == (51, 59)
