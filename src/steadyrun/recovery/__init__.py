"""What runs that ended left behind: found, undone or finished by the next start, and told.

What is to be undone is decided in `journal/recover.py`, from the journal alone.
"""
