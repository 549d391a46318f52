"""Holding a load: one Protocol, four backends, one pure choice between them.

Never judges and never decides when to act; the guard does.
"""
