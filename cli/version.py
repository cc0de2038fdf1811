"""Which release this is."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cli.output import Output


def tell_version(output: Output, program: str) -> None:
    """Print the version of the program, and what it runs on."""
    from importlib.metadata import version

    from ledger.block import PROTOCOL_VERSION

    release = version("farmgate")
    python = ".".join(str(part) for part in sys.version_info[:3])
    output.data(
        {"program": program, "version": release, "protocol": PROTOCOL_VERSION, "python": python},
        lambda: f"{program} {release} (protocol {PROTOCOL_VERSION}, Python {python})",
    )
