"""Atlases in an object store, through obstore, against a server on this machine.

Set MOTIFS_TEST_S3 to the address of another server (with a bucket named `bucket`, and credentials
that it takes in the environment) to run the tests without faults against that one as well.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import polars as pl
import pytest

from attention_motifs import Atlas
from attention_motifs.atlas.check import check_atlas
from attention_motifs.errors import AtlasError, InputError, MotifsError, RemoteError
from attention_motifs.sharing import copy
from attention_motifs.stages.distances import distances
from attention_motifs.store import files, remote, retry
from attention_motifs.store.inventory import atlas_files
from attention_motifs.store.remote import object_store, tree
from loopback import Fault, serving
from s3_server import BUCKET, KEY_ID, SECRET, ObjectServer
from synthetic_atlas import make_synthetic_atlas

pytest.importorskip("obstore")
OTHER = os.environ.get("MOTIFS_TEST_S3")

QUICK = {
    "max_retries": 2,
    "backoff": {"init_backoff": timedelta(milliseconds=1), "max_backoff": timedelta(milliseconds=2),
                "base": 2},
    "retry_timeout": timedelta(seconds=5),
}  # fmt: skip


def contents(atlas: Atlas) -> dict[str, bytes]:
    atlas.paths.fetch_all()
    return {name: path.read_bytes() for name, path in atlas_files(atlas.path).items()}


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Atlas:
    return make_synthetic_atlas(tmp_path_factory.mktemp("local") / "atlas", n_prompts=18)


def use(patch: pytest.MonkeyPatch, address: str, cache: Path) -> None:
    """Let obstore find a server, and the program its cache."""
    patch.setenv("AWS_ENDPOINT_URL", address)
    patch.setenv("AWS_ALLOW_HTTP", "true")
    patch.setenv("AWS_REGION", "us-east-1")
    patch.setenv("AWS_ACCESS_KEY_ID", KEY_ID)
    patch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    patch.setenv("ATTENTION_MOTIFS_CACHE", str(cache))
    patch.setattr(object_store, "RETRIES", QUICK)
    patch.setattr(retry, "PAUSES", (0.0, 0.0))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ObjectServer]:
    with serving(ObjectServer()) as running:
        assert isinstance(running, ObjectServer)
        use(monkeypatch, running.url, tmp_path / "cache")
        yield running


@pytest.fixture
def url() -> str:
    return f"s3://{BUCKET}/atlas-{uuid4().hex[:8]}"


@pytest.fixture(params=["own", "other"])
def any_server(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if request.param == "own":
        request.getfixturevalue("server")
    elif OTHER is None:
        pytest.skip("MOTIFS_TEST_S3 names no other server")
    else:
        use(monkeypatch, OTHER, tmp_path / "cache")


@pytest.fixture
def stored(
    server: ObjectServer, url: str, local: Atlas, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> str:
    """An atlas there, and a machine that has never seen it."""
    copy(local.path, url)
    server.forget()
    monkeypatch.setenv("ATTENTION_MOTIFS_CACHE", str(tmp_path / "other-machine"))
    return url


def elsewhere(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    """Go on as another machine."""
    monkeypatch.setenv("ATTENTION_MOTIFS_CACHE", str(cache))


# Writing and reading


@pytest.mark.slow
def test_an_atlas_written_there_is_the_same_as_a_local_one(
    any_server: None, url: str, local: Atlas, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    make_synthetic_atlas(url, n_prompts=18)
    elsewhere(monkeypatch, tmp_path / "b")
    from_remote = Atlas.open(url)
    assert contents(from_remote) == contents(local)
    assert not check_atlas(from_remote)
    head = local.heads["head"][3]
    assert from_remote.near(head, 5).equals(local.near(head, 5))
    assert np.array_equal(from_remote.embedded(), local.embedded())
    with Atlas.lock(url):
        again = Atlas.open(url)
        distances(again, "cosine")
    elsewhere(monkeypatch, tmp_path / "c")
    assert Atlas.open(url).metrics() == ["cosine", "mean"]
    assert not check_atlas(Atlas.open(url))


def test_files_come_before_the_state_that_lists_them(server: ObjectServer, url: str) -> None:
    make_synthetic_atlas(url, n_prompts=18)
    prefix = url.removeprefix(f"s3://{BUCKET}/")
    manifests = [i for i, key in enumerate(server.history) if key == f"{prefix}/atlas.json"]
    assert len(manifests) > 3, "each stage shows what it has made"
    state = json.loads(server.objects[f"{prefix}/atlas.json"])
    last = {f"{prefix}/objects/{e['sha256']}" for e in state["files"].values()}
    assert all(server.history.index(key) < manifests[-1] for key in last)
    objects = [key for key in server.history if "/objects/" in key]
    assert len(objects) == len(set(objects)), "an object is written once"
    assert set(state["files"]) == set(contents(Atlas.open(url))) - {"atlas.json"}


def test_opening_and_near_fetch_only_what_they_need(
    server: ObjectServer, stored: str, local: Atlas
) -> None:
    atlas = Atlas.open(stored)
    assert len(server.log) == 1, "one request opens it"
    head = local.heads["head"][0]
    assert atlas.near(head, 3).equals(local.near(head, 3))
    heads, matrix = local.path / "heads.parquet", local.path / "distances" / "mean.npy"
    assert len(server.log) == 3, server.log
    manifest = len(server.objects[next(k for k in server.objects if k.endswith("atlas.json"))])
    assert server.bytes_sent == manifest + heads.stat().st_size + matrix.stat().st_size
    atlas.near(head, 3)
    assert len(server.log) == 3, "what has come is not asked for again"
    Atlas.open(stored).near(head, 3)
    assert len(server.log) == 4, "only whether it is still the same"
    here = {p.name for p in Path(str(atlas.path)).rglob("*") if p.is_file()}
    assert here == {"atlas.json", "heads.parquet", "mean.npy"}


@pytest.mark.parametrize("damage", ["bit", "folder", "object"])
def test_a_damaged_copy_is_fetched_anew(
    damage: str, server: ObjectServer, stored: str, local: Atlas
) -> None:
    head = local.heads["head"][0]
    atlas = Atlas.open(stored)
    atlas.near(head, 3)
    path = atlas.path / "distances" / "mean.npy"
    if damage == "folder":
        path.unlink()
        path.mkdir()
    else:
        data = bytearray(path.read_bytes())
        data[-9] ^= 1
        path.write_bytes(data)  # the object too, of which it is a link
        if damage == "object":
            path.unlink()
    assert Atlas.open(stored).near(head, 3).equals(local.near(head, 3))
    assert path.read_bytes() == (local.path / "distances" / "mean.npy").read_bytes()
    (path.parents[1] / "atlas.json").write_text("{}")
    assert Atlas.open(stored).near(head, 3).equals(local.near(head, 3))


def test_near_reads_rows_of_a_large_matrix(
    server: ObjectServer, stored: str, local: Atlas, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The header and rows alone travel, at the same time; the matrix is fetched when it is used."""
    monkeypatch.setattr(tree, "WHOLE", 1)
    monkeypatch.setattr(object_store, "COALESCED", 0)
    atlas, heads = Atlas.open(stored), local.heads["head"].to_list()
    matrix = (local.path / "distances" / "mean.npy").stat().st_size
    assert atlas.heads.equals(local.heads)
    for head in (heads[0], heads[-1]):
        server.forget()
        assert atlas.near(head, 3).equals(local.near(head, 3))
        assert 0 < server.bytes_sent < matrix
    assert not (Path(str(atlas.path)) / "distances" / "mean.npy").exists()
    assert np.array_equal(atlas.distances("mean"), local.distances("mean"))
    server.forget()
    assert atlas.near(heads[0], 3).equals(local.near(heads[0], 3))
    assert not server.log, "what has come is not asked for again"


