"""The provenance contract: EPCIS events in; items, custody, lots, containers and their history out.

In this protocol version its policy records and flags: no event is refused for what it says about
goods, only for its form or its size.
"""
