"""attention-motifs: which attention heads, in which models, do something like this one?

The names below are loaded when first used, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from attention_motifs.atlas import Atlas
    from attention_motifs.atlas.training_track import track
    from attention_motifs.distances import head_distances, metric_names
    from attention_motifs.embedding import PatternEmbedding
    from attention_motifs.embedding.recommended import RecommendedEmbedding
    from attention_motifs.errors import MotifsError
    from attention_motifs.extraction import PatternBatch, extract_patterns, load_model
    from attention_motifs.features import compute_features, feature, feature_names, feature_sets
    from attention_motifs.head import HeadId
    from attention_motifs.literature import known_heads
    from attention_motifs.prompt_templates import prompts_from_template
    from attention_motifs.prompts import Prompt, load_prompts, save_prompts
    from attention_motifs.reports.model_diff import diff
    from attention_motifs.reports.model_labels import label_heads
    from attention_motifs.stages.import_arrays import atlas_from_patterns
    from attention_motifs.stages.measure import ablate, score
    from attention_motifs.stages.remove import remove
    from attention_motifs.stages.run import add, build
    from attention_motifs.store.settings import Configuration
    from attention_motifs.viewer.show import view
    from attention_motifs.viewer.widget import PatternView

__version__: str

_WHERE = {
    "Atlas": "atlas",
    "Configuration": "store.settings",
    "HeadId": "head",
    "MotifsError": "errors",
    "PatternBatch": "extraction",
    "PatternEmbedding": "embedding",
    "PatternView": "viewer.widget",
    "Prompt": "prompts",
    "RecommendedEmbedding": "embedding.recommended",
    "ablate": "stages.measure",
    "add": "stages.run",
    "atlas_from_patterns": "stages.import_arrays",
    "build": "stages.run",
    "compute_features": "features",
    "diff": "reports.model_diff",
    "track": "atlas.training_track",
    "extract_patterns": "extraction",
    "feature": "features",
    "feature_names": "features",
    "feature_sets": "features",
    "head_distances": "distances",
    "known_heads": "literature",
    "label_heads": "reports.model_labels",
    "load_model": "extraction",
    "load_prompts": "prompts",
    "metric_names": "distances",
    "prompts_from_template": "prompt_templates",
    "remove": "stages.remove",
    "save_prompts": "prompts",
    "score": "stages.measure",
    "view": "viewer.show",
}

__all__ = [
    "Atlas",
    "Configuration",
    "HeadId",
    "MotifsError",
    "PatternBatch",
    "PatternEmbedding",
    "PatternView",
    "Prompt",
    "RecommendedEmbedding",
    "__version__",
    "ablate",
    "add",
    "atlas_from_patterns",
    "build",
    "compute_features",
    "diff",
    "extract_patterns",
    "feature",
    "feature_names",
    "feature_sets",
    "head_distances",
    "known_heads",
    "label_heads",
    "load_model",
    "load_prompts",
    "metric_names",
    "prompts_from_template",
    "remove",
    "save_prompts",
    "score",
    "track",
    "view",
]


def __getattr__(name: str) -> Any:
    """Load a public name when it is first asked for."""
    if name == "__version__":
        return _version()
    if name not in _WHERE:
        raise AttributeError(f"module 'attention_motifs' has no attribute {name!r}")
    return getattr(import_module(f"attention_motifs.{_WHERE[name]}"), name)


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version  # slower than the package itself

    try:
        return version("attention-motifs")
    except PackageNotFoundError:  # running from a source tree that was never installed
        return "0+unknown"


def __dir__() -> list[str]:
    return __all__