@pytest.mark.parametrize("header", ["shape", "order", "dtype"])
def test_rows_of_another_matrix_are_not_taken(
    header: str, server: ObjectServer, url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A file whose header is not that of the distances is fetched whole, and refused or read."""
    monkeypatch.setattr(tree, "WHOLE", 1)
    make_synthetic_atlas(url, n_models=1, n_prompts=2)
    values = np.arange(36, dtype=np.float32).reshape(6, 6)
    changed = {
        "shape": values.reshape(4, 9),
        "order": np.asfortranarray(values),
        "dtype": values.astype(np.int32),
    }[header]
    with Atlas.lock(url):
        files.write_array(Atlas.open(url).file("distances", metric="mean"), changed)
    elsewhere(monkeypatch, tmp_path / "b")
    atlas = Atlas.open(url)
    if header == "shape":
        with pytest.raises(AtlasError, match=r"shape \(4, 9\)"):
            atlas.distance_rows("mean", np.array([1]))
    else:
        assert np.array_equal(atlas.distance_rows("mean", np.array([1])), values[[1]])


def test_a_copy_takes_no_room_in_the_cache(
    server: ObjectServer, url: str, local: Atlas, tmp_path: Path
) -> None:
    """Also after a run that failed."""
    server.faults.append(Fault("status", "^PUT .*atlas.json", status=403, times=999))
    with pytest.raises(RemoteError):
        copy(local.path, url)
    server.forget()
    copy(local.path, url)
    inside = sum(p.stat().st_size for p in (tmp_path / "cache").rglob("*") if p.is_file())
    whole = sum(p.stat().st_size for p in atlas_files(local.path).values())
    assert inside < whole / 4


def test_a_reader_keeps_the_state_that_it_opened(
    server: ObjectServer, stored: str, local: Atlas, monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:  # fmt: skip
    before = Atlas.open(stored)
    elsewhere(monkeypatch, tmp_path / "writer")
    with Atlas.lock(stored):
        atlas = Atlas.open(stored)
        atlas.write_heads(atlas.heads.with_columns(new=1))
        files.remove(atlas.file("distances", metric="mean"))
        atlas.update()
    assert before.heads.equals(local.heads)
    assert np.array_equal(before.distances("mean"), local.distances("mean"))
    after = Atlas.open(stored)
    assert "new" in after.heads.columns
    assert after.metrics() == []
    with pytest.raises(AtlasError, match=rf"{stored}/distances/mean\.npy: not found"):
        after.distances("mean")


def test_a_folder_that_is_deleted_is_deleted_there(
    server: ObjectServer, stored: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with Atlas.lock(stored):
        atlas = Atlas.open(stored)
        _ = atlas.tokens(atlas.models[0])  # one file has come, the other has not
        for file in atlas.paths.existing("tokens"):
            files.remove(file)
        assert not atlas.file("tokens", model=atlas.models[1]).is_file()
    elsewhere(monkeypatch, tmp_path / "b")
    from_remote = Atlas.open(stored)
    assert not from_remote.paths.existing("tokens")
    assert from_remote.file("heads").is_file()


def add_column(url: str, name: str) -> None:
    """Write to an atlas: a column more, and the manifest."""
    with Atlas.lock(url):
        atlas = Atlas.open(url)
        atlas.write_heads(atlas.heads.with_columns(pl.lit(1).alias(name)))
        atlas.update()


def test_two_writers_do_not_overwrite_each_other(
    server: ObjectServer, stored: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def both() -> None:
        with Atlas.lock(stored):
            atlas = Atlas.open(stored)
            atlas.write_heads(atlas.heads.with_columns(mine=1))
            with monkeypatch.context() as other:  # as another process on another machine
                other.setattr(remote, "_held", {})
                elsewhere(other, tmp_path / "theirs")
                add_column(stored, "theirs")
            atlas.update()

    with pytest.raises(RemoteError, match="somebody else wrote to it meanwhile"):
        both()
    assert "theirs" in Atlas.open(stored).heads.columns
    with pytest.warns(UserWarning, match="was changed elsewhere"):
        add_column(stored, "mine")
    assert {"mine", "theirs"} <= set(Atlas.open(stored).heads.columns)


def test_a_run_that_was_stopped_goes_on_and_shows_no_half(
    server: ObjectServer, url: str, local: Atlas, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    server.faults.append(Fault("status", "^PUT .*/objects/", status=403, times=10_000))
    with pytest.raises(RemoteError, match="the store refuses"):
        make_synthetic_atlas(url, n_prompts=18)
    assert not server.objects
    with pytest.raises(AtlasError, match="holds no atlas"):
        Atlas.open(url)
    server.forget()
    make_synthetic_atlas(url, n_prompts=18)
    elsewhere(monkeypatch, tmp_path / "b")
    assert contents(Atlas.open(url)) == contents(local)


def test_unsent_work_of_a_killed_run_is_sent_by_the_next(
    server: ObjectServer, stored: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def killed() -> None:
        with Atlas.lock(stored):
            atlas = Atlas.open(stored)
            atlas.write_heads(atlas.heads.with_columns(kept=1))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        killed()
    assert not server.requests("^PUT")
    with Atlas.lock(stored):
        pass
    elsewhere(monkeypatch, tmp_path / "b")
    assert "kept" in Atlas.open(stored).heads.columns


def test_a_lock_that_changes_nothing_writes_nothing(server: ObjectServer, stored: str) -> None:
    with Atlas.lock(stored):
        assert len(Atlas.open(stored).heads) > 0
    assert not server.requests("^(PUT|POST)")


def test_two_runs_on_one_machine_exclude_each_other(server: ObjectServer, stored: str) -> None:
    with Atlas.lock(stored), pytest.raises(AtlasError, match="another run is working"):  # noqa: SIM117
        with Atlas.lock(stored):
            pass


def test_a_copy_for_reading_is_not_written(server: ObjectServer, stored: str) -> None:
    atlas = Atlas.open(stored)
    before = (Path(str(atlas.path)) / "atlas.json").read_bytes()
    with pytest.raises(AtlasError, match="was opened for reading"):
        atlas.finish("embed", "x")
    with pytest.raises(AtlasError, match="was opened for reading"):
        files.remove(atlas.file("heads"))
    assert (Path(str(atlas.path)) / "atlas.json").read_bytes() == before


def test_large_files_travel_in_parts(
    server: ObjectServer, url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(object_store, "CHUNK", 5 << 20)
    matrix = np.random.default_rng(0).random((1300, 1300)).astype(np.float64)  # 13.5 MB
    make_synthetic_atlas(url, n_prompts=4)
    assert not server.requests("^HEAD"), "a small file is sent without asking for it"
    server.faults.append(Fault("status", "^HEAD .*/objects/", status=503, times=1))
    with Atlas.lock(url):
        files.write_array(Atlas.open(url).file("linkage", method="x"), matrix)
    assert len(server.requests("partNumber=")) == 3
    assert server.faults[0].times == 0
    elsewhere(monkeypatch, tmp_path / "b")
    server.forget()
    server.faults.append(Fault("truncate", "^GET .*/objects/", times=1))
    read = files.read_array(Atlas.open(url).file("linkage", method="x"))
    assert np.array_equal(read, matrix)
    assert server.bytes_sent < 2 * matrix.nbytes, "a part that failed comes again, not the whole"


def test_a_copy_there_and_back_is_the_same(
    server: ObjectServer, url: str, local: Atlas, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    server.faults.append(Fault("status", "^PUT .*/objects/", status=403, times=999))
    with pytest.raises(RemoteError, match="the store refuses"):
        copy(local.path, url)
    server.forget()
    copy(local.path, url)
    elsewhere(monkeypatch, tmp_path / "b")
    back = copy(url, tmp_path / "back")
    assert contents(back) == contents(local)
    assert not check_atlas(back)
    server.forget()
    copy(local.path, url)
    assert not server.requests("^PUT"), "what is there is not sent again"
    other = make_synthetic_atlas(tmp_path / "other", n_prompts=4)
    with pytest.raises(InputError, match="holds another atlas"):
        copy(other.path, url)


# Faults


READ = [
    Fault("status", "^GET .*atlas.json", status=500),
    Fault("status", "^GET .*/objects/", status=503, times=2),
    Fault("drop", "^GET .*/objects/"),
    Fault("hang", "^GET .*/objects/", seconds=1.5),
    Fault("truncate", "^GET .*/objects/"),
    Fault("truncate", "^GET .*atlas.json"),
    Fault("corrupt", "^GET .*/objects/"),
]


@pytest.mark.parametrize("fault", READ, ids=lambda f: f"{f.kind}-{f.request}")
def test_passing_faults_of_reads_pass(
    fault: Fault, server: ObjectServer, stored: str, local: Atlas, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_store, "TIMEOUT", timedelta(seconds=1))
    server.faults.append(Fault(**vars(fault)))
    atlas = Atlas.open(stored)
    assert atlas.heads.equals(local.heads)
    assert np.array_equal(atlas.distances("mean"), local.distances("mean"))
    assert server.faults[0].times == 0


@pytest.mark.parametrize(
    ("fault", "statements"),
    [
        (Fault("status", "^GET .*/objects/", status=500, times=999), "answers with status 500"),
        (Fault("status", "^GET .*/objects/", status=403, times=999), "the store refuses"),
        (Fault("status", "^GET .*/objects/", status=404, times=999), "is listed and not found"),
        (Fault("drop", "^GET .*/objects/", times=999), "cannot be reached|broke off"),
        (Fault("hang", "^GET .*/objects/", seconds=0.6, times=999), "in time|broke off|reached"),
        (Fault("truncate", "^GET .*/objects/", times=999), "broke off|reached|bytes came"),
        (Fault("corrupt", "^GET .*/objects/", times=999), "its SHA-256 differs"),
    ],
    ids=lambda f: f"{f.kind}-{f.status}" if isinstance(f, Fault) else "",
)  # fmt: skip
def test_lasting_faults_of_reads_are_one_line_and_nothing_is_taken_for_whole(
    fault: Fault, statements: str, server: ObjectServer, stored: str, local: Atlas,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(object_store, "TIMEOUT", timedelta(seconds=0.4))
    atlas = Atlas.open(stored)
    server.faults.append(Fault(**vars(fault)))
    with pytest.raises(RemoteError, match=statements) as caught:
        _ = atlas.heads
    assert str(caught.value).startswith(f"{stored}/heads.parquet: ")
    assert "\n" not in str(caught.value)
    assert not (Path(str(atlas.path)) / "heads.parquet").exists()
    server.forget()
    assert atlas.heads.equals(local.heads)


WRITE = [
    Fault("status", "^GET .*atlas.json", status=500),
    Fault("status", "^PUT .*/objects/", status=500, times=2),
    Fault("drop", "^PUT .*/objects/"),
    Fault("lose", "^PUT .*/objects/"),
    Fault("hang", "^PUT .*/objects/", seconds=1.5),
    Fault("status", "^PUT .*atlas.json", status=503),
    Fault("drop", "^PUT .*atlas.json"),
    Fault("lose", "^PUT .*atlas.json", times=2),
    Fault("hang", "^PUT .*atlas.json", seconds=1.5),
]


@pytest.mark.parametrize("fault", WRITE, ids=lambda f: f"{f.kind}-{f.request}")
def test_passing_faults_of_writes_pass(
    fault: Fault, server: ObjectServer, url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(object_store, "TIMEOUT", timedelta(seconds=1))
    server.faults.append(Fault(**vars(fault)))
    make_synthetic_atlas(url, n_models=1, n_prompts=2)
    assert server.faults[0].times == 0
    elsewhere(monkeypatch, tmp_path / "b")
    local = make_synthetic_atlas(tmp_path / "local", n_models=1, n_prompts=2)
    assert contents(Atlas.open(url)) == contents(local)


@pytest.mark.parametrize(
    "raw",
    [b"", b"[]", b"{}", b"null", b'{"files": {"../x": {"size": 1, "sha256": "0"}}}', b"[" * 100_000,
     b'{"files": {}}', b'{"files": {"heads.parquet": null}}'],
)  # fmt: skip
def test_a_hostile_state_is_one_line(raw: bytes, server: ObjectServer, url: str) -> None:
    server.objects[url.removeprefix(f"s3://{BUCKET}/") + "/atlas.json"] = raw
    with pytest.raises(MotifsError) as caught:
        Atlas.open(url)
    assert "\n" not in str(caught.value)
    assert url in str(caught.value)


# Names and places


@pytest.mark.parametrize(
    "text",
    ["s3://", "s3:///", "s3://key:secretpw@bucket/x", "s3://bucket/x?sig=secretpw", "ftp://a/b",
     "s3://bucket/../other", "s3://bucket/%2e%2e/x", "s3://bucket/x#secretpw"],
)  # fmt: skip
def test_urls_that_cannot_be_used_are_refused_without_their_secrets(text: str) -> None:
    for act in (Atlas.open, lambda u: Atlas.lock(u).__enter__()):
        with pytest.raises(InputError) as caught:
            act(text)
        assert "secretpw" not in str(caught.value)


def test_a_path_made_of_a_url_is_told_apart() -> None:
    with pytest.raises(InputError, match="give the URL as a str"):
        Atlas.open(Path("s3://bucket/atlas"))


def test_no_bucket_no_atlas_no_extra(
    server: ObjectServer, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(AtlasError, match=f"{url}: holds no atlas"):
        Atlas.open(url)
    with pytest.raises(AtlasError, match=f"{url}: holds no atlas"), Atlas.lock(url):
        pass
    for act in (Atlas.open, lambda u: Atlas.lock(u).__enter__()):
        with pytest.raises(RemoteError, match=r"s3://none/atlas: no such bucket"):
            act("s3://none/atlas")
    with pytest.raises(RemoteError, match="no such bucket"):
        make_synthetic_atlas("s3://none/atlas", n_prompts=2)
    monkeypatch.setitem(sys.modules, "obstore.store", None)
    with pytest.raises(InputError, match=r"pip install obstore"):
        Atlas.open(url)


def test_a_folder_by_its_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, local: Atlas) -> None:
    """A store without conditional puts: the state is compared before it is replaced."""
    monkeypatch.setenv("ATTENTION_MOTIFS_CACHE", str(tmp_path / "cache"))
    url = f"file://{tmp_path}/store/atlas"
    make_synthetic_atlas(url, n_prompts=18)
    elsewhere(monkeypatch, tmp_path / "b")
    assert contents(Atlas.open(url)) == contents(local)


def test_files_show_the_url_and_are_fetched_when_read(server: ObjectServer, stored: str) -> None:
    atlas = Atlas.open(stored)
    file = atlas.file("distances", metric="mean")
    assert str(file) == f"{stored}/distances/mean.npy"
    assert atlas.place == stored
    assert file.is_file()
    assert not file.path.exists(), "asking whether it exists does not fetch it"
    assert not atlas.file("evaluation").is_file()
    assert [f.parts["model"] for f in atlas.paths.existing("tokens")] == [
        "org/synthetic-1",
        "synthetic-0",
    ]
    assert not server.requests("/objects/")
    assert file.fetch().stat().st_size > 0
    assert len(server.requests("/objects/")) == 1


# The commands, as processes of their own


def motifs(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "ATTENTION_MOTIFS_CACHE": str(home / "cache"), "RUST_LOG": "trace"}
    code = "from attention_motifs.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, cwd=home,
        env=environment, check=False,
    )  # fmt: skip


@pytest.mark.slow
def test_commands_take_a_url_and_tell_no_secret(
    server: ObjectServer, stored: str, local: Atlas, tmp_path: Path
) -> None:
    head = local.heads["head"][0]
    runs: list[Any] = []
    for words in (
        ["near", head, "--atlas", stored, "--json"],
        ["distances", "--metric", "cosine", "--atlas", stored],
        ["check", stored],
    ):
        runs.append(motifs(tmp_path, *words))
        assert runs[-1].returncode == 0, runs[-1].stderr
    assert [n["head"] for n in json.loads(runs[0].stdout)] == local.near(head)["head"].to_list()
    assert f"{stored}: sound" in runs[2].stdout
    assert Atlas.open(stored).metrics() == ["cosine", "mean"]
    server.faults.append(Fault("status", ".", status=403, times=999))
    runs.append(motifs(tmp_path, "near", head, "--atlas", stored))
    assert runs[-1].returncode == RemoteError.exit_code
    assert len([x for x in runs[-1].stderr.splitlines() if x.startswith("error:")]) == 1
    for run in runs:
        for secret in (SECRET, KEY_ID, "AWS4-HMAC", "Traceback"):
            assert secret not in run.stdout + run.stderr
