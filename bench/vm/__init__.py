"""Side by side: the hostile loads of `tests/vm/storm` under what people use against them, in the testbed.

`make bench-vm`, or `PYTHONPATH=tests/vm python -m bench.vm --help`. Each cell of the table is one
experiment on a fresh virtual machine; its raw figures are kept as soon as it is done, and a run that
was interrupted goes on where it was. Judges nothing: it has no budgets.
"""
