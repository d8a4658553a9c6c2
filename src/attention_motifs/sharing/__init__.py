"""Sharing an atlas: through the Hugging Face hub (docs/sharing.md), or by a copy elsewhere."""

from __future__ import annotations

from attention_motifs.sharing.copying import copy
from attention_motifs.sharing.fetch import fetch
from attention_motifs.sharing.publish import Publication, prepare, publish

__all__ = ["Publication", "copy", "fetch", "prepare", "publish"]
