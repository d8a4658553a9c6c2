"""One head with all that an atlas knows of it, as a page, as JSON and as a table."""

from __future__ import annotations

from attention_motifs.head_export.page import fragment, page
from attention_motifs.head_export.record import HeadRecord, head_record

__all__ = ["HeadRecord", "fragment", "head_record", "page"]
