"""What runs in the guest: the hostile program, the 60 Hz window, the watcher with its census."""
