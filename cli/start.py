"""The first lines of both console scripts: Ctrl-C is an exit code even while the rest is imported."""

from __future__ import annotations

from importlib import import_module


def farmgate() -> int:
    """`farmgate`"""
    return _run("cli.main")


def ledger_node() -> int:
    """`ledger-node`"""
    return _run("cli.node_main")


def _run(module: str) -> int:
    try:
        code: int = import_module(module).main()
    except KeyboardInterrupt:
        return 130  # as `ExitCode.INTERRUPTED`, which may not be imported yet
    return code
