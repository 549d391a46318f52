"""The ramp: default plan, schedule and judge (pure), the conductor that carries them out, the loads."""
