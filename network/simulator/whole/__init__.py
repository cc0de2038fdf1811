"""Whole nodes in one process: everything that `node.assemble` joins, on virtual time, wires and disks.

`loop` is the clock and the order of things, `host` a machine with its disk, `wire` the cables, `clients` the
users, `incidents` what goes wrong, `judge` what must hold; `laboratory` joins them and runs one seed.

The light simulator beside this package runs the consensus machine alone, and many times as many heights a
second. Here the parts that it leaves out are real: executor, contracts, stores, log, gossip, handshakes,
catching up.
"""
