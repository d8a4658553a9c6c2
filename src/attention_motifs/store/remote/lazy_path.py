"""Paths into a folder whose files come over the network when they are first read."""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from attention_motifs.store.inventory import FileEntry, matches

# The class that `Path()` makes on this system: `Path` itself can only be derived from since 3.12.
if TYPE_CHECKING:
    _Path = Path
else:
    _Path = type(Path())


class Origin(Protocol):
    """Where the files of a folder come from."""

    url: str

    @property
    def listing(self) -> Mapping[str, FileEntry]:
        """All files, be they here yet or not, less those deleted here."""
        ...

    def fetch(self, name: str) -> None:
        """Let a listed file come."""
        ...

    def forget(self, name: str) -> None:
        """Note that a file was deleted here."""
        ...


_origins: dict[str, Origin] = {}
"""By the folder, as a text without a slash at its end."""


class LazyPath(_Path):
    """A path in such a folder: it knows what is listed, and lets come what is opened.

    In messages (f-strings) it shows the URL, which is what a user can name; `str` is the path
    on the disk.
    """

    @classmethod
    def of(cls, folder: Path, origin: Origin) -> LazyPath:
        """Register a folder, and return the path of it."""
        _origins[str(folder)] = origin
        return cls(folder)

    @classmethod
    def around(cls, path: Path) -> Path:
        """Return a path as it is, or, in such a folder, one that knows of it again."""
        lazy = cls(path)
        return path if lazy.origin() is None else lazy

    def origin(self) -> tuple[Origin, str] | None:
        """Where this comes from, and its name there: empty for the folder itself."""
        text = str(self)
        for folder, origin in _origins.items():
            if text == folder:
                return origin, ""
            if text.startswith(folder + os.sep):
                return origin, text[len(folder) + 1 :].replace(os.sep, "/")
        return None

    def _is_absent(self) -> bool:
        """Whether it is listed and has not come yet."""
        found = self.origin()
        return found is not None and found[1] in found[0].listing and not os.path.exists(self)  # noqa: PTH110

    def fetch(self) -> None:
        """Let it come, if it is listed and is not here."""
        found = self.origin()
        if found is not None and self._is_absent():
            found[0].fetch(found[1])

    def forget(self) -> None:
        """Note that it, or all that is listed below it, is deleted."""
        found = self.origin()
        if found is not None:
            origin, name = found
            for listed in list(origin.listing):
                if listed == name or listed.startswith(name + "/"):
                    origin.forget(listed)

    def __format__(self, form: str) -> str:
        found = self.origin()
        text = str(self) if found is None else f"{found[0].url}/{found[1]}".rstrip("/")
        return format(text, form)

    # What pathlib asks the disk

    def is_file(self, **options: Any) -> bool:
        """Whether it is here, or is listed."""
        return self._is_absent() or Path(str(self)).is_file(**options)

    def exists(self, **options: Any) -> bool:
        """Whether it is here, or is listed."""
        return self._is_absent() or Path(str(self)).exists(**options)

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        """Let it come, and ask the system."""
        self.fetch()
        return super().stat(follow_symlinks=follow_symlinks)

    def open(self, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        """Let it come if it is to be read, and open it."""
        if "w" not in mode and "x" not in mode:
            self.fetch()
        return super().open(mode, *arguments, **options)

    def unlink(self, missing_ok: bool = False) -> None:
        """Delete it here and, with the next upload, there."""
        was_absent = self._is_absent()
        self.forget()
        super().unlink(missing_ok=missing_ok or was_absent)

    def glob(self, pattern: str, **options: Any) -> Generator[LazyPath, None, None]:
        """Files here that fit, and listed ones."""
        here = {str(path) for path in Path(str(self)).glob(pattern, **options)}
        found = self.origin()
        if found is not None:
            start = found[1] + "/" if found[1] else ""
            below = (n.removeprefix(start) for n in found[0].listing if n.startswith(start))
            here |= {str(self / name) for name in below if matches(name, pattern)}
        yield from (type(self)(path) for path in sorted(here))
