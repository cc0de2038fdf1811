"""A network of real node processes on this machine: for a first look, for demos, and for tests."""
