"""Measures the budgets on this machine, as ratios within one run. Judges nothing but those budgets.

`python -m bench` prints one table and keeps the raw figures in `bench/results/`.
"""
