"""`make golden`: freeze the encodings anew. docs/spec/encoding.md says when that is allowed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.golden.drawn import frozen_now
from tests.golden.samples import samples

HERE = Path(__file__).parent


def _write(name: str, content: dict[str, Any]) -> None:
    (HERE / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    _write("records.json", samples())
    _write("types.json", frozen_now())
