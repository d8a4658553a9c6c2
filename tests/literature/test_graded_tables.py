from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from attention_motifs.errors import InputError, RemoteError
from attention_motifs.literature import fetch_graded_scores, graded, graded_scores
from loopback import Answer, Fault, Loopback, serving


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ATTENTION_MOTIFS_CACHE", str(tmp_path))
    return tmp_path


def test_the_packaged_tables_hold_every_head(cache: Path) -> None:
    tables = graded_scores()
    assert len(tables) == 106
    for table in tables:
        assert table.scores.ndim == 2
        assert np.isfinite(table.scores).mean() > 0.9
        assert table.url.startswith("https://github.com/")
    assert {t.source for t in tables} == {
        "feucht2025-dual-route", "mcdougall2023-copy-suppression"
    }  # fmt: skip


def test_only_tables_under_a_licence_that_permits_it_are_packaged() -> None:
    assert {t.licence for t in graded._tables() if t.values} == {"MIT"}


def test_a_model_is_known_under_any_of_its_names(cache: Path) -> None:
    by_alias = graded_scores("gpt2")
    assert {t.model for t in by_alias} == {"gpt2-small"}
    effect = next(t for t in by_alias if "IOI" in t.head_class)
    assert effect.scores.shape == (12, 12)
    assert all(effect.scores[head] > 0.1 for head in [(9, 6), (9, 9), (10, 0)])  # name movers
    with pytest.raises(InputError, match="no published scores of 'gpt5'"):
        graded_scores("gpt5")


def test_scores_are_read_from_both_forms() -> None:
    ranking = json.dumps([{"0": [1, 0, 0.5]}, {"1": [0, 1, 0.25]}]).encode()
    scores = graded.read_scores(ranking, "ranking", (2, 2))
    assert scores == pytest.approx(np.array([[np.nan, 0.25], [0.5, np.nan]]), nan_ok=True)
    lists = json.dumps({"0-0": [0.0, 1.0], "1-1": [0.2, 0.2], "0-1": []}).encode()
    scores = graded.read_scores(lists, "lists", (2, 2))
    assert scores == pytest.approx(np.array([[0.5, np.nan], [np.nan, 0.2]]), nan_ok=True)


@pytest.mark.parametrize(
    ("data", "form"),
    [(b"<html>", "lists"), (b'{"5-0": [1]}', "lists"), (b"[1]", "ranking"), (b"{}x", "ranking"),
     (b"[]x", "lists"), (b'{"a": 1}', "lists")],
)  # fmt: skip
def test_a_file_of_another_form_is_an_error(data: bytes, form: str) -> None:
    with pytest.raises(RemoteError, match="scores of 2 x 2 heads cannot be read"):
        graded.read_scores(data, form, (2, 2))


def test_fetched_tables_are_kept_and_read(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def fetched(url: str) -> bytes:
        asked.append(url)
        if len(asked) > 2:
            raise RemoteError(f"{url}: cannot be fetched (refused). Check the connection")
        return b"[]" if "H.json" in url else b"{}"

    monkeypatch.setattr(graded, "_fetched", fetched)
    with pytest.raises(RemoteError, match="cannot be fetched"):
        fetch_graded_scores()
    assert len(graded_scores()) == 108
    assert len(set(asked)) == 3
    monkeypatch.setattr(graded, "_fetched", lambda url: b"[]" if "H.json" in url else b"{}")
    assert fetch_graded_scores() == 44
    assert fetch_graded_scores() == 0
    assert len(graded_scores()) == 152


@dataclass
class Authors(Loopback):
    """Files of scores as the authors keep them; the address of a repository leads to another."""

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        if "/raw/" in path:
            return Answer(302, headers={"Location": path.replace("/raw/", "/files/")})
        table = next(t for t in graded._tables() if path.endswith(f"/{t.commit}/{t.path}"))
        places = [(layer, head) for layer in range(table.layers) for head in range(table.heads)]
        if table.format == "ranking":
            ranked = [{str(i): [*place, i / 10]} for i, place in enumerate(places)]
            return Answer(body=json.dumps(ranked).encode())
        trials = {f"{layer}-{head}": [0.25, layer + 0.25] for layer, head in places}
        return Answer(body=json.dumps(trials).encode())


@pytest.fixture
def authors(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Authors]:
    with serving(Authors()) as server:
        monkeypatch.setattr(graded, "_HOST", server.url)
        assert isinstance(server, Authors)
        yield server


@pytest.mark.slow
def test_tables_are_fetched_from_a_server(authors: Authors) -> None:
    before = {(t.source, t.model, t.head_class) for t in graded_scores()}
    assert fetch_graded_scores() == 46
    fetched = {
        (t.source, t.model, t.head_class): t.scores
        for t in graded_scores()
        if (t.source, t.model, t.head_class) not in before
    }
    assert len(fetched) == 46
    for (source, *_), scores in fetched.items():
        if source == "song2024-induction":  # ranked lists
            assert np.allclose(scores.ravel(), np.arange(scores.size) / 10)
        else:  # trials, of which the mean is taken
            assert np.allclose(scores, 0.25 + np.arange(len(scores))[:, None] / 2)
    authors.forget()
    assert fetch_graded_scores() == 0
    assert authors.log == []


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault("status", "/files/", status=404), "cannot be fetched .*Not Found"),
        (Fault("drop", "/files/"), "cannot be fetched"),
        (Fault("truncate", "/files/"), "cannot be (read|fetched)"),
        (Fault("corrupt", "/files/"), "cannot be read"),
    ],
    ids=lambda value: getattr(value, "kind", ""),
)
def test_what_goes_wrong_on_the_way_is_one_line_and_the_next_call_goes_on(
    authors: Authors, fault: Fault, reason: str
) -> None:
    authors.faults.append(fault)
    with pytest.raises(RemoteError, match=reason) as caught:
        fetch_graded_scores()
    assert "\n" not in str(caught.value)
    assert fetch_graded_scores() == 46
