"""Stake: units behind the keys of validators, and what moves them.

Units are assigned by genesis and by the consortium; they are no coin and nobody trades them. The set that
votes changes at the turn of an epoch only, by less than a third of its stake at a time.

Source: docs/spec/staking.md.
"""
