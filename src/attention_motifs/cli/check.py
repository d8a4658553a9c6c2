"""`motifs check`: verify every file of an atlas."""

from __future__ import annotations

from typing import Annotated

import typer

from attention_motifs.atlas import Atlas
from attention_motifs.cli import options as o
from attention_motifs.cli.application import app
from attention_motifs.cli.console import print_error, print_line, report
from attention_motifs.errors import AtlasError, InputError


@app.command()
def check(
    folder: Annotated[
        str | None,
        typer.Argument(
            metavar="[DIR|URL]", help="Atlas to verify; same as --atlas.", show_default=False
        ),
    ] = None,
    atlas: o.AtlasOption = None,
    write_digests: Annotated[
        bool,
        typer.Option(
            "--write-digests",
            help="First record the digests of all files as they are now: of an atlas of an "
            "earlier version, or after a change of your own.",
        ),
    ] = False,
    cache: Annotated[
        bool,
        typer.Option(
            "--cache",
            help="Verify the cache instead: converted models, fetched scores, and copies of "
            "remote atlases.",
        ),
    ] = False,
) -> None:
    """Verify every file of an atlas, or of the cache; the exit code is 4 if one is wrong.

    Examples:
      motifs check --atlas demo-atlas
      motifs check demo-atlas
      motifs check old-atlas --write-digests
      motifs check --cache
    """
    from attention_motifs.atlas import check as checks

    if cache:
        if folder is not None or atlas is not None or write_digests:
            raise InputError(
                "--cache verifies no atlas. Leave out the atlas and --write-digests, or --cache"
            )
        _check_cache()
        return
    if folder is not None and atlas is not None and folder != atlas:
        raise InputError(f"{folder} and --atlas {atlas} are two atlases; name one")
    place = o.find_atlas(folder or atlas)
    if write_digests:
        print_line(f"{place}: digests of {checks.write_digests(place)} files recorded")
    opened = Atlas.open(place)
    findings = checks.check_atlas(opened, report)
    _print_findings(findings, str(opened.place))
    if names := checks.without_digest(opened):
        print_line(
            f"{len(names)} of its files, such as {names[0]}, have no recorded digest: a small "
            f"change in them can go unnoticed. Run {opened.paths.command('check --write-digests')}."
        )


def _check_cache() -> None:
    from attention_motifs.atlas.check_cache import check_cache
    from attention_motifs.store.cache_folder import cache_folder

    _print_findings(check_cache(report), str(cache_folder()))


def _print_findings(findings: list[str], place: str) -> None:
    """Print findings, or that a place is sound.

    Raises:
        AtlasError: if there are findings.
    """
    for finding in findings:
        print_error(finding, start="")
    if findings:
        raise AtlasError(f"{place}: {len(findings)} finding(s), listed above")
    print_line(f"{place}: sound")
