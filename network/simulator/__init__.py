"""A seeded laboratory: many consensus machines on one virtual clock, wire and set of disks.

`laboratory` joins the parts and runs one seed, `scenario` says what a name stands for, `faults`
draws what goes wrong and when, `oracle` judges by rules of its own. The machine that runs here
is the one that `node` runs. Nothing in here reads a real clock, disk or socket, and one seed is
one history, byte for byte.
"""
