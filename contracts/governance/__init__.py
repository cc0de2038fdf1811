"""Governance: ballots of the organisations that have a seat, and what a carried one changes.

More than two thirds of the seats carry a ballot. Nothing that it changes takes effect before the epoch
turns, so within an epoch the validators, the parameters and the seats are constant.

Source: docs/spec/governance.md.
"""
