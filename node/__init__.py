"""Floor 2: one site. The only floor that touches disks, clocks and sockets."""
