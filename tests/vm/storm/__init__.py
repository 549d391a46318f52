"""The storm: what a hostile experiment in the testbed consists of.

    loads (what is run) + under (what holds it) + swap -> experiment -> Record -> judge -> Row

`inside/` runs in the guest, with the guest's own Python and nothing but its standard library (the 60 Hz
window needs python3-xlib); it may import `loads`, `record` and `frames` of here. The rest runs on the
host, over `testbed`. `judge` and `frames` are pure: a Record that was kept gives the same Row again.
"""
