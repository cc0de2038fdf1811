"""Trials with a plot: what goes wrong, to whom and when, where dice alone would seldom get it right.

`course` says what a script answers; the others hold the scripts by what they trouble. A script
draws from the seed whom it hits, so one name is many histories.
"""
