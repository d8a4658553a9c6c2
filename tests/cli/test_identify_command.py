from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from attention_motifs import Atlas
from attention_motifs.cli import main
from attention_motifs.extraction import extract_patterns
from attention_motifs.stages.run import build
from attention_motifs.store.settings import Configuration
from tiny_models import make_tiny_model, texts, write_prompts


@pytest.fixture(scope="module")
def atlas(tmp_path_factory: pytest.TempPathFactory) -> Atlas:
    folder = tmp_path_factory.mktemp("identify")
    model = make_tiny_model(folder / "tiny")
    prompts = write_prompts(folder / "prompts.jsonl", texts(6))
    configuration = Configuration(
        models=(str(model),), prompts=str(prompts), n_prompts=6, max_tokens=24, n_view_prompts=1
    )
    return build(folder / "atlas", configuration)


def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str
) -> tuple[int, str, str]:
    monkeypatch.setattr("sys.argv", ["motifs", "identify", *words])
    with pytest.raises(SystemExit) as stopped:
        main()
    captured = capsys.readouterr()
    return int(stopped.value.code or 0), captured.out, captured.err


def test_a_pattern_is_identified_from_a_file_a_prompt_and_a_text(
    atlas: Atlas,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    head, place = "tiny:L1:H1", ("--atlas", str(atlas.path))
    text = atlas.prompts["text"][2]
    batches = list(extract_patterns(str(atlas.path.parent / "tiny"), text, max_tokens=24))
    pattern = batches[1].patterns.numpy()
    np.save(tmp_path / "one.npy", pattern[1])
    np.save(tmp_path / "two.npy", pattern)
    code, out, errors = run(monkeypatch, capsys, str(tmp_path / "one.npy"), *place, "--json")
    assert code == 0, errors
    of_file = json.loads(out)["patterns"][0]
    assert of_file["heads"][0]["head"] == head, "the prompt is one of the atlas"
    words = ("--head", head, "--text", text, *place, "--json")
    code, out, errors = run(monkeypatch, capsys, *words)
    assert code == 0, errors
    assert json.loads(out)["patterns"][0]["heads"][0]["head"] == head
    np.save(tmp_path / "all.npy", np.stack([batch.patterns.numpy() for batch in batches]))
    code, whole, _ = run(monkeypatch, capsys, str(tmp_path / "all.npy"), *place, "--json")
    assert code == 0
    assert json.loads(whole)["patterns"][3] == json.loads(out)["patterns"][0]
    code, out, _ = run(monkeypatch, capsys, "--head", head, "--prompt", "3", *place)
    assert code == 0
    assert atlas.prompts["prompt_id"][2] in out
    code, out, _ = run(monkeypatch, capsys, str(tmp_path / "two.npy"), *place, "-n", "1")
    assert code == 0
    assert head in out


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ((), "needs one pattern"),
        (("a.npy", "--head", "tiny:L0:H0"), "needs one pattern"),
        (("--head", "tiny:L0:H0"), "needs one pattern"),
        (("--head", "tiny:L0:H0", "--prompt", "1", "--text", "a"), "needs one pattern"),
        (("--text", "a"), "needs one pattern"),
        (("--head", "tiny:L0:H0", "--prompt", "1", "--tensor", "a"), "--tensor"),
        (("no-file.npy",), "no-file.npy"),
        (("--head", "tiny:L0:H0", "--prompt", "99"), "--prompt"),
        (("--head", "tiny:L7:H0", "--prompt", "1"), "layers 0 to 1"),
        (("--head", "tiny:L7:H0", "--text", "a b c"), "layers 0 to 1"),
        (("--head", "tiny:L0:H0", "--text", ""), "prompt"),
    ],
)
def test_questions_without_an_answer_are_refused_in_one_line(
    atlas: Atlas,
    words: tuple[str, ...],
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, out, errors = run(monkeypatch, capsys, *words, "--atlas", str(atlas.path))
    assert code != 0
    assert out == ""
    assert reason in errors
    assert "Traceback" not in errors
