"""`python -m steadyrun` is the `steadyrun` command."""

from steadyrun.cli.main import entry

if __name__ == "__main__":
    raise SystemExit(entry())
