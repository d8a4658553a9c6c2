"""Commands of the explorer: the atlas in a browser."""

from __future__ import annotations

from attention_motifs.atlas import Atlas
from attention_motifs.cli import options as o
from attention_motifs.cli.app import app
from attention_motifs.cli.console import print_error, print_line, report


@app.command()
def site(
    atlas: o.AtlasOption = None, out: o.OutOption = None, force: o.ForceOption = False
) -> None:
    """Write the explorer as a folder of static files; nothing is done if it is up to date.

    Any static host can serve it, from any folder.

    Examples:
      motifs site --atlas my-atlas
      motifs site --out public/ && python -m http.server --directory public
    """
    from attention_motifs.site.export import export_site

    folder = o.find_atlas(atlas)
    with Atlas.lock(folder):
        made = export_site(Atlas.open(folder), out, force=force, report=report)
    for what, mend in made.missing.items():
        print_line(f"Not in it yet: {what} ({mend}).")
    if not made.has_pages:
        print_error(
            f"{made.path}: has data and no pages, since the front end was not built; "
            "run `make web`, then `motifs site` again",
            start="warning: ",
        )
    done = "Written" if made.written else "Up to date"
    print_line(f"{done}: {made.path}. See it: python -m http.server --directory {made.path}")
