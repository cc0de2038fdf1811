"""What a node keeps: blocks, state and logs on disk, each write atomic and synced, or the process ends."""
