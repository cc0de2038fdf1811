"""Floor 4: the two command lines, `farmgate` for people and `ledger-node` for site operators."""
