"""The testbed: a virtual machine with systemd, unified cgroups, a desktop and sshd.

    recipe (pure) -> image -> state (desktop up, suspended) -> machine (fresh overlay) -> guest (SSH)

Uses the standard library alone, so that it also runs before anything is installed. Touches nothing
outside its cache directory, a socket directory below the temporary one, and its own processes.
"""
