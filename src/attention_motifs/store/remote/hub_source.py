"""A published atlas on the Hugging Face hub: one commit, read file by file."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

from attention_motifs import __version__
from attention_motifs.errors import InputError, RemoteError
from attention_motifs.store import hub
from attention_motifs.store.inventory import FileEntry, difference
from attention_motifs.store.paths import MANIFEST
from attention_motifs.store.remote.source import Head


class HubSource:
    """`hf://datasets/org/name` or `hf://org/name`, with `@revision` at the end if wanted."""

    writable = False

    def __init__(self, url: str) -> None:
        """Check the name; nothing is requested yet."""
        place, _, revision = url.partition("@")
        self.url = url
        self._repository = hub.repository(place)
        self._revision: str | None = revision or None
        self._commit: str | None = None

    def head(self) -> Head | None:
        """Read the newest commit, or that of the revision."""
        from huggingface_hub import HfApi

        name = self._repository
        with tempfile.TemporaryDirectory() as folder, hub.talking_to_hub(name):
            info = hub.persistently(lambda: HfApi().dataset_info(name, revision=self._revision))
            self._commit = str(info.sha)
            listing = hub.read_digests(self._take(hub.DIGESTS, Path(folder)), name)
            path = self._take(MANIFEST, Path(folder))
            raw = path.read_bytes()
            if differs := difference(path, listing.pop(MANIFEST)):
                raise RemoteError(
                    f"{name}: {MANIFEST} differs from the published file ({differs}); try again, "
                    "or ask its publisher to publish it again"
                )
            return Head(raw + self._commit.encode(), json.loads(raw), listing, self._commit)

    def read(self, name: str, entry: FileEntry, target: Path) -> None:  # noqa: ARG002
        """Download one file of the commit."""
        with (
            tempfile.TemporaryDirectory(dir=target.parent) as folder,
            hub.talking_to_hub(self._repository, target.parent),
        ):
            self._take(name, Path(folder)).replace(target)

    def read_ranges(
        self,
        name: str,  # noqa: ARG002
        entry: FileEntry,  # noqa: ARG002
        ranges: Sequence[tuple[int, int]],  # noqa: ARG002
    ) -> list[bytes] | None:
        """Return None: the client of the hub downloads whole files."""
        return None

    def _take(self, name: str, folder: Path) -> Path:
        from huggingface_hub import HfApi

        api = HfApi(library_name="attention-motifs", library_version=__version__)
        path = hub.persistently(
            lambda: api.hf_hub_download(
                self._repository, name, repo_type="dataset", revision=self._commit, local_dir=folder
            )
        )
        return Path(path)

    def store(self, entry: FileEntry, path: Path) -> None:  # noqa: ARG002
        """Refuse."""
        raise self._only_read()

    def commit(self, raw: bytes, version: str | None) -> str | None:  # noqa: ARG002
        """Refuse."""
        raise self._only_read()

    def _only_read(self) -> InputError:
        return InputError(
            f"{self.url}: can only be read; run `motifs fetch {self._repository}`, work on that "
            "folder, and publish it again with `motifs publish`"
        )
