"""Tests of all commands: one line for a mistake, exit codes, texts that are shown."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import unicodedata
import warnings
from pathlib import Path
from typing import NamedTuple

import polars as pl
import pytest
import typer
from hypothesis import example, given
from hypothesis import strategies as st

from attention_motifs import __version__, cli
from attention_motifs.atlas import Atlas
from attention_motifs.cli import options
from attention_motifs.cli.console import plain, print_error, show_warnings_in_one_line
from attention_motifs.errors import BROKEN_PIPE, AtlasError, ModelError, MotifsError, ResourceError
from conftest import Tiny
from synthetic_atlas import make_synthetic_atlas
from tiny_models import write_prompts

HEAD = "synthetic-0:L1:H0"
CODE = "from attention_motifs.cli import main; main()"


class Said(NamedTuple):
    code: int
    out: str
    err: str

    def error(self) -> str:
        """The one line that a mistake is told in."""
        assert "Traceback" not in self.err
        lines = [line for line in self.err.splitlines() if not line.endswith((" ...", " s"))]
        assert len(lines) == 1, self.err
        assert lines[0].startswith("error: ")
        return lines[0]


@pytest.fixture(scope="module")
def atlas(tmp_path_factory: pytest.TempPathFactory) -> Atlas:
    return make_synthetic_atlas(tmp_path_factory.mktemp("main") / "atlas", n_prompts=4, n_tokens=8)


@pytest.fixture
def hostile(tmp_path: Path) -> Atlas:
    """An atlas whose classes of heads would be read as markup and as commands to a terminal."""
    built = make_synthetic_atlas(tmp_path / "atlas", n_prompts=4, n_tokens=8)
    texts = ["[bold]bold[/bold]", "[/]", "red \x1b[31m", "csi \x9b31m", "\u202eevil", ":smile:"]
    classes = pl.Series("classes", [texts] * len(built.heads), dtype=pl.List(pl.String))
    built.write_heads(built.heads.with_columns(classes))
    return built


@pytest.fixture
def motifs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    def run(*words: str | Path) -> Said:
        monkeypatch.setattr(sys, "argv", ["motifs", *map(str, words)])
        with pytest.raises(SystemExit) as exited:
            cli.main()
        captured = capsys.readouterr()
        return Said(int(exited.value.code or 0), captured.out, captured.err)

    return run


def program(*words: str | Path, **environment: str) -> Said:
    """Run `motifs` as a program of its own."""
    done = subprocess.run(
        [sys.executable, "-c", CODE, *map(str, words)],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )
    return Said(done.returncode, done.stdout, done.stderr)


# Exit codes


def test_the_version_is_told(motifs) -> None:
    assert motifs("--version") == (0, f"attention-motifs {__version__}\n", "")


def test_the_package_runs_as_a_module() -> None:
    command = [sys.executable, "-m", "attention_motifs", "--version"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, f"attention-motifs {__version__}\n")


@pytest.mark.parametrize("words", [[], ["models"]])
def test_a_command_that_needs_a_subcommand_shows_its_help(motifs, words: list[str]) -> None:
    finished = motifs(*words)
    assert finished.code == 2
    assert "Usage: motifs" in finished.out + finished.err
    assert "error" not in finished.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nosuch"], "No such command 'nosuch'; see `motifs --help`"),
        (["--nosuch"], "No such option: --nosuch"),
        (["show"], "Missing argument 'HEAD'; see `motifs show --help`"),
        (["show", HEAD, "more"], "unexpected extra argument"),
        (["show", HEAD, "--nosuch"], "No such option: --nosuch; see `motifs show --help`"),
        (["near", HEAD, "-n", "many"], "Invalid value for '-n'"),
        (["near", HEAD, "-n"], "'-n' requires an argument"),
        (["models", "pull"], "Missing argument 'NAME'; see `motifs models pull --help`"),
        (["build", "--seed", "1.5"], "Invalid value for '--seed'"),
    ],
)
def test_a_command_line_that_cannot_be_read_is_told_in_one_line(
    motifs, words: list[str], message: str
) -> None:
    finished = motifs(*words)
    assert finished.code == 2
    assert message in finished.error()


@pytest.mark.parametrize("error", [MotifsError, AtlasError, ModelError, ResourceError])
def test_every_kind_of_error_leaves_with_its_code(
    motifs, monkeypatch: pytest.MonkeyPatch, error: type[MotifsError]
) -> None:
    def fail(*_: object) -> None:
        raise error("two lines\nof [bold]text")

    monkeypatch.setattr(Atlas, "open", fail)
    finished = motifs("info")
    assert finished.code == error.exit_code
    assert 1 <= finished.code <= 5
    assert finished.error() == "error: two lines of [bold]text"


def test_other_errors_are_not_hidden(motifs, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(Atlas, "open", fail)
    with pytest.raises(RuntimeError, match="a bug"):
        motifs("info")


def test_ctrl_c_leaves_with_130_and_says_how_to_go_on(
    motifs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Atlas, "open", stop)
    monkeypatch.setattr(os, "_exit", sys.exit)  # which would end the tests too
    assert motifs("info") == (130, "", "stopped; run the same command again to continue\n")


def test_damaged_weights_leave_with_the_code_of_models(
    motifs, tiny: Tiny, own_cache: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(tiny.folder / "a", broken)
    weights = broken / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    prompts = write_prompts(tmp_path / "prompts.jsonl", ["one two three four five six"])
    words = ["--model", broken, "--prompts", prompts, "--atlas", tmp_path / "new"]
    finished = motifs("build", *words)
    assert (finished.code, "broken" in finished.error()) == (3, True)


def test_prompts_that_cannot_be_read_are_named_by_line(motifs, tiny: Tiny, tmp_path: Path) -> None:
    prompts = tmp_path / "p.jsonl"
    for data, message in (
        (b'{"text": "fine"}\n{"text": ', "p.jsonl, line 2: not JSON"),
        (b'{"text": "fine"}\n\n{"text": "\xff"}', "p.jsonl, line 3: not UTF-8"),
        (b'{"text": " "}', "p.jsonl, line 1: the text is empty"),
        (b"\x1b[31m", "p.jsonl, line 1: not JSON"),
        (b'{"text": "one two three"}\n{"text": "a"}', "p.jsonl, line 2: the text 'a' has 1 token"),
    ):
        prompts.write_bytes(data)
        words = ["--model", tiny.model("a"), "--prompts", prompts, "--atlas", tmp_path / "atlas"]
        words += ["--bos", "never"]
        finished = motifs("build", *words)
        assert finished.code == 2
        assert message in finished.error()
        assert "\x1b" not in finished.err
    assert not (tmp_path / "atlas" / "atlas.json").exists()


# Pipes


def test_a_reader_that_stops_early_is_no_error() -> None:
    words = [sys.executable, "-c", CODE, "features", "extended", "--json"]
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(words, stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert (done.returncode, done.stderr) == (BROKEN_PIPE, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_output_that_cannot_be_written_is_one_line() -> None:
    words = [sys.executable, "-c", CODE, "features", "--json"]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == ResourceError.exit_code
    assert Said(done.returncode, "", done.stderr).error()


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_any_encoding_can_show_any_text(hostile: Atlas, encoding: str) -> None:
    words = ["show", HEAD, "--json", "--atlas", hostile.path]
    finished = program(*words, PYTHONIOENCODING=encoding)
    assert json.loads(finished.out)["classes"] == hostile.heads["classes"][0].to_list()
    assert "Traceback" not in finished.err


def test_an_error_is_shown_in_any_encoding(hostile: Atlas) -> None:
    words = ["near", "\u0416:L0:H0", "--atlas", hostile.path]
    assert program(*words, PYTHONIOENCODING="ascii").error()


@pytest.mark.slow
def test_answers_go_to_the_output_and_progress_to_the_error_stream(atlas: Atlas) -> None:
    finished = program("check", atlas.path)
    assert finished.out == f"{atlas.path}: sound\n"
    assert "check the atlas" in finished.err
    json.loads(program("near", HEAD, "--atlas", atlas.path, "--json").out)


# Texts that are no markup and no commands


def test_texts_of_an_atlas_are_shown_as_they_are(motifs, hostile: Atlas) -> None:
    for words in (["near", HEAD], ["show", HEAD], ["near", HEAD, "--json"]):
        finished = motifs(*words, "--atlas", hostile.path)
        assert finished.code == 0
        shown = "".join(finished.out.split())
        assert "[bold]bold[/bold]" in shown
        assert "[/]" in shown
        assert ":smile:" in shown
        assert not set(finished.out) & {"\x1b", "\x9b", "\u202e"}


def test_json_holds_the_very_texts(motifs, hostile: Atlas) -> None:
    result = json.loads(motifs("near", HEAD, "--atlas", hostile.path, "--json").out)
    assert result[0]["classes"] == hostile.heads["classes"][0].to_list()


@pytest.mark.parametrize(
    "name", ["[bold]x[/bold]", "[/nothing]", "a\nb", "\x1b[31mred", "\udcff", "\u202eb"]
)
def test_paths_with_odd_characters_are_told_in_one_line(motifs, tmp_path: Path, name: str) -> None:
    finished = motifs("info", "--atlas", tmp_path / name)
    assert finished.code == 4
    assert finished.error().startswith(
        f"error: {tmp_path}/{plain(name.replace(chr(10), ' '))}: holds"
    )


@given(st.text())
@example("\x1b]0;title\x07 \x9b2J \u202e \u2066 \ud800 \x7f \r")
def test_nothing_that_a_terminal_obeys_is_left(text: str) -> None:
    shown = plain(text)
    remaining = {c for c in shown if unicodedata.category(c) in {"Cc", "Cs"}}
    assert remaining <= {"\n", "\t"}
    assert not set(shown) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
    shown.encode("utf-8")
    assert plain(shown) == shown


@given(st.text(st.characters(exclude_categories=["C", "Zl", "Zp"])))
def test_ordinary_text_is_not_changed(text: str) -> None:
    assert plain(text) == text


def test_an_error_of_many_lines_is_told_in_one(capsys: pytest.CaptureFixture[str]) -> None:
    print_error("first\nsecond\r\nthird " + 200 * "x")
    assert capsys.readouterr().err == f"error: first second third {200 * 'x'}\n"


def test_a_warning_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        show_warnings_in_one_line()
        warnings.warn("[bold]mixed\n" + 100 * "long " + "end", UserWarning, stacklevel=1)
        warnings.warn("of no use to users", DeprecationWarning, stacklevel=1)
    assert capsys.readouterr().err == f"warning: [bold]mixed {100 * 'long '}end\n"


# Where the atlas is


def test_the_atlas_of_the_folder_is_found(
    motifs, atlas: Atlas, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert options.find_atlas(None) == Path("atlas")
    assert motifs("embed").code == 4
    assert not (tmp_path / "atlas").exists(), "asking in vain makes no folder"
    (tmp_path / "demo-atlas").symlink_to(atlas.path)
    assert options.find_atlas(None) == Path("demo-atlas")
    (tmp_path / "atlas").mkdir()
    assert options.find_atlas(None) == Path("demo-atlas"), "an empty folder is no atlas"
    (tmp_path / "atlas").rmdir()
    (tmp_path / "atlas").symlink_to(atlas.path)
    assert options.find_atlas(None) == Path("atlas")
    assert options.find_atlas(Path("other")) == Path("other")
    assert motifs("near", HEAD, "-n", "1").code == 0


# Completion


def completed(atlas: Path | None, incomplete: str) -> list[str]:
    command = typer.main.get_command(cli.app.app)  # type: ignore[attr-defined]
    context = typer.Context(command)
    context.params = {"atlas": atlas}
    return options.complete_head(context, incomplete)


def test_heads_are_completed_from_the_atlas_meant(atlas: Atlas, tmp_path: Path) -> None:
    import attention_motifs.cli.app

    assert attention_motifs.cli.app
    assert completed(atlas.path, "synthetic-0:L1") == ["synthetic-0:L1:H0", "synthetic-0:L1:H1"]
    assert completed(atlas.path, "") == atlas.heads["head"].to_list()
    assert completed(atlas.path, "x") == []
    assert completed(tmp_path / "none", "") == []


def test_models_are_completed_from_those_known() -> None:
    assert options.complete_model("smollm2-1") == ["smollm2-135m-instruct"]
    assert "gpt2-small" in options.complete_model("gpt2")


@pytest.mark.slow
def test_shells_get_heads_that_they_can_go_on_typing(atlas: Atlas) -> None:
    words = f"motifs near --atlas {atlas.path} synthetic-0"
    bash = program(
        _MOTIFS_COMPLETE="complete_bash", COMP_WORDS=words + ".L1", COMP_CWORD="4"
    ).out.split()
    # A colon ends a word in bash, so heads are offered in the spelling with dots.
    assert bash == ["synthetic-0.L1.H0", "synthetic-0.L1.H1"]
    assert atlas.head_index(bash[1]) == atlas.head_index("synthetic-0:L1:H1")
    fish = program(
        _MOTIFS_COMPLETE="complete_fish",
        _TYPER_COMPLETE_FISH_ACTION="get-args",
        _TYPER_COMPLETE_ARGS=words + ":L1",
    ).out.split()
    assert fish == ["synthetic-0:L1:H0", "synthetic-0:L1:H1"]


# Tables for people


def test_features_are_listed_with_formula_range_and_meaning(motifs) -> None:
    finished = motifs("features", "diag.mean")
    assert finished.code == 0
    assert finished.out.startswith("diag.mean   [0, 1]")
    assert "large: " in finished.out
    assert "source: " in finished.out
    message = json.loads(motifs("features", "paper", "--json").out)
    assert len(message) == 94
    assert all(f["formula"] and f["large"] and f["source"] for f in message)


def test_models_are_listed_with_what_is_known(motifs) -> None:
    message = {m["name"]: m for m in json.loads(motifs("models", "list", "--json").out)}
    packaged = message["smollm2-135m-instruct"]
    assert (packaged["n_layers"], packaged["n_heads"], packaged["kind"]) == (30, 9, "packaged")
    assert packaged["licence"] == "Apache-2.0"
    assert "gemma-3-270m" in motifs("models", "list").out


def test_info_tells_models_prompts_and_what_is_missing(
    motifs, atlas: Atlas, tmp_path: Path
) -> None:
    out = motifs("info", "--atlas", atlas.path).out
    assert "synthetic-0" in out
    assert "4 of synthetic" in out
    assert "Distances: mean" in out
    assert "imputed: 0" in out
    assert "Not finished" not in out
    built = make_synthetic_atlas(tmp_path / "atlas", n_prompts=4, n_tokens=8)
    built.file("distances", metric="mean").path.unlink()
    assert "Not finished" in motifs("info", "--atlas", built.path).out


def test_check_lists_findings_and_leaves_with_4(motifs, tmp_path: Path) -> None:
    built = make_synthetic_atlas(tmp_path / "atlas", n_prompts=4, n_tokens=8)
    for path in (
        built.file("tokens", model="synthetic-0").path,
        built.file("distances", metric="mean").path,
    ):
        path.write_bytes(b"")
    finished = motifs("check", built.path)
    assert finished.code == 4
    findings = [line for line in finished.err.splitlines() if line.startswith(str(built.path))]
    assert len(findings) == 2
    assert f"error: {built.path}: 2 finding(s), listed above" in finished.err


def test_show_draws_the_pattern_of_the_prompt_asked_for(motifs, atlas: Atlas) -> None:
    second = atlas.view_prompts()[1]
    finished = motifs(
        "show", HEAD, "--atlas", atlas.path, "--prompt", second, "--size", "4", "-n", "2"
    )
    assert finished.code == 0
    lines = finished.out.splitlines()
    assert lines[0] == f"{HEAD} on prompt {second} (8 tokens), row = query"
    assert all(set(line) <= set(" .:-=+*#%@") and len(line) <= 8 for line in lines[1:5])
    assert lines[5].startswith("depth 0.50")
    assert "Most unusual features" in finished.out
    assert "Nearest by mean" in finished.out


def test_a_table_for_a_file_does_not_fold_names(motifs, atlas: Atlas) -> None:
    out = motifs("near", HEAD, "--atlas", atlas.path, "-n", "99").out
    for head in atlas.heads["head"].to_list():
        assert (head in out) or head == HEAD
