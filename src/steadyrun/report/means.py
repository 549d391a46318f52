"""What the guard had, in words: inputs that were known, deeds it could do, what was granted to it. Pure."""

from __future__ import annotations

from steadyrun.model.containment import Capability
from steadyrun.model.means import Means, Priority
from steadyrun.report.lines import Line

SENSES = {
    "mem_available": "available memory",
    "psi_memory": "memory pressure of the machine",
    "psi_io": "I/O pressure of the machine",
    "protected": "memory pressure of protected groups",
    "frames": "the canary's frames",
    "reclaim": "reclaim of the machine",
    "swap": "swap of the machine",
    "load_memory": "memory of the load",
    "load_psi_memory": "memory pressure of the load",
    "load_io": "disk use of the load",
}
"""The fields of `Known`."""
DEED_WORDS = {
    Capability.CPU_MAX: "CPU quota",
    Capability.CPU_WEIGHT: "CPU weight",
    Capability.IO_MAX: "disk bandwidth",
    Capability.IO_WEIGHT: "disk weight",
    Capability.MEMORY_HIGH: "throttle limit",
    Capability.FREEZE: "freeze",
    Capability.KILL: "a kill that no fork outruns",
}


def means_lines(means: Means | None) -> tuple[Line, ...]:
    """Return what a guard had; nothing where it did not say."""
    if means is None:
        return ()
    return (
        Line("The guard saw", sense_words(means)),
        Line("The guard could use", deed_words(means.deeds)),
        Line("The guard itself", priority_words(means.priority)),
    )


def sense_words(means: Means, *, without: str = "") -> str:
    """Say which inputs were known, and which were not or not always; nothing of the one named `without`."""
    known = [_word(name, means) for name in SENSES if name != without and getattr(means.known, name)]
    lacking = lack_words(means, without=without)
    said = ", ".join(known) or "nothing"
    return f"{said}; unknown, which fires nothing: {lacking}" if lacking else said


def lack_words(means: Means, *, without: str = "") -> str:
    """Say which inputs were unknown, and which at some looks alone; empty: none."""
    lacking = []
    for name, word in SENSES.items():
        missed = means.looks - getattr(means.known, name)
        if name == without:
            continue
        if missed == means.looks:
            lacking.append(word)
        elif missed > 1:  # the protected groups are looked for once the load runs
            lacking.append(f"{word} (at {missed} of {means.looks} looks)")
    return ", ".join(lacking)


def _word(name: str, means: Means) -> str:
    groups = f" ({', '.join(means.groups)})" if name == "protected" and means.groups else ""
    return SENSES[name] + groups


def deed_words(deeds: tuple[Capability, ...]) -> str:
    """Say what the load could be held by while it ran, and what there was not."""
    lacking = [word for deed, word in DEED_WORDS.items() if deed not in deeds]
    said = ", ".join(DEED_WORDS[deed] for deed in deeds if deed in DEED_WORDS) or "nothing"
    return f"{said}; not: {', '.join(lacking)}" if lacking else said


def priority_words(priority: Priority | None) -> str:
    """Say what was granted to the guard's own process."""
    if priority is None:
        return "what was granted to it is unknown"
    nice = "unknown" if priority.nice is None else str(priority.nice)
    when = "in real time (SCHED_FIFO 1)" if priority.realtime else f"not in real time, nice {nice}"
    locked = "memory locked" if priority.locked else "memory not locked"
    score = priority.oom_score_adj
    return f"ran {when}, {locked}, OOM score {'unchanged' if score is None else score}"
