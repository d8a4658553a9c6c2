"""Verdicts and explanations on an atlas whose heads are planted."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from attention_motifs.atlas import Atlas
from attention_motifs.atlas.explanation import explain_model, sentence
from attention_motifs.atlas.head_distances import head_distances_of
from attention_motifs.atlas.verdicts import dealt_labels, head_labels, model_verdicts
from attention_motifs.cli import main
from attention_motifs.errors import AtlasError, HeadNotFoundError, InputError
from attention_motifs.features.motif_definitions import MOTIFS
from attention_motifs.literature.behaviours import CLASS_THRESHOLDS
from attention_motifs.reports.model_labels import label_heads
from attention_motifs.reports.model_report import model_report, write_report
from synthetic_atlas import MOTIFS as KINDS
from synthetic_atlas import make_synthetic_atlas

SCORED = {"previous token": "previous token", "first token": "first-token sink", "self": "self"}
"""Kind of planted head -> the computed class it is given the score of."""


def kinds(atlas: Atlas, n_heads: int = 4) -> list[str]:
    heads = atlas.heads
    return [
        KINDS[(layer * n_heads + index) % len(KINDS)]
        for layer, index in heads.select("layer", "index").iter_rows()
    ]


@pytest.fixture(scope="module")
def atlas(tmp_path_factory: pytest.TempPathFactory) -> Atlas:
    path = tmp_path_factory.mktemp("explained") / "atlas"
    built = make_synthetic_atlas(path, n_models=3, n_layers=6, n_heads=4, n_prompts=6, n_tokens=40)
    planted = kinds(built)
    scores = {
        name: [0.9 if SCORED.get(kind) == name else 0.05 for kind in planted]
        for name in CLASS_THRESHOLDS
    }
    built.write_heads(
        built.heads.with_columns(
            pl.Series(name, values, dtype=pl.Float32) for name, values in scores.items()
        )
    )
    return Atlas.open(path)


def test_labels_are_scores_and_literature(atlas: Atlas) -> None:
    labels = head_labels(atlas)
    assert labels.labelled.all()
    planted = np.array(kinds(atlas))
    for kind, name in SCORED.items():
        assert np.array_equal(labels.members[:, labels.names.index(name)], planted == kind)


def test_planted_heads_get_their_class_from_other_models(atlas: Atlas) -> None:
    labels, planted = head_labels(atlas), np.array(kinds(atlas))
    for model in atlas.models:
        verdicts = model_verdicts(atlas, model, "mean", labels)
        assert set(verdicts.names) == {*SCORED.values(), "unknown"}
        right = [
            verdicts.verdict(place)[0] == SCORED.get(planted[row], "unknown")
            for place, row in enumerate(verdicts.rows)
        ]
        assert np.mean(right) > 0.9


def test_the_own_scores_of_a_head_are_not_used(atlas: Atlas, tmp_path: Path) -> None:
    """A model's verdicts stay the same if its own scores are turned round."""
    model = atlas.models[0]
    labels = head_labels(atlas)
    of_model = atlas.heads["model"].to_numpy() == model
    before = model_verdicts(atlas, model, "mean", labels).probabilities
    labels.members[of_model] = ~labels.members[of_model]
    assert np.array_equal(model_verdicts(atlas, model, "mean", labels).probabilities, before)


def test_an_explanation_has_every_part(atlas: Atlas) -> None:
    row = kinds(atlas).index("previous token")
    explanation = atlas.explain(atlas.heads["head"][row], "mean")
    assert explanation.verdict == "previous token"
    assert explanation.probability is not None
    assert explanation.probability > 0.5
    assert sum(explanation.motifs.values()) == pytest.approx(1.0)
    assert max(explanation.motifs, key=lambda name: explanation.motifs[name]) == "previous token"
    assert "the token before" in explanation.sentence
    assert {n.head for n in explanation.nearest}.isdisjoint({explanation.head})
    assert "previous token" in explanation.nearest[0].classes
    assert "score 0.90" in explanation.nearest[0].source
    assert len(explanation.typical) == len(explanation.departs) == 2
    assert explanation.typical[0].departure <= explanation.departs[0].departure
    assert explanation.null_percentile is not None
    assert explanation.null_percentile > 95
    value = explanation.to_json()
    for key in ("head", "verdict", "probability", "classes", "motifs", "nearest", "sentence"):
        assert key in value
    assert set(value["classes"][0]) == {"class", "probability"}
    assert set(value["nearest"][0]) == {"head", "distance", "class", "source"}
    json.dumps(value, allow_nan=False)


def test_all_heads_of_a_model_are_explained_as_each_alone(atlas: Atlas) -> None:
    model = atlas.models[1]
    heads = atlas.heads.filter(atlas.heads["model"] == model)["head"]
    together = list(explain_model(atlas, model, "mean", head_labels(atlas)))
    assert together == [atlas.explain(head, "mean") for head in heads]


