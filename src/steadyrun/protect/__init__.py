"""Lasting protection: what systemd and the kernel are told once, so that bare commands meet a wall, too."""
