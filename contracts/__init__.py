"""Floor 1: what the chain is for. Deterministic as the ledger is, and imports the ledger only."""
