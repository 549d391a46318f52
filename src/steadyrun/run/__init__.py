"""One `steadyrun run`: the guard as the front process of its command, and what its caller is told.

Standard library alone, and quick to start: what is seldom needed is imported where it is.
"""
