"""Nodes talk to nodes: members only, over TLS 1.3, votes ahead of bulk. Start at `network.Network`."""
