"""Other guards of memory in words: from where on they act, and what ours does so that they need not. Pure."""

from __future__ import annotations

from steadyrun.model.machine import MachineFacts, Reserve, reserve_of
from steadyrun.model.others import OtherGuard, watches_pressure
from steadyrun.units import Bytes, format_duration, format_size

_ENDS_NOTHING = ("uresourced",)


def threshold_words(other: OtherGuard) -> str:
    """Say from where on one acts; what could not be read is said so."""
    if other.name in _ENDS_NOTHING:
        return "ends nothing"
    if not other.acts:
        return "only says what it would do"
    when = []
    if other.memory is not None:
        swap = "" if other.swap is None else f" and free swap at most {other.swap:.0%}"
        only = " (of the swap there is: none is no reason)" if other.needs_swap else ""
        when.append(f"available memory is at most {format_size(other.memory)}{swap}{only}")
    when += [
        f"{each.where} stalls on memory, fully, over {each.share:.0%} for {format_duration(each.lasting)}"
        for each in other.pressing
    ]
    if not when:
        return "from where on it acts is not known"
    read = "" if other.source else " (its defaults: what it was told could not be read)"
    return f"acts once {', or '.join(when)}{read}"


def kept_words(others: tuple[OtherGuard, ...], own: Reserve, kept: Reserve) -> tuple[str, ...]:
    """Say what is done because of the others; nothing where nothing is.

    Args:
        others: Who else there is.
        own: The machine's reserve without them.
        kept: The one that is kept.
    """
    names = ", ".join(dict.fromkeys(each.name for each in others if each.acts))
    lines = []
    if kept != own:
        lines.append(
            f"{names} may end processes: so that our guard acts first, {format_size(kept.reserve)} instead "
            f"of {format_size(own.reserve)} stay out of a load's reach, and it is frozen below "
            f"{format_size(kept.floor)}"
        )
    if watches_pressure(others):
        lines.append(
            f"{names} may end processes for memory pressure: our guard sets no throttle limit, which makes "
            "pressure"
        )
    return tuple(lines)


def other_lines(machine: MachineFacts, kept: Reserve) -> tuple[str, ...]:
    """Return what a ramp says of the others before it begins; nothing where there are none."""
    if machine.others is None:
        return ("Whether anybody else guards this machine's memory is not known.",)
    ram = machine.effective_ram or Bytes(0)
    lines = [f"{each.name} (pid {each.pid}) runs: {threshold_words(each)}." for each in machine.others]
    lines += [f"{line}." for line in kept_words(machine.others, reserve_of(ram), kept)]
    if may_act_first(machine, kept):
        lines.append("It may act before ours: there is no room to keep back more than it does.")
    return tuple(lines)


def may_act_first(machine: MachineFacts, kept: Reserve) -> bool:
    """Tell whether somebody acts on more available memory than ours kills at."""
    return machine.others_from is not None and machine.others_from >= kept.black
