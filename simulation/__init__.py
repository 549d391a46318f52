"""A seeded model of a machine, and laws that guard it: what `make simulate` and a small test of it play."""
