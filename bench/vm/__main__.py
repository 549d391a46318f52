"""`python -m bench.vm`: do the cells that are missing, keep each, print the table."""

from __future__ import annotations

import argparse
import os
import platform
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from storm.experiment import storm
from storm.judge import judge
from storm.loads import LOADS
from storm.swap import SWAPS
from testbed.acceleration import qemu_version
from testbed.errors import TestbedError
from testbed.machine import Machine
from testbed.place import ROOT
from testbed.state import taken_up

from bench.vm import results, table
from bench.vm.state import ensure_bench
from bench.vm.unders import UNDERS

if TYPE_CHECKING:
    from storm.record import Record
    from testbed.guest import Guest
    from testbed.machine import Start

KEPT = ROOT / "build" / "bench-vm"
USUAL = ("few-large", "many-small", "fits", "all")
"""Loads of a run without `--load`: under twelve things an hour, by the times of single experiments."""


def main() -> int:
    """Measure and print; 1 when a cell could not be measured."""
    options = _parser().parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    path: Path = options.into
    failed = 0 if options.show else _measure(options, path)
    rows = [judge(record) for record in results.read(path).records]
    if options.markdown:
        print(table.for_page(rows), end="")
        return 0
    console = Console(width=None if sys.stdout.isatty() else 200)
    for one in table.for_terminal(rows):
        console.print(one)
    print(f"raw figures: {path}")
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.vm", description=__doc__)
    parser.add_argument("--load", action="append", choices=LOADS, help=f"without: {', '.join(USUAL)}")
    parser.add_argument("--under", action="append", choices=UNDERS, help="without: all")
    parser.add_argument("--swap", choices=SWAPS, default="none")
    parser.add_argument("--seconds", type=float, help="watch a load so long at most")
    parser.add_argument("--minutes", type=float, help="begin no cell after so long; go on another time")
    parser.add_argument("--screens", type=Path, metavar="FOLDER", help="keep what each screen showed")
    parser.add_argument("--again", action="store_true", help="do cells anew that are there")
    parser.add_argument(
        "--calm",
        type=float,
        default=1.0,
        metavar="FRACTION",
        help="do cells anew in which others had more of the host's CPU time",
    )
    today = KEPT / f"{time.strftime('%Y-%m-%d')}.json"
    parser.add_argument("--into", type=Path, default=today, help="a file of results to go on with")
    parser.add_argument("--show", action="store_true", help="measure nothing")
    parser.add_argument("--markdown", action="store_true", help="print the table for a page")
    return parser


def _measure(options: argparse.Namespace, path: Path) -> int:
    """Do the cells one after the other; return how many could not be done."""
    begun, failed = time.monotonic(), 0
    start = ensure_bench(_say)
    for load in options.load or USUAL:
        for under in options.under or UNDERS:
            so_far = results.read(path)
            if so_far.has(load, under, options.swap, calm=options.calm) and not options.again:
                continue
            if options.minutes is not None and time.monotonic() - begun > options.minutes * 60:
                _say("the time is over; the same command goes on")
                return failed
            try:
                found, machine = _cell(start, load, under, options)
            except TestbedError as error:
                _say(f"{load} under {under} could not be measured: {error}")
                failed += 1
                continue
            known = {**so_far.machine.versions, **machine.versions} if so_far.machine else machine.versions
            so_far = replace(so_far, machine=replace(machine, versions=known))
            results.write(so_far.with_record(found), path)
            about = f"{found.took_s:.0f} s, others had {found.host_others_frac} of the host"
            _say(" | ".join((load, *table.cells(judge(found)), about)))
    return failed


def _cell(start: Start, load: str, under: str, options: argparse.Namespace) -> tuple[Record, results.Machine]:
    """Do one experiment on a machine of its own."""
    with Machine(start) as machine:
        taken_up(machine)
        facts = _facts(start, machine.guest(), under)
        name = f"{load}-{under}-{options.swap}".replace(", ", "-").replace(" ", "-")
        screen = None if options.screens is None else options.screens / f"{name}.png"
        found = storm(
            machine, LOADS[load], UNDERS[under], swap=options.swap, seconds=options.seconds, screen=screen
        )
        if found.told is None:
            kept = machine.keep(KEPT / "lost" / name)
            _say(f"the guest never came to say: {found.lost}; console and screen are in {kept}")
    return found, facts


def _facts(start: Start, guest: Guest, under: str) -> results.Machine:
    hardware = start.hardware
    model = next(
        (line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.machine(),
    )
    return results.Machine(
        host=f"{os.cpu_count()} x {model}",
        guest=f"{hardware.processors} CPUs, {hardware.memory_mib} MiB, Linux {guest.out('uname -r')}",
        accelerator=hardware.accelerator,
        qemu=qemu_version(),
        versions={under: guest.out(UNDERS[under].version)},
    )


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines()


def _say(line: str) -> None:
    print(f"bench: {time.strftime('%H:%M:%S')} {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
