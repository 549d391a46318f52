"""The commands. The only place that prints to the user and exits; one file a command."""
