"""A view of a model on a text: the patterns of `extract_patterns`, with the tokens of the model."""

from __future__ import annotations

import base64
import zlib
from pathlib import Path

import numpy as np
import pytest

import attention_motifs as am
from attention_motifs.errors import InputError
from attention_motifs.store.packed_patterns import pack_triangles
from conftest import Tiny, texts


def test_a_model_is_run_on_a_text(tiny: Tiny, own_cache: Path) -> None:
    folder, (text,) = tiny.folder / "a", texts(1)
    loaded = am.load_model(folder)
    shown = am.view(loaded, text, max_tokens=12).data
    batches = list(am.extract_patterns(loaded, text, max_tokens=12))
    assert shown.model == loaded.info.name
    assert [layer.layer for layer in shown.layers] == [batch.layer for batch in batches]
    for layer, batch in zip(shown.layers, batches, strict=True):
        packed = np.frombuffer(zlib.decompress(base64.b64decode(layer.data)), dtype=np.uint8)
        expected = pack_triangles(batch.patterns.numpy())
        assert np.array_equal(packed.reshape(expected.shape), expected)
    assert text.startswith("".join(shown.tokens[shown.bos :]))
    assert am.view(folder, text=text, max_tokens=12).data.tokens == shown.tokens
    assert am.view(batches).data.layers == shown.layers
    # By default a text is cut to the context of the model, here 256 tokens.
    assert am.view(loaded, 200 * text).data.n_tokens == 256


@pytest.mark.parametrize("text", [None, "", 3])
def test_a_model_needs_a_text(tiny: Tiny, own_cache: Path, text: object) -> None:
    with pytest.raises(InputError, match="text"):
        am.view(str(tiny.folder / "a"), None, text)  # type: ignore[arg-type]
