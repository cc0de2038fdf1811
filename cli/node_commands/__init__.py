"""The commands of `ledger-node`, one noun a file."""
