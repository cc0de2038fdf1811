"""The story of the demo: who captures which document, in which order, and what is traced in the end.

The documents lie in examples/story, to be read and captured by hand too.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cli.failure import Failure

FOLDER: Final = Path(__file__).resolve().parent.parent / "examples" / "story"


@dataclass(frozen=True, slots=True)
class Step:
    """One document, captured by one organisation."""

    file: Path
    organisation: str
    says: str


@dataclass(frozen=True, slots=True)
class Story:
    """A story; `trace` is the item that is followed back at its end."""

    title: str
    trace: str
    steps: tuple[Step, ...]


def read_story(folder: Path = FOLDER) -> Story:
    """The story in a folder.

    Raises:
        Failure: `demo.no_story`.
    """
    try:
        document = json.loads((folder / "story.json").read_bytes())
        steps = tuple(
            Step(folder / str(step["file"]), str(step["organisation"]), str(step["says"]))
            for step in document["steps"]
        )
        return Story(str(document["title"]), str(document["trace"]), steps)
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise Failure(
            "demo.no_story",
            f"the documents of the story are not in {folder}: {problem}",
            advice="run the demo from a checkout of the repository",
        ) from None
