from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from attention_motifs.atlas.ablation_table import COLUMNS, read_table, schema, table_of
from attention_motifs.errors import AtlasError
from attention_motifs.store import files


def test_a_table_keeps_its_schema_and_nulls(tmp_path: Path) -> None:
    table = table_of([{"kind": "head", "heads": ["a:L0:H0"], "effect": float("nan")}, {"p": 0.5}])
    assert dict(table.schema) == schema()
    assert table["effect"].to_list() == [None, None]
    assert table["p"].to_list() == [None, 0.5]
    files.write_parquet(tmp_path / "a.parquet", table)
    assert read_table(tmp_path / "a.parquet", "mend").equals(table)
    assert table_of([]).columns == list(COLUMNS)


def test_a_table_of_other_columns_or_types_is_damaged(tmp_path: Path) -> None:
    table = table_of([{"kind": "head"}])
    path = tmp_path / "a.parquet"
    for broken in (table.drop("q"), table.with_columns(pl.col("q").cast(pl.Float32))):
        files.write_parquet(path, broken)
        with pytest.raises(AtlasError, match=r"a\.parquet: damaged .*; mend"):
            read_table(path, "mend")
