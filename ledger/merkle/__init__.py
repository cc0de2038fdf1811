"""Authenticated data, pure: the RFC 9162 log (`log`) and the state tree (`tree`, `pages`, `proof`)."""