def test_nearest_of_each_is_nearest_of_one(atlas: Atlas) -> None:
    held = head_distances_of(atlas, "mean")
    mask = np.arange(len(atlas.heads)) % 3 > 0
    heads = np.array([5, 0, 7])
    for head, near in zip(heads.tolist(), held.nearest_of_each(heads, 4, mask), strict=True):
        of_others = mask & (np.arange(len(mask)) != head)
        alone = held.nearest(head, 4, of_others)
        for value, expected in zip(
            (near.heads, near.distances, near.ranks),
            (alone.heads, alone.distances, alone.ranks),
            strict=True,
        ):
            assert value.tolist() == expected.tolist()


def test_what_would_change_a_verdict_does_change_it(atlas: Atlas) -> None:
    changes = [atlas.explain(head, "mean").would_change for head in atlas.heads["head"][:8]]
    assert all(change for change in changes)
    assert any(re.search(r"heads were [\d.]+ times as far as they are", c) for c in changes)


def test_without_labelled_heads_of_other_models_there_is_no_verdict(tmp_path: Path) -> None:
    lone = make_synthetic_atlas(tmp_path / "lone", n_models=1, n_prompts=3)
    explanation = lone.explain(lone.heads["head"][0])
    assert (explanation.verdict, explanation.probability) == ("unknown", None)
    assert explanation.classes == explanation.nearest == []
    assert "Labelled heads of another model" in explanation.would_change
    table = label_heads(lone.models[0], lone)
    assert table["probability"].null_count() == len(table)


def test_mistakes_are_named(atlas: Atlas, tmp_path: Path) -> None:
    with pytest.raises(HeadNotFoundError):
        atlas.explain("synthetic-0:L99:H0")
    with pytest.raises(InputError, match="cosinus"):
        atlas.explain(atlas.heads["head"][0], "cosinus")
    with pytest.raises(InputError, match="'nothing' is not in this atlas"):
        label_heads("nothing", atlas)
    old = make_synthetic_atlas(tmp_path / "old", n_prompts=3)
    old.write_heads(old.heads.select(old.heads.columns[:6]))
    with pytest.raises(AtlasError, match="holds no motif shares"):
        old.explain(old.heads["head"][0])


def test_the_sentence_names_the_largest_shares() -> None:
    mean = np.zeros(len(MOTIFS))
    names = list(MOTIFS)
    mean[names.index("self")], mean[names.index("uniform")] = 0.7, 0.2
    mean[names.index("residual")] = 0.1
    words = sentence(mean, np.zeros(len(MOTIFS)), 1)
    assert words == (
        "On one prompt, it attends to the token itself (70 %) and all tokens evenly (20 %); "
        "no motif explains 10 % of its attention."
    )


def test_a_null_percentile_is_that_of_draws_within_layers(atlas: Atlas) -> None:
    labels, model = head_labels(atlas), atlas.models[0]
    voters = model_verdicts(atlas, model, "mean", labels).voters[0]
    dealt_by_layer = dealt_labels(atlas, labels, model)
    result = dealt_by_layer.percentile(voters, "self")
    member = labels.members[:, labels.names.index("self")]
    models, layers = atlas.heads["model"].to_numpy(), atlas.heads["layer"].to_numpy()
    rng, counts = np.random.default_rng(0), []
    for _ in range(2000):
        dealt = member.copy()
        for other in atlas.models[1:]:
            for layer in range(6):
                rows = np.flatnonzero((models == other) & (layers == layer))
                dealt[rows] = member[rng.permutation(rows)]
        counts.append(dealt[voters].sum())
    observed = member[voters].sum()
    drawn = 100 * (np.mean(np.array(counts) < observed) + np.mean(np.array(counts) == observed) / 2)
    assert result == pytest.approx(drawn, abs=4)
    assert dealt_by_layer.percentile(voters[:0], "self") is None
    assert dealt_by_layer.percentile(voters, "unknown") is None


def test_a_report_is_one_page_with_its_tables(atlas: Atlas, tmp_path: Path) -> None:
    model = atlas.models[1]
    report = model_report(atlas, model)
    written = write_report(atlas, report, tmp_path / "report.html")
    page = written[0].read_text(encoding="utf-8")
    assert "http://" not in page
    assert "https://" not in page
    assert page.count("<tr id=") == len(report.table) == 24
    assert "data:image/png;base64," in page
    table = pl.read_csv(written[1])
    assert table["head"].to_list() == report.table["head"].to_list()
    assert len(json.loads(written[2].read_text(encoding="utf-8"))) == 24
    assert sum(sum(here) for _, here, _ in report.counts) == 24
    assert set(report.strongest) <= set(SCORED.values())


def test_the_command_line_explains_and_reports(
    atlas: Atlas,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    head = atlas.heads["head"][0]
    monkeypatch.setattr("sys.argv", ["motifs", "explain", head, "--atlas", str(atlas.path)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    out = capsys.readouterr().out
    assert out.startswith(f"{head}: ")
    assert "Motifs: share of its attention" in out
    target = tmp_path / "page.html"
    argv = ["motifs", "report", atlas.models[0], "--atlas", str(atlas.path), "--out", str(target)]
    monkeypatch.setattr("sys.argv", argv)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    assert target.is_file()
    assert target.with_suffix(".csv").is_file()
