"""steadyrun: run the command that brings the machine down, and keep the machine steady."""

__version__ = "0.1.0"
