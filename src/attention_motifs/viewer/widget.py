"""What a view is in Python: an object that notebooks display, and that saves itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attention_motifs.store.atomic import atomic
from attention_motifs.viewer.document import document, frame

if TYPE_CHECKING:
    from attention_motifs.viewer.contract import View


@dataclass(frozen=True, repr=False)
class PatternView:
    """Patterns of one prompt, to be displayed in a notebook or saved as a file.

    Attributes:
        data: what is shown.
        height: height in a notebook, in CSS pixels.
    """

    data: View
    height: int = 720

    @property
    def html(self) -> str:
        """The document: one HTML text that needs no other file and no network."""
        return document(self.data)

    def save(self, path: str | Path) -> Path:
        """Write the document to a file, and return its path.

        Args:
            path: an `.html` file; an existing one is replaced.

        Raises:
            ResourceError: if the file cannot be written, or the viewer has not been built.
        """
        text = self.html
        target = Path(path)
        with atomic(target) as temporary:
            temporary.write_text(text, encoding="utf-8")
        return target

    def _repr_html_(self) -> str:
        return frame(self.html, f"Attention patterns of {self._what()}", self.height)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/html": self._repr_html_(), "text/plain": repr(self)}

    def __repr__(self) -> str:
        return f"PatternView({self._what()})"

    def _what(self) -> str:
        layers = self.data.layers
        heads = sum(layer.n_heads for layer in layers)
        name = f"{self.data.model}, " if self.data.model else ""
        layers_word = "layer" if len(layers) == 1 else "layers"
        heads_word = "head" if heads == 1 else "heads"
        return (
            f"{name}{len(layers)} {layers_word}, {heads} {heads_word}, {self.data.n_tokens} tokens"
        )
