"""Publishing and fetching through the hub's own client, against a server on this machine."""

from __future__ import annotations

import copy
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants

from attention_motifs import Atlas
from attention_motifs.atlas.check import check_atlas
from attention_motifs.errors import AtlasError, InputError, RemoteError
from attention_motifs.sharing import fetch, prepare, publish
from attention_motifs.sharing.publish import Publication
from attention_motifs.store.inventory import atlas_files
from attention_motifs.store.paths import ARTEFACTS, AtlasPaths
from hub_server import TOKEN, Hub, Repository
from loopback import Fault, serving
from synthetic_atlas import make_synthetic_atlas

NAME = "org/atlas"


@pytest.fixture(scope="module")
def atlas(tmp_path_factory: pytest.TempPathFactory) -> Atlas:
    return make_synthetic_atlas(tmp_path_factory.mktemp("share") / "mine", n_prompts=18)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    with serving(Hub()) as running:
        assert isinstance(running, Hub)
        monkeypatch.setattr(constants, "ENDPOINT", running.url)
        template = running.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
        monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda _seconds: None)
        monkeypatch.setattr("attention_motifs.store.retry.PAUSES", (0.0, 0.0))
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield running


def ready(atlas: Atlas, *, public: bool = False) -> Publication:
    return prepare(atlas, NAME, public=public, include_texts=True)


def contents(folder: Path) -> dict[str, bytes]:
    return {name: path.read_bytes() for name, path in atlas_files(folder).items()}


def test_what_is_published_is_what_is_fetched(atlas: Atlas, server: Hub, tmp_path: Path) -> None:
    address = publish(ready(atlas))
    assert server.repositories[NAME].private
    assert len(server.repositories[NAME].commits) == 2, "one commit on top of the first"
    assert address.endswith(server.repositories[NAME].commits[-1][0])
    fetched = fetch(NAME, tmp_path / "theirs")
    assert contents(fetched.path) == contents(atlas.path)
    assert not check_atlas(fetched)
    remaining = {path.name for path in fetched.path.iterdir()} - {".lock"}
    assert remaining == {"digests.jsonl", *(name.split("/")[0] for name in contents(atlas.path))}
    head = atlas.heads["head"][0]
    assert fetched.near(head, 3).equals(atlas.near(head, 3))


def test_only_what_belongs_to_the_atlas_is_sent(atlas: Atlas, server: Hub, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(atlas.path, tmp_path / "copy"))
    for name in ("site/index.html", "figures/a.png", "notes.txt", ".env", "id_rsa",
                 "tokens/.unfinished-x-a.parquet", "features/x/part-1.bak",
                 "clusters/deep/labels.parquet"):  # fmt: skip
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("secret")
    publish(prepare(Atlas.open(folder), NAME, include_texts=True))
    sent = server.repositories[NAME].commits[-1][1]
    assert set(sent) == {*contents(atlas.path), ".gitattributes", "README.md", "files.json"}


def test_links_are_not_followed(atlas: Atlas, tmp_path: Path) -> None:
    outside = tmp_path / "secret.parquet"
    outside.write_bytes((atlas.path / "prompts.parquet").read_bytes())
    folder = Path(shutil.copytree(atlas.path, tmp_path / "copy"))
    (folder / "clusters").mkdir(exist_ok=True)
    (folder / "clusters" / "labels.parquet").symlink_to(outside)
    with pytest.raises(AtlasError, match=r"labels\.parquet: is a link"):
        prepare(Atlas.open(folder), NAME, include_texts=True)
    (folder / "clusters" / "labels.parquet").unlink()
    shutil.move(folder / "distances", tmp_path / "elsewhere")
    (folder / "distances").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(AtlasError, match="distances: is a link"):
        prepare(Atlas.open(folder), NAME, include_texts=True)


def test_texts_of_the_user_are_sent_knowingly_only(atlas: Atlas) -> None:
    with pytest.raises(InputError, match=r"18 prompts \(synthetic\).*--include-texts"):
        prepare(atlas, NAME)
    message = " ".join(ready(atlas).notice())
    assert "18 prompts" in message
    assert "private" in message
    assert "everyone" in " ".join(ready(atlas, public=True).notice())


