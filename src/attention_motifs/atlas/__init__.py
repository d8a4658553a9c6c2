"""The atlas: a folder with everything computed for some models on some prompts."""

from __future__ import annotations

from attention_motifs.atlas.atlas import Atlas
from attention_motifs.atlas.folder import BLOCK_SIZE, HEAD_COLUMNS, IMPORTED, KEY_COLUMNS

__all__ = ["BLOCK_SIZE", "HEAD_COLUMNS", "IMPORTED", "KEY_COLUMNS", "Atlas"]
