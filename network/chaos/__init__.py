"""Faults on real processes, disks and sockets, and a checker of what clients saw and disks hold."""
