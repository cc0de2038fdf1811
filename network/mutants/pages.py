"""Bugs in catching up: pages of final blocks that prove less than they claim, taken by whole nodes."""

from __future__ import annotations

from typing import Final

from network.mutants.planting import Mutant, Patches
from node import catch_up


def _pages_unproved(patches: Patches) -> None:
    patches.replace(catch_up, "verify_certificate", lambda *arguments: None)
    patches.replace(catch_up, "_check_run", lambda headers, ids, finalization: None)


PAGES: Final = (Mutant("pages-unproved", "a page is proved before it runs", _pages_unproved, "whole-liar"),)
