"""Planted bugs: what the simulator must find, or its green says nothing.

`planting` puts one into the running process and takes it out again, `agreement`, `memory`,
`liveness`, `turning`, `belief` and `pages` hold the list by what they break, `hunt` runs the scenarios that
must kill each.
"""
