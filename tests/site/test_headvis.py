"""The data folder of HeadVis: what is exported is read again, and wrong folders are refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attention_motifs import Atlas, compute_features
from attention_motifs.errors import InputError
from attention_motifs.extraction.headvis import HeadVisFolder, read_headvis
from attention_motifs.site.headvis import LEAST, PER_ROW, export_headvis
from synthetic_atlas import make_synthetic_atlas

MODEL = "synthetic-0"


@pytest.fixture(scope="module")
def atlas(tmp_path_factory: pytest.TempPathFactory) -> Atlas:
    return make_synthetic_atlas(tmp_path_factory.mktemp("headvis") / "atlas", n_prompts=6)


@pytest.fixture(scope="module")
def exported(atlas: Atlas, tmp_path_factory: pytest.TempPathFactory) -> HeadVisFolder:
    return read_headvis(export_headvis(atlas, MODEL, tmp_path_factory.mktemp("out") / "data"))


def test_all_heads_and_scores_come_back(atlas: Atlas, exported: HeadVisFolder) -> None:
    heads = atlas.heads.filter(atlas.heads["model"] == MODEL)["head"].to_list()
    assert exported.model == MODEL
    assert [str(head) for head in exported.heads] == heads
    for head in exported.heads:
        patterns = [atlas.pattern(head, prompt_id) for prompt_id in atlas.view_prompts()]
        diagonal = np.mean([np.diagonal(p).mean() for p in patterns])
        assert exported.scores[head]["self_attention_score"] == pytest.approx(diagonal, abs=1e-4)


def test_the_largest_weights_of_each_row_come_back(atlas: Atlas, exported: HeadVisFolder) -> None:
    head = exported.heads[-1]
    sequences = exported.sequences(str(head))
    assert [s.sequence_id for s in sequences] == list(range(len(atlas.view_prompts())))
    for sequence, prompt_id in zip(sequences, atlas.view_prompts(), strict=True):
        whole = atlas.pattern(head, prompt_id)
        assert len(sequence.tokens) == len(whole)
        kept = sequence.pattern > 0
        assert np.allclose(sequence.pattern[kept], whole[kept], atol=1e-4)
        assert kept.sum(axis=1).max() <= PER_ROW
        ranks = np.argsort(np.argsort(-whole, axis=1, kind="stable"), axis=1, kind="stable")
        assert np.array_equal(kept, (ranks < PER_ROW) & (whole >= LEAST))
        assert np.isfinite(compute_features(sequence.pattern)).all()
    assert max(s.interval for s in sequences) == 10


def test_the_files_have_the_fields_of_the_format(exported: HeadVisFolder) -> None:
    config = json.loads((exported.folder / "config.json").read_text())
    assert {
        *("model_name", "heads", "n_layers", "n_heads", "n_intervals", "metrics"),
        *("metric_descriptions", "head_data_pattern", "has_umap", "umap_heads"),
    } <= set(config)
    (row, *_) = json.loads((exported.folder / "scatter_data.json").read_text())
    assert set(row) <= {"layer", "head", *config["metrics"]}
    of_head = json.loads((exported.folder / "heads" / "L0H1.json").read_text())
    histogram = of_head["qk_distance_histogram"]
    assert len(histogram["bin_values"]) == len(histogram["bin_edges"]) - 1
    n_weights = sum(len(s["attention_values"]) for s in of_head["sequences"])
    assert sum(histogram["bin_values"]) == n_weights
    assert of_head["top_key_tokens"][0].keys() == {"token", "weight"}


def first_sequence(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def run(folder: Path) -> None:
        path = folder / "heads" / "L0H0.json"
        value = json.loads(path.read_text())
        change(value["sequences"][0])
        path.write_text(json.dumps(value))

    return run


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda folder: (folder / "config.json").unlink(), "no such file"),
        (lambda folder: (folder / "config.json").write_text("{}"), "model_name is None"),
        (lambda folder: (folder / "config.json").write_text("[]"), "not an object"),
        (lambda folder: (folder / "scatter_data.json").write_text("{"), "not JSON"),
        (lambda folder: (folder / "heads" / "L0H0.json").unlink(), "no such file"),
        (first_sequence(lambda s: s.update(seq_len=3)), "expected n texts"),
        (first_sequence(lambda s: s["attention_values"].pop()), "expected as many"),
        (first_sequence(lambda s: s.update(attention_values=[], attention_indices=["a"])), "many"),
        (first_sequence(lambda s: s["attention_indices"].__setitem__(0, 10**9)), "beyond"),
        (first_sequence(lambda s: s["attention_indices"].__setitem__(0, 1)), "above the diagonal"),
        (first_sequence(lambda s: s["attention_values"].__setitem__(0, 5.0)), "more than 1"),
    ],
)
def test_what_is_no_such_folder_is_refused(
    exported: HeadVisFolder, tmp_path: Path, spoil: Callable[[Path], None], reason: str
) -> None:
    import shutil

    folder = Path(shutil.copytree(exported.folder, tmp_path / "data"))
    spoil(folder)
    with pytest.raises(InputError, match=reason):
        read_headvis(folder).sequences(f"{MODEL}:L0:H0")


def test_a_folder_that_exists_and_other_models_are_refused(atlas: Atlas, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="exists already"):
        export_headvis(atlas, MODEL, tmp_path)
    with pytest.raises(InputError, match="not in this atlas"):
        export_headvis(atlas, "gpt5", tmp_path / "data")
