"""The small process that owns a load: it watches, freezes, kills; its law and its helpers.

`law` and `machine` are pure; `loop` carries out what they say. Never writes to disk.
"""
