"""Validators that lie, one lie a class, each with a real key and no scruples.

`adversary` says what a lie may do; `cast` names them. Below a third of the stake none of them
may break agreement, and none may stop the network for good.
"""
