"""Floor 3: many nodes together: the local testnet, the simulator, and the faults that they must survive."""
