"""The built-in loads: what a ramp runs when it brings its own, and how it reads what they report."""
