from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from attention_motifs.atlas.ablation_table import ADDED, COLUMNS, read_table, schema, table_of
from attention_motifs.errors import AtlasError
from attention_motifs.store import files
from attention_motifs.store.paths import AtlasPaths


def test_a_table_keeps_its_schema_and_nulls(tmp_path: Path) -> None:
    table = table_of([{"kind": "head", "heads": ["a:L0:H0"], "effect": float("nan")}, {"p": 0.5}])
    assert dict(table.schema) == schema()
    assert table["effect"].to_list() == [None, None]
    assert table["p"].to_list() == [None, 0.5]
    file = AtlasPaths(tmp_path).file("ablations")
    files.write_parquet(file, table)
    assert read_table(file).equals(table)
    assert table_of([]).columns == list(COLUMNS)


def test_a_table_written_before_a_column_was_added_is_read(tmp_path: Path) -> None:
    methods = ("mean", "zero", "another")
    table = table_of([{"kind": "group", "effect": 1.0, "q": 0.5, "method": m} for m in methods])
    file = AtlasPaths(tmp_path).file("ablations")
    files.write_parquet(file, table.drop(ADDED))
    result = read_table(file)
    assert result.drop("reference").equals(table.drop("reference"))
    # Older versions took every mean over prompts, whatever was measured.
    assert result["reference"].to_list() == ["mean over other prompts of the atlas", "zero", None]


def test_a_table_of_other_columns_or_types_is_damaged(tmp_path: Path) -> None:
    table = table_of([{"kind": "head"}])
    file = AtlasPaths(tmp_path).file("ablations")
    for broken in (table.drop("q"), table.with_columns(pl.col("q").cast(pl.Float32))):
        files.write_parquet(file, broken)
        with pytest.raises(
            AtlasError, match=r"ablations\.parquet: damaged .*; delete it and run `motifs ablate"
        ):
            read_table(file)
