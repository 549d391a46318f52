"""Frozen data that every part of steadyrun shares, and nothing that reads or writes the world.

Every class is a `typing.NamedTuple`: immutable, made in a tenth of the time that a frozen
dataclass takes, which the start-up of `steadyrun run` pays for each class
(docs/adr/0002-named-tuples-for-the-model.md).
`None` always means unknown, never zero and never "no limit" unless the field says so.
"""