def test_a_damaged_atlas_is_not_published(atlas: Atlas, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(atlas.path, tmp_path / "copy"))
    (folder / "distances" / "mean.npy").write_bytes(b"x")
    with pytest.raises(AtlasError, match="not published, because the check found"):
        prepare(Atlas.open(folder), NAME, include_texts=True)


def test_paths_of_the_machine_stay_on_it(atlas: Atlas, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(atlas.path, tmp_path / "copy"))
    changed = Atlas.open(folder)
    value = changed.manifest.to_json()
    value["configuration"]["models"] = [
        "mine=/home/someone/secret/synthetic-0", "/home/someone/x/other.gguf", "..\\up\\y",
        "org/synthetic-1", "gpt2-small",
    ]  # fmt: skip
    value["configuration"]["prompts"] = "/home/someone/texts.jsonl"
    value["models"]["synthetic-0"]["wanted"] = "synthetic-0=~/someone/weights"
    (folder / "atlas.json").write_text(json.dumps(value))
    sources = prepare(Atlas.open(folder), NAME, include_texts=True).sources
    for name in ("atlas.json", "README.md", "files.json"):
        assert b"someone" not in bytes(sources[name]), name  # type: ignore[arg-type]
    message = json.loads(bytes(sources["atlas.json"]))  # type: ignore[arg-type]
    assert message["configuration"]["models"] == [
        "mine=synthetic-0", "other=other.gguf", "y=y", "org/synthetic-1", "gpt2-small",
    ]  # fmt: skip
    assert message["configuration"]["prompts"] == "texts.jsonl"


def test_a_second_publication_replaces_the_first(atlas: Atlas, server: Hub, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(atlas.path, tmp_path / "copy"))
    (folder / "clusters").mkdir(exist_ok=True)
    shutil.copy(folder / "distances" / "mean.npy", folder / "clusters" / "linkage-x.npy")
    publish(prepare(Atlas.open(folder), NAME, include_texts=True))
    server.repositories[NAME].commits[-1][1]["LICENSE"] = b"by hand"
    shutil.rmtree(folder / "clusters")
    server.forget()
    publish(prepare(Atlas.open(folder), NAME, include_texts=True))
    files = server.repositories[NAME].commits[-1][1]
    assert "clusters/linkage-x.npy" not in files
    assert files["LICENSE"] == b"by hand", "what is not ours is left"
    assert not server.requests("^PUT"), "large files that are there are not sent again"


def test_what_is_there_is_not_made_public_or_overwritten(atlas: Atlas, server: Hub) -> None:
    publish(ready(atlas))
    with pytest.raises(InputError, match="exists and is private"):
        publish(ready(atlas, public=True))
    server.repositories[NAME].private = False
    with pytest.raises(InputError, match="exists and is public; add --public"):
        publish(ready(atlas))
    other = server.repositories[NAME].commits[-1][1]
    del other["files.json"]
    with pytest.raises(InputError, match="holds other files than an atlas"):
        publish(ready(atlas, public=True))


@pytest.mark.parametrize(
    "fault",
    [
        Fault("status", "^POST /api/repos/create", status=503),
        Fault("status", "^POST .*/preupload", status=500),
        Fault("status", "^PUT /lfs", status=500, times=2),
        Fault("drop", "^PUT /lfs", times=2),
        Fault("status", "^POST .*/commit", status=502),
        Fault("drop", "^POST .*/commit"),
        Fault("lose", "^POST .*/commit"),
        Fault("status", "^GET .*/tree", status=500),
    ],
    ids=lambda fault: f"{fault.kind}-{fault.request}",
)
def test_passing_faults_while_publishing_pass(fault: Fault, atlas: Atlas, server: Hub) -> None:
    server.faults.append(Fault(**vars(fault)))
    address = publish(ready(atlas))
    assert server.faults[0].times == 0
    assert len(server.repositories[NAME].commits) == 2, "committed once"
    assert address.endswith(server.repositories[NAME].commits[-1][0])
    sent = server.repositories[NAME].commits[-1][1]
    assert {name: sent[name] for name in contents(atlas.path)} == contents(atlas.path)


