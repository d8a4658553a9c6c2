"""Commands of the explorer: the atlas in a browser."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from attention_motifs.atlas import Atlas
from attention_motifs.cli import options as o
from attention_motifs.cli.app import app
from attention_motifs.cli.console import print_error, print_json, print_line, report

if TYPE_CHECKING:
    from attention_motifs.site.export import Exported


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
    made = _export(o.find_atlas(atlas), out, force)
    for what, mend in made.missing.items():
        print_line(f"Not in it yet: {what} ({mend}).")
    done = "Written" if made.written else "Up to date"
    print_line(f"{done}: {made.path}")
    if made.has_pages:
        print_line(f"See it: python -m http.server --directory {made.path}, or motifs serve")
    else:
        print_error(f"{made.path}: {_NO_PAGES}", start="warning: ")


def print_page(atlas: str | Path, site: Exported) -> None:
    """Name the page to open, at the end of a run."""
    if not site.has_pages:
        print_error(f"{site.path}: {_NO_PAGES}", start="warning: ")
        return
    print_line(f"Explore it in a browser: motifs serve --atlas {atlas} --open")
    print_line(f"  or any static host: python -m http.server --directory {site.path!s}")


_NO_PAGES = (
    "has data and no pages, since the front end was not built; run `make web`, then `motifs site`"
)


def _export(atlas: str | Path, out: Path | None, force: bool) -> Exported:
    from attention_motifs.site.export import export_site, is_current

    there = Atlas.open(atlas)
    folder = there.path  # of a URL, the copy here: a site is made of it, and not sent back
    target = out or Path(str(folder / "site"))
    if not force and is_current(there, target):  # an atlas that only is read needs no lock
        return export_site(there, target, report=report)
    with Atlas.lock(folder):
        return export_site(Atlas.open(folder), target, force=force, report=report)


@app.command()
def serve(
    atlas: o.AtlasOption = None,
    port: Annotated[int, typer.Option("--port", help="Port; 0 takes a free one.")] = 8377,
    host: Annotated[
        str, typer.Option("--host", help="Address to listen on; by default this machine alone.")
    ] = "127.0.0.1",
    name: Annotated[
        list[str] | None,
        typer.Option("--name", help="Other host name that requests may use; repeatable."),
    ] = None,
    open_browser: Annotated[bool, typer.Option("--open", help="Open the browser.")] = False,
) -> None:
    """Show the explorer in a browser; the site is written first where it is out of date.

    Examples:
      motifs serve --atlas my-atlas --open
      motifs serve --host 0.0.0.0 --name lab.example.org
    """
    from attention_motifs.errors import ResourceError
    from attention_motifs.site.server import bind, is_loopback, make_server

    made = _export(o.find_atlas(atlas), None, False)
    if not made.has_pages:
        raise ResourceError(f"{made.path}: {_NO_PAGES}")
    with bind(host, port) as opened:
        number = opened.getsockname()[1]
        shown = f"[{host}]" if ":" in host else host
        if not is_loopback(host):
            print_error(
                f"--host {host}: everyone who reaches this machine can read the atlas, its "
                "prompts included",
                start="warning: ",
            )
            shown = "localhost" if host in ("0.0.0.0", "::") else shown  # noqa: S104
        print_line(f"The explorer: http://{shown}:{number}/ (Ctrl-C ends it)")
        if open_browser:
            import webbrowser

            opened.listen()  # so that the browser's first request waits and is not refused
            webbrowser.open(f"http://{shown}:{number}/")
        with contextlib.suppress(KeyboardInterrupt):  # the way to end it
            make_server(made.path, host, name or ()).run(sockets=[opened])


@app.command()
def export(
    head: o.HeadArgument,
    atlas: o.AtlasOption = None,
    html: Annotated[
        bool, typer.Option("--html", help="One page that needs no other file.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="What is known of the head.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="Distances to all other heads.")] = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="File to write; else JSON and CSV are printed."),
    ] = None,
    n: Annotated[int, typer.Option("-n", help="Neighbours shown.")] = 5,
    n_prompts: Annotated[int, typer.Option("--n-prompts", help="Prompts shown.")] = 4,
    metric: o.MetricsOption = None,
) -> None:
    """Write one head: a self-contained page, JSON, or a table of distances.

    Examples:
      motifs export gpt2-small:L5:H1 --html
      motifs export gpt2-small:L5:H1 --csv --metric cosine --out distances.csv
    """
    from attention_motifs.errors import InputError
    from attention_motifs.head import model_folder
    from attention_motifs.reports.head_page import page
    from attention_motifs.reports.head_record import head_record
    from attention_motifs.store import files

    if [html, json, csv].count(True) != 1:
        raise InputError("choose one of --html, --json and --csv")
    there = Atlas.open(o.find_atlas(atlas))
    metrics = tuple(metric) if metric else None
    record = head_record(there, head, n=n, n_prompts=n_prompts, metrics=metrics)
    if html:
        place = f"L{record.layer}-H{record.index}"
        target = out or Path(f"{model_folder(record.model)}-{place}.html")
        text = page(record)
    elif json and out is None:
        print_json(record.to_json())
        return
    elif csv and out is None:
        print(record.to_csv(), end="")
        return
    else:
        target = out or Path()
        text = _json_text(record.to_json()) if json else record.to_csv()
    with files.atomic(target) as temporary:
        temporary.write_text(text, encoding="utf-8")
    print_line(f"Written: {target}")


def _json_text(value: Any) -> str:
    from json import dumps

    return dumps(value, indent=1, ensure_ascii=False) + "\n"
