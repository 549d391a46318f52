"""D-Bus for the few things that only it can do: transient units, logind's sessions, lingering, sleep.

Every wait has a deadline and every failure is a `BusError`. jeepney is imported when a bus is first
opened, never at import time. Never used by the guard's loop, the keeper or the canary.
"""
