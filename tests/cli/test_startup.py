"""Help comes at once: nothing heavy is imported for it."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("msgspec", "nacl", "aiohttp", "rich", "pydantic", "cryptography", "plyvel", "http.client", "asyncio")
ASK = (
    "import sys\n"
    "from cli.{module} import main\n"
    "sys.argv = ['program', *{words!r}]\n"
    "code = main()\n"
    "found = [name for name in {heavy!r} if name in sys.modules]\n"
    "sys.stderr.write(' '.join(found))\n"
    "sys.exit(code)\n"
)


@pytest.mark.parametrize(
    ("module", "words"),
    [
        ("main", ["--help"]),
        ("main", ["testnet", "--help"]),
        ("main", ["capture", "--help"]),
        ("main", ["record", "ship", "--help"]),
        ("node_main", ["--help"]),
    ],
)
def test_help_imports_nothing_heavy(module: str, words: list[str]) -> None:
    """Neither the wire format, nor cryptography, nor a network library is loaded to print help."""
    program = ASK.format(module=module, words=words, heavy=HEAVY)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert done.stdout.startswith("Usage: ")
    assert done.stderr == ""


@pytest.mark.parametrize("name", ["farmgate", "ledger_node"])
def test_interrupted_while_it_starts(name: str) -> None:
    """Ctrl-C during the imports is exit code 130 without a word."""
    program = (
        "import builtins, sys\n"
        f"from cli.start import {name}\n"
        "real = builtins.__import__\n"
        "def interrupted(name, *rest, **more):\n"
        "    if name == 'click':\n"
        "        raise KeyboardInterrupt\n"
        "    return real(name, *rest, **more)\n"
        "builtins.__import__ = interrupted\n"
        f"sys.exit({name}())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
