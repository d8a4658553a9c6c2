"""Publish an atlas on the hub, in one commit, so that nobody sees a part of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING, Any

from attention_motifs import __version__
from attention_motifs.atlas import IMPORTED, Atlas
from attention_motifs.atlas.check import check_atlas
from attention_motifs.errors import AtlasError, InputError, RemoteError
from attention_motifs.progress import Report, silent
from attention_motifs.prompts import BUILTIN, PILE_10K
from attention_motifs.sharing.dataset_card import dataset_card, megabytes
from attention_motifs.store import hub
from attention_motifs.store.inventory import (
    FileEntry,
    atlas_files,
    belongs,
    entries_to_json,
    entry_of,
    entry_of_bytes,
)
from attention_motifs.store.manifest import SCHEMA_VERSION, Manifest
from attention_motifs.store.paths import MANIFEST

if TYPE_CHECKING:
    from huggingface_hub import CommitOperationAdd, HfApi

CARD = "README.md"

_BATCH = 32
"""Files uploaded between two steps of the progress bar."""


@dataclass(frozen=True)
class Publication:
    """The files and settings of a publication, for review before the upload."""

    repository: str
    public: bool
    entries: Mapping[str, FileEntry]
    """Every file but `files.json` and the card."""
    sources: Mapping[str, Path | bytes]
    """Path or contents of every file."""
    n_texts: int
    texts: str
    """Name of the prompts."""

    @property
    def n_bytes(self) -> int:
        """Size of all files in bytes."""
        return sum(entry.size for entry in self.entries.values())

    def notice(self) -> list[str]:
        """Return lines that describe what readers of the repository will see."""
        readers = "everyone" if self.public else "those with access (the repository is private)"
        return [
            f"{self.repository}: {len(self.sources)} files, {megabytes(self.n_bytes)} MB, "
            f"readable by {readers}.",
            f"Published: the full texts and tokens of {self.n_texts} prompts ({self.texts}), "
            "features and patterns of the heads, your own classes and names of clusters, if any.",
            "Not published: weights of models, figures, the site, folders of this machine.",
        ]


def prepare(
    atlas: Atlas,
    repository: str,
    *,
    public: bool = False,
    include_texts: bool = False,
    licence: str = "other",
    prompts_licence: str | None = None,
    report: Report = silent,
) -> Publication:
    """Check an atlas, and collect the files to publish.

    Args:
        atlas: the atlas, locked by the caller.
        repository: `org/name`.
        public: whether everyone may read it.
        include_texts: whether prompts that are not the built-in ones may be published.
        licence: licence of the numbers, by its name on the hub (`cc-by-4.0`, `mit`...).
        prompts_licence: licence of the prompts' texts, for the card.
        report: shows progress.

    Returns:
        The publication, for `publish`.

    Raises:
        InputError: if the prompts are not the built-in ones and `include_texts` is not set.
        AtlasError: if the check finds a problem, or a file is a link.
    """
    name = hub.repository(repository)
    named = Path(atlas.manifest.configuration.prompts).name
    if not include_texts and atlas.manifest.configuration.prompts != BUILTIN:
        raise InputError(
            f"{atlas.place}: holds the texts of {atlas.manifest.prompts['n']} prompts ({named}), "
            "which would be published with it. Add --include-texts if they may be public, or "
            "build an atlas on the built-in prompts"
        )
    paths = atlas_files(atlas.path)
    findings = check_atlas(atlas, report)
    if findings:
        raise AtlasError(
            f"{atlas.place}: not published, because the check found problems: {findings[0]}. Run "
            f"{atlas.paths.command('check')} to list all"
        )
    manifest = without_paths(atlas.manifest)
    sources: dict[str, Path | bytes] = {**paths, MANIFEST: _json(manifest.to_json())}
    with report("digests of the files", len(sources)) as advance:
        entries = {}
        for file, source in sources.items():
            entries[file] = (
                entry_of_bytes(source) if isinstance(source, bytes) else entry_of(source)
            )
            advance(1)
    card = dataset_card(
        name, manifest, atlas.prompts, entries, licence=licence, prompts_licence=prompts_licence
    )
    sources[hub.DIGESTS] = _json(
        {
            "schema_version": SCHEMA_VERSION,
            "package_version": __version__,
            "files": entries_to_json(entries),
        }
    )
    sources[CARD] = card.encode("utf-8")
    return Publication(name, public, entries, sources, int(manifest.prompts["n"]), named)


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode("utf-8")


def without_paths(manifest: Manifest) -> Manifest:
    """Return a manifest without paths of this machine; local models keep their names."""
    configuration = manifest.configuration
    models = tuple(_shareable(requested, manifest) for requested in configuration.models)
    prompts = configuration.prompts
    if prompts not in (BUILTIN, PILE_10K, IMPORTED):
        prompts = _last(prompts)
    infos = {
        name: replace(info, wanted=_shareable(info.wanted, manifest)) if info.wanted else info
        for name, info in manifest.models.items()
    }
    changed = replace(configuration, models=models, prompts=prompts)
    return replace(manifest, configuration=changed, models=infos)


def _shareable(requested: str, manifest: Manifest) -> str:
    """Return the requested name of a model; of a path, only the last part."""
    name, equals, path = requested.partition("=")
    if equals:
        return f"{name}={_last(path)}"
    info = manifest.models.get(requested)
    if info is not None and not info.is_local:
        return requested  # a name, or an id on the hub
    last = _last(requested)
    local = {n for n, i in manifest.models.items() if i.is_local}
    stem = last.removesuffix(".gguf")
    if stem in local or requested.startswith((".", "/", "~", "\\")) or requested.endswith(".gguf"):
        return f"{stem}={last}"
    return requested


def _last(path: str) -> str:
    return PureWindowsPath(path).name or "_"  # `PureWindowsPath` splits at both kinds of slashes


def publish(publication: Publication, report: Report = silent) -> str:
    """Upload the files, commit once, and compare the hub's listing with the files.

    An interrupted upload continues when it is run again: the hub keeps the large files it has.

    Args:
        publication: returned by `prepare`.
        report: shows progress.

    Returns:
        The URL of the commit.

    Raises:
        InputError: if the repository exists with another visibility, or holds no atlas.
        RemoteError: if the hub refuses or cannot be reached, or another commit was made meanwhile.
    """
    from huggingface_hub import HfApi

    api = HfApi(library_name="attention-motifs", library_version=__version__)
    name = publication.repository
    with hub.talking_to_hub(name):
        head, existing = _repository(api, publication)
        _check_holds_atlas(name, existing)
        removed = sorted({file for file in existing if belongs(file)} - publication.sources.keys())
        additions = _upload(api, publication, report)
        with report(f"commit to {name}", 1):
            commit = _commit(api, publication, additions, removed, head)
            _verify(api, publication, commit)
    return f"{api.endpoint}/datasets/{name}/tree/{commit}"


def _repository(api: HfApi, publication: Publication) -> tuple[str, set[str]]:
    """Create the repository if it is missing; return its newest commit and its files."""
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    name = publication.repository
    try:
        info = hub.persistently(lambda: api.dataset_info(name))
    except GatedRepoError:
        raise
    except RepositoryNotFoundError:
        hub.persistently(
            lambda: api.create_repo(
                name, repo_type="dataset", private=not publication.public, exist_ok=True
            )
        )
        info = hub.persistently(lambda: api.dataset_info(name))
    if bool(info.private) == publication.public:
        state, fix = (
            ("private", "make it public in its settings on the hub, or leave --public out")
            if info.private
            else ("public", "add --public to publish for everyone, or choose another name")
        )
        raise InputError(f"{name}: exists and is {state}; {fix}")
    return str(info.sha), {file.rfilename for file in info.siblings or ()}


def _check_holds_atlas(name: str, existing: set[str]) -> None:
    """Refuse to write into a repository that holds something else."""
    others = sorted(existing - {".gitattributes", CARD})
    if others and hub.DIGESTS not in existing:
        raise InputError(
            f"{name}: holds other files than an atlas ({others[0]!r}); choose another name"
        )


def _operation(name: str, source: Path | bytes) -> CommitOperationAdd:
    from huggingface_hub import CommitOperationAdd

    return CommitOperationAdd(name, source if isinstance(source, bytes) else str(source))


def _upload(api: HfApi, publication: Publication, report: Report) -> dict[str, CommitOperationAdd]:
    """Upload the large files in batches; the commit contains the small ones."""
    from huggingface_hub.utils import disable_progress_bars  # type: ignore[attr-defined]

    names = list(publication.sources)
    operations: dict[str, CommitOperationAdd] = {}

    def upload(batch: list[str]) -> dict[str, CommitOperationAdd]:
        added = {name: _operation(name, publication.sources[name]) for name in batch}
        api.preupload_lfs_files(
            publication.repository, added.values(), repo_type="dataset", free_memory=False
        )
        return added

    # The bars of the hub's client would start again for every batch.
    with disable_progress_bars(), report(f"upload to {publication.repository}", len(names)) as step:
        for start in range(0, len(names), _BATCH):
            batch = names[start : start + _BATCH]
            operations |= hub.persistently(lambda batch=batch: upload(batch))  # type: ignore[misc]
            step(len(batch))
    return operations


def _commit(
    api: HfApi,
    publication: Publication,
    additions: Mapping[str, CommitOperationAdd],
    removed: list[str],
    head: str,
) -> str:
    """Commit on top of `head`; if the reply is lost, look for the commit before a retry."""
    from huggingface_hub import CommitOperationDelete

    name = publication.repository

    def commit() -> str:
        try:
            return str(
                api.create_commit(
                    name,
                    [*additions.values(), *(CommitOperationDelete(file) for file in removed)],
                    commit_message=f"Atlas by attention-motifs {__version__}",
                    repo_type="dataset",
                    parent_commit=head,
                ).oid
            )
        except Exception as error:
            if hub.passes(error) or hub.status_of(error) in (409, 412):
                newest = str(hub.persistently(lambda: api.dataset_info(name)).sha)
                if newest != head and _holds(api, publication, newest):
                    return newest
            raise

    return hub.persistently(commit)


def _holds(api: HfApi, publication: Publication, commit: str) -> bool:
    """Return whether a commit holds the same list of files and digests."""
    import tempfile

    from huggingface_hub.errors import EntryNotFoundError

    with tempfile.TemporaryDirectory() as folder:
        try:
            path = api.hf_hub_download(
                publication.repository, hub.DIGESTS, repo_type="dataset", revision=commit,
                local_dir=folder,
            )  # fmt: skip
        except EntryNotFoundError:
            return False
        return Path(path).read_bytes() == publication.sources[hub.DIGESTS]


def _verify(api: HfApi, publication: Publication, commit: str) -> None:
    """Compare sizes, and digests of large files, on the hub with those that were sent."""
    from huggingface_hub.hf_api import RepoFile

    name = publication.repository
    listed = hub.persistently(
        lambda: {
            file.path: (file.size, file.lfs.sha256 if file.lfs else None)
            for file in api.list_repo_tree(
                name, recursive=True, revision=commit, repo_type="dataset"
            )
            if isinstance(file, RepoFile)
        }
    )
    for file, entry in publication.entries.items():
        size, sha256 = listed.get(file, (None, None))
        if size != entry.size or sha256 not in (None, entry.sha256):
            raise RemoteError(
                f"{name}: the hub lists {file} with {size} bytes or another digest than was sent. "
                "Run the same command again"
            )
