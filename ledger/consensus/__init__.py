"""Stake-weighted Simplex: agreement on one block after another, without input or output.

`machine` holds the rules, `events` what goes in and comes out, `messages` what nodes say to
each other, `records` what must be durable, `signer` the key and its promises.
"""
