"""The kernel's texts: /proc, PSI, cgroup files, mountinfo, parsed into model values.

Parsers are pure, take text and name their source. `kept.py` alone opens files; `reader.py`
and `ancestors.py` read the machine through it, below a root that tests replace.
"""
