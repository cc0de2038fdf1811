"""The benchmark: a local network of real processes under a load that a client could make."""