@pytest.mark.parametrize(
    ("fault", "statements"),
    [
        (Fault("status", ".", status=500, times=99), "answers with status 500"),
        (Fault("status", "^PUT /lfs", status=503, times=999), "answers with status 503"),
        (Fault("drop", "^POST .*/commit", times=99), "cannot be reached"),
        (Fault("status", "^POST", status=403, times=99), r"refuses \(403\); log in"),
    ],
    ids=["all", "upload", "commit", "forbidden"],
)
def test_lasting_faults_are_one_line_and_leave_no_half(
    fault: Fault, statements: str, atlas: Atlas, server: Hub
) -> None:
    server.faults.append(Fault(**vars(fault)))
    with pytest.raises(RemoteError, match=statements) as caught:
        publish(ready(atlas))
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(NAME)
    assert all(len(r.commits) == 1 for r in server.repositories.values()), "nothing to be seen"
    server.forget()
    publish(ready(atlas))  # what was uploaded is kept, and the rest comes


def test_an_upload_that_was_stopped_goes_on(atlas: Atlas, server: Hub) -> None:
    server.faults.append(Fault("status", "^POST .*/commit", status=403))
    with pytest.raises(RemoteError):
        publish(ready(atlas))
    assert server.requests("^PUT /lfs")
    server.forget()
    publish(ready(atlas))
    assert not server.requests("^PUT /lfs")


