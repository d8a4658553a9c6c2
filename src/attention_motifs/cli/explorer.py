"""Commands that show an atlas in a browser, or export one head."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from attention_motifs.atlas import Atlas
from attention_motifs.cli import options as o
from attention_motifs.cli.application import app
from attention_motifs.cli.console import output, print_error, print_json, print_line, report

if TYPE_CHECKING:
    from attention_motifs.site.export import Exported
    from attention_motifs.site.server import Extension


@app.command()
def site(
    atlas: o.AtlasOption = None,
    out: Annotated[Path | None, o.out_option("site/ of the atlas")] = None,
    force: o.ForceOption = False,
) -> None:
    """Write the explorer as a folder of static files, if it is not up to date.

    Any static host can serve it, from any folder.

    Examples:
      motifs site --atlas demo-atlas
      motifs site --out public/ && python -m http.server --directory public
    """
    exported = _export(o.find_atlas(atlas), out, force)
    for part, fix in exported.missing.items():
        print_line(f"Not in it yet: {part} ({fix}).")
    done = "Written" if exported.written else "Up to date"
    print_line(f"{done}: {exported.path}")
    if exported.has_pages:
        print_line(f"See it: python -m http.server --directory {exported.path}, or motifs serve")
    else:
        print_error(f"{exported.path}: {_NO_PAGES}", start="warning: ")


def print_page(atlas: str | Path, site: Exported) -> None:
    """Print how to open the explorer, at the end of a run."""
    if not site.has_pages:
        print_error(f"{site.path}: {_NO_PAGES}", start="warning: ")
        return
    print_line(f"Explore it in a browser: motifs serve --atlas {atlas} --open")
    print_line(f"  or any static host: python -m http.server --directory {site.path!s}")


_NO_PAGES = (
    "has data and no pages, because the front end was not built; run `make web`, then "
    "`motifs site --force`"
)


def _export(atlas: str | Path, out: Path | None, force: bool) -> Exported:
    from attention_motifs.site.export import export_site, is_current

    opened = Atlas.open(atlas)
    target = out or opened.path / "site"  # of a URL, in the local copy: the site is not sent back
    if not force and is_current(opened, target):  # reading needs no lock
        return export_site(opened, target, report=report)
    with Atlas.lock(opened.path):
        return export_site(opened, target, force=force, report=report)


@app.command()
def serve(
    atlas: o.AtlasOption = None,
    port: Annotated[
        int,
        typer.Option(
            "--port", metavar="N", min=0, max=65535, help="Port to listen on; 0 for a free one."
        ),
    ] = 8377,
    host: Annotated[
        str,
        typer.Option(
            "--host", metavar="ADDRESS", help="Address to listen on; 0.0.0.0 for all networks."
        ),
    ] = "127.0.0.1",
    host_name: Annotated[
        list[str] | None,
        o.value_option(
            "--host-name", "HOST", "Another host name under which browsers may open it; repeatable."
        ),
    ] = None,
    open_browser: Annotated[bool, typer.Option("--open", help="Open the browser.")] = False,
    live: Annotated[
        bool,
        typer.Option(
            "--live", help="Load the models, and show every head on a text that you type."
        ),
    ] = False,
    model: Annotated[
        list[str] | None,
        o.value_option(
            "--model",
            "MODEL",
            "With --live: model of the atlas to load; repeatable.",
            unset="all models",
            autocompletion=o.complete_atlas_model,
        ),
    ] = None,
    device: o.DeviceOption = "auto",
) -> None:
    """Show the explorer in a browser. The site is written first, if it is not up to date.

    With --live, the page "Your text" runs the models of the atlas on your text. It answers this
    machine only, and the models stay in memory.

    Examples:
      motifs serve --atlas demo-atlas --open
      motifs serve --atlas demo-atlas --live --model smollm2-135m-instruct --open
      motifs serve --host 0.0.0.0 --host-name lab.example.org
    """
    from attention_motifs.errors import ResourceError
    from attention_motifs.site.server import bind, is_loopback, make_server

    _check_live(live, host, host_name, model, device)
    path = o.find_atlas(atlas)
    if live:
        from attention_motifs.live.models import live_names

        live_names(Atlas.open(path), model or None)  # refused before the site is written
    with bind(host, port) as socket:  # a port in use is refused before the site is written
        exported = _export(path, None, False)
        if not exported.has_pages:
            raise ResourceError(f"{exported.path}: {_NO_PAGES}")
        extension = _live(path, model, device) if live else None
        number = socket.getsockname()[1]
        shown = f"[{host}]" if ":" in host else host
        if not is_loopback(host):
            print_error(
                f"--host {host}: everyone who reaches this machine can read the atlas with "
                "its prompts",
                start="warning: ",
            )
            shown = "localhost" if host in ("0.0.0.0", "::") else shown  # noqa: S104
        print_line(f"The explorer: http://{shown}:{number}/ (Ctrl-C ends it)")
        if open_browser:
            import webbrowser

            socket.listen()  # the browser's first request waits, and is not refused
            webbrowser.open(f"http://{shown}:{number}/")
        with contextlib.suppress(KeyboardInterrupt):  # ends the server
            make_server(exported.path, host, host_name or (), extension).run(sockets=[socket])


def _check_live(
    live: bool, host: str, host_name: list[str] | None, model: list[str] | None, device: str
) -> None:
    """Refuse options that do not go together.

    Raises:
        InputError: naming them.
    """
    from attention_motifs.errors import InputError
    from attention_motifs.site.server import is_loopback

    if live and (not is_loopback(host) or host_name):
        option = "--host-name" if is_loopback(host) else f"--host {host}"
        raise InputError(
            f"--live cannot be used with {option}: a text is run for users of this machine only. "
            "Leave out one of the two options"
        )
    if not live and (model or device != "auto"):
        option = "--model" if model else "--device"
        raise InputError(f"{option} cannot be used: no model is loaded. Add --live")


def _live(atlas: str | Path, models: list[str] | None, device: str) -> Extension:
    """Load models of an atlas, and return the routes that read a text with them."""
    from attention_motifs.live.application import live_extension
    from attention_motifs.live.models import LiveModels, live_names

    live = LiveModels(Atlas.open(atlas), device)
    names = live_names(live.atlas, models or None)
    with report("load and try the models", len(names)) as advance:
        for name in names:
            live.load(name)
            live.read(_FIRST_TEXT, name)
            advance(1)
    print_line(f"Your text: page 'Your text' runs {', '.join(names)}")
    return live_extension(live)


_FIRST_TEXT = "The first text compiles what the next ones need. " * 3


@app.command()
def export(
    head: o.HeadArgument,
    atlas: o.AtlasOption = None,
    html: Annotated[
        bool, typer.Option("--html", help="Write one page that needs no other file.")
    ] = False,
    json: Annotated[
        bool, typer.Option("--json", help="Write everything known about the head as JSON.")
    ] = False,
    csv: Annotated[
        bool, typer.Option("--csv", help="Write the distances to all other heads as CSV.")
    ] = False,
    out: Annotated[
        Path | None,
        o.value_option(
            "--out", "FILE", "File to write.", unset="MODEL-L0-H0.html; JSON and CSV are printed"
        ),
    ] = None,
    n: Annotated[int, o.count_option("-n", "Number of neighbours to include.")] = 5,
    n_prompts: Annotated[
        int, o.count_option("--n-prompts", "Number of prompts to include.", least=0)
    ] = 4,
    metric: o.MetricsOption = None,
) -> None:
    """Write one head as a self-contained page, as JSON, or as a table of distances.

    Examples:
      motifs export smollm2-135m-instruct:L18:H6 --html
      motifs export gemma-3-270m:L5:H1 --csv --metric cosine --out distances.csv
    """
    from attention_motifs.atlas.head_page import page
    from attention_motifs.atlas.head_record import head_record
    from attention_motifs.errors import InputError
    from attention_motifs.head import model_folder
    from attention_motifs.store import files

    if [html, json, csv].count(True) != 1:
        raise InputError("no format is chosen, or several: give one of --html, --json and --csv")
    opened = Atlas.open(o.find_atlas(atlas))
    metrics = tuple(metric) if metric else None
    record = head_record(opened, head, n=n, n_prompts=n_prompts, metrics=metrics)
    if html:
        place = f"L{record.layer}-H{record.index}"
        target = out or Path(f"{model_folder(record.model)}-{place}.html")
        text = page(record)
    elif json and out is None:
        print_json(record.to_json())
        return
    elif csv and out is None:
        output.out(record.to_csv().removesuffix("\n"), highlight=False)
        return
    else:
        target = out or Path()
        text = _json_text(record.to_json()) if json else record.to_csv()
    with files.atomic(target) as temporary:
        temporary.write_text(text, encoding="utf-8")
    print_line(f"Written: {target}")


@app.command("export-headvis")
def export_headvis(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Model of the atlas.")],
    atlas: o.AtlasOption = None,
    out: Annotated[
        Path, o.value_option("--out", "DIR", "Folder to write; it must not exist.")
    ] = Path("data"),
) -> None:
    """Write the heads of a model as the data folder of HeadVis, a viewer of attention heads.

    Examples:
      motifs export-headvis smollm2-135m-instruct --atlas demo-atlas --out data
    """
    from attention_motifs.site.headvis import export_headvis as run_export

    folder = run_export(Atlas.open(o.find_atlas(atlas)), model, out, report=report)
    print_line(f"Written: {folder}. Serve it as data/ next to the pages that HeadVis builds.")


def _json_text(value: Any) -> str:
    from json import dumps

    return dumps(value, indent=1, ensure_ascii=False) + "\n"
