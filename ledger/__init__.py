"""Farmgate ledger: the deterministic core. No I/O, clock, randomness, floats or logging."""