def test_another_publication_in_between_is_noticed(
    atlas: Atlas, server: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(ready(atlas))
    answer = Hub.answer

    def meanwhile(self: Hub, method: str, path: str, *rest: object) -> object:
        if "/commit/" in path:
            repository = self.repositories[NAME]
            repository.commit({**repository.commits[-1][1], "files.json": b"{}"})
        return answer(self, method, path, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Hub, "answer", meanwhile)
    with pytest.raises(RemoteError, match="somebody else changed it meanwhile"):
        publish(ready(atlas, public=False))


def test_a_hub_that_lists_other_bytes_is_noticed(
    atlas: Atlas, server: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    import hub_server

    entry = hub_server._tree_entry
    monkeypatch.setattr(
        hub_server, "_tree_entry", lambda name, data: entry(name, data[:-1] or b"x")
    )
    with pytest.raises(RemoteError, match=r"the hub lists .* bytes or another digest"):
        publish(ready(atlas))


# Fetching


@pytest.fixture(scope="module")
def kept() -> dict[str, Repository]:
    """Repositories with the published atlas, from the first test that needs them."""
    return {}


@pytest.fixture
def published(atlas: Atlas, server: Hub, kept: dict[str, Repository]) -> Hub:
    if not kept:
        publish(ready(atlas))
        kept.update(copy.deepcopy(server.repositories))
    server.repositories = copy.deepcopy(kept)
    server.forget()
    return server


@pytest.mark.parametrize(
    "fault",
    [
        Fault("status", "^GET /api", status=503),
        Fault("status", "^(GET|HEAD) .*/resolve", status=500, times=3),
        Fault("truncate", "^GET .*/resolve/.*mean.npy"),
        Fault("truncate", "^GET .*/resolve/.*atlas.json"),
        Fault("drop", "^GET .*/resolve", times=2),
        Fault("corrupt", "^GET .*/resolve/.*mean.npy"),
        Fault("corrupt", "^GET .*/resolve/.*atlas.json"),
    ],
    ids=lambda fault: f"{fault.kind}-{fault.request}",
)
def test_passing_faults_while_fetching_pass(
    fault: Fault, atlas: Atlas, published: Hub, tmp_path: Path
) -> None:
    published.faults.append(Fault(**vars(fault)))
    fetched = fetch(NAME, tmp_path / "theirs")
    assert published.faults[0].times == 0
    assert contents(fetched.path) == contents(atlas.path)


@pytest.mark.parametrize(
    ("fault", "statements"),
    [
        (Fault("status", ".", status=500, times=999), "status 500|cannot be reached"),
        (Fault("corrupt", "mean.npy", times=99), r"mean\.npy differs from the published digest"),
        (
            Fault("corrupt", "atlas.json", times=99),
            r"atlas\.json differs from the published digest",
        ),
        (Fault("corrupt", "files.json", times=99), "files.json: damaged"),
        (Fault("truncate", "mean.npy", times=999), "cannot be reached|differs from the published"),
    ],
    ids=["500", "corrupt", "corrupt-manifest", "corrupt-digests", "truncate"],
)
def test_lasting_faults_never_leave_what_looks_like_an_atlas(
    fault: Fault, statements: str, atlas: Atlas, published: Hub, tmp_path: Path
) -> None:
    published.faults.append(Fault(**vars(fault)))
    with pytest.raises(RemoteError, match=statements) as caught:
        fetch(NAME, tmp_path / "theirs")
    assert "\n" not in str(caught.value)
    with pytest.raises(AtlasError, match="holds no atlas"):
        Atlas.open(tmp_path / "theirs")
    published.forget()
    fetched = fetch(NAME, tmp_path / "theirs")
    assert contents(fetched.path) == contents(atlas.path)
    if fault.kind == "corrupt" and "mean" in fault.request:
        again = published.requests(r"^GET .*/resolve/.*\.parquet")
        assert not again, "what had come is not fetched again"


def test_only_what_is_listed_is_fetched(published: Hub, tmp_path: Path) -> None:
    files = published.repositories[NAME].commits[-1][1]
    files["evil.py"] = b"print('ran')"
    files["clusters/extra.json"] = b"{}"
    fetched = fetch(NAME, tmp_path / "theirs")
    assert not (fetched.path / "evil.py").exists()
    assert not (fetched.path / "clusters" / "extra.json").exists()


@pytest.mark.parametrize(
    "name", ["../evil.json", "/etc/passwd", ".lock", "site/index.html", "a.py", "", "tokens/..",
             "distances/.npy", "features/../part-1.parquet", "tokens\\x.parquet"]
)  # fmt: skip
def test_names_that_lead_elsewhere_are_refused(name: str, published: Hub, tmp_path: Path) -> None:
    files = published.repositories[NAME].commits[-1][1]
    message = json.loads(files["files.json"])
    message["files"][name] = {"size": 1, "sha256": "0" * 64}
    files["files.json"] = json.dumps(message).encode()
    with pytest.raises(AtlasError, match="is not an entry of a file of an atlas"):
        fetch(NAME, tmp_path / "theirs")


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", "null", '{"schema_version": 2, "files": {}}', "[" * 100_000,
     '{"schema_version": 1, "files": 3}', '{"schema_version": 1, "files": {}}',
     '{"schema_version": 1, "files": {"atlas.json": 3}}',
     '{"schema_version": 1, "files": {"atlas.json": {"size": -1, "sha256": "0"}}}'],
)  # fmt: skip
def test_a_hostile_list_is_one_line(text: str, published: Hub, tmp_path: Path) -> None:
    published.repositories[NAME].commits[-1][1]["files.json"] = text.encode()
    with pytest.raises((RemoteError, AtlasError)) as caught:
        fetch(NAME, tmp_path / "theirs")
    assert "\n" not in str(caught.value)
    assert NAME in str(caught.value)


def test_what_cannot_be_fetched_is_said(
    published: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(RemoteError, match="no such dataset on the hub, or a private one"):
        fetch("org/other", tmp_path / "a")
    with pytest.raises(RemoteError, match="no such revision"):
        fetch(NAME, tmp_path / "a", revision="v9")
    for name in ("org", "a/b/c", "../x", "o rg/x", "hf://x", ""):
        with pytest.raises(InputError, match="write org/name"):
            fetch(name, tmp_path / "a")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("x")
    with pytest.raises(InputError, match="is not empty"):
        fetch(NAME, tmp_path / "full")
    fetch(NAME, tmp_path / "a")
    with pytest.raises(InputError, match="already holds an atlas"):
        fetch(NAME, tmp_path / "a")
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(RemoteError, match="or a private one"):
        fetch(NAME, tmp_path / "b")
    del published.repositories[NAME].commits[-1][1]["files.json"]
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with pytest.raises(RemoteError, match="holds no atlas of `motifs publish`"):
        fetch(NAME, tmp_path / "b")


# Read where it is


@pytest.mark.parametrize("url", [f"hf://datasets/{NAME}", f"hf://{NAME}", f"hf://{NAME}@main"])
def test_a_published_atlas_is_read_where_it_is(
    url: str, atlas: Atlas, published: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATTENTION_MOTIFS_CACHE", str(tmp_path / "cache"))
    from_remote = Atlas.open(url)
    head = atlas.heads["head"][0]
    assert from_remote.near(head, 3).equals(atlas.near(head, 3))
    came = published.requests(r"^GET .*/resolve/")
    assert {line.rpartition("/")[2] for line in came} == {
        "files.json", "atlas.json", "heads.parquet", "mean.npy",
    }  # fmt: skip
    assert not check_atlas(from_remote)
    assert contents(from_remote.path) == contents(atlas.path)


def test_a_published_atlas_is_not_written(
    atlas: Atlas, published: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATTENTION_MOTIFS_CACHE", str(tmp_path / "cache"))
    lock = Atlas.lock(f"hf://{NAME}")
    with pytest.raises(InputError, match=f"can only be read; run `motifs fetch {NAME}`"):
        lock.__enter__()
    assert len(published.repositories[NAME].commits) == 2


@pytest.mark.parametrize(
    ("fault", "statements"),
    [
        (Fault("corrupt", "^GET .*mean.npy", times=1), None),
        (Fault("truncate", "^GET .*mean.npy", times=1), None),
        (Fault("corrupt", "^GET .*mean.npy", times=99), "not what atlas.json lists"),
        (Fault("status", "mean.npy", status=500, times=999), "status 500|cannot be reached"),
    ],
    ids=["corrupt", "truncate", "corrupt-lasting", "500-lasting"],
)
def test_faults_of_lazy_reads(
    fault: Fault, statements: str | None, atlas: Atlas, published: Hub, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("ATTENTION_MOTIFS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("attention_motifs.store.retry.PAUSES", (0.0, 0.0))
    from_remote = Atlas.open(f"hf://{NAME}")
    published.faults.append(Fault(**vars(fault)))
    if statements is not None:
        with pytest.raises(RemoteError, match=statements) as caught:
            from_remote.distances("mean")
        assert "\n" not in str(caught.value)
        published.forget()
    assert from_remote.distances("mean").tolist() == atlas.distances("mean").tolist()


# The commands, as processes of their own


def motifs(server: Hub, home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ, "HF_ENDPOINT": server.url, "HF_TOKEN": TOKEN, "HF_HUB_DISABLE_XET": "1",
        "HF_HOME": str(home), "HF_DEBUG": "1", "HF_HUB_VERBOSITY": "debug",
    }  # fmt: skip
    code = "from attention_motifs.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, cwd=home,
        env=environment, check=False,
    )  # fmt: skip


@pytest.mark.slow
def test_the_commands_share_an_atlas_and_tell_no_secret(
    atlas: Atlas, server: Hub, tmp_path: Path
) -> None:
    (tmp_path / "home").mkdir()
    dry = motifs(server, tmp_path / "home", "publish", str(atlas.path), NAME, "--include-texts",
                 "--dry-run")  # fmt: skip
    assert dry.returncode == 0, dry.stderr
    assert not server.log, "a dry run asks the hub nothing"
    for name in contents(atlas.path):
        assert name in dry.stdout
    server.faults.append(Fault("status", "^PUT /lfs", status=500))
    sent = motifs(server, tmp_path / "home", "publish", str(atlas.path), NAME, "--include-texts")
    assert sent.returncode == 0, sent.stderr
    assert "readable by those with access" in sent.stdout
    came = motifs(server, tmp_path / "home", "fetch", NAME, "--out", "theirs")
    assert came.returncode == 0, came.stderr
    assert contents(tmp_path / "home" / "theirs") == contents(atlas.path)
    server.faults.append(Fault("status", ".", status=403, times=99))
    failed = motifs(server, tmp_path / "home", "fetch", NAME, "--out", "again")
    assert failed.returncode == RemoteError.exit_code
    for run in (dry, sent, came, failed):
        for secret in (TOKEN, "SECRET", "Bearer"):
            assert secret not in run.stdout + run.stderr
    assert any(TOKEN in h.get("Authorization", h.get("authorization", ""))
               for h in server.headers_seen), "it was used"  # fmt: skip


def test_every_file_that_travels_belongs_to_an_atlas() -> None:
    from attention_motifs.store.inventory import belongs

    parts = {"model": "org/m", "prompt": "0" * 16, "block": 3, "inputs": "f" * 16, "part": 4,
             "metric": "mean", "space": "embedding", "method": "average",
             "kind": "plain"}  # fmt: skip
    for name, artefact in ARTEFACTS.items():
        file = AtlasPaths(Path("/a")).file(name, **parts)
        assert belongs(file.name) == artefact.travels, name
