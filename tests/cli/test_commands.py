"""The commands as a user meets them: answers, mistakes, exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import click
import pytest
import typer

from attention_motifs import Atlas
from attention_motifs.cli import main
from attention_motifs.cli.app import app
from attention_motifs.cli.application import GROUPS, MODULES
from synthetic_atlas import make_synthetic_atlas


@pytest.fixture(scope="module")
def atlas(tmp_path_factory: pytest.TempPathFactory) -> Atlas:
    return make_synthetic_atlas(tmp_path_factory.mktemp("cli") / "atlas", n_prompts=6)


def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str
) -> tuple[int, str, str]:
    """Run `motifs` in this process; return exit code, output and errors."""
    monkeypatch.setattr("sys.argv", ["motifs", *words])
    with pytest.raises(SystemExit) as exited:
        main()
    captured = capsys.readouterr()
    return int(exited.value.code or 0), captured.out, captured.err


def every_command() -> list[tuple[str, click.Command]]:
    group = typer.main.get_command(app)
    assert isinstance(group, click.Group) or hasattr(group, "commands")
    result: list[tuple[str, click.Command]] = []
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            result += [(f"{name} {sub}", one) for sub, one in command.commands.items()]
        else:
            result.append((name, command))
    return result


EXPECTED = {
    "ablate", "compare", "paper",
    "demo", "build", "extract", "probe", "embed", "distances", "project", "cluster", "score",
    "evaluate", "figures", "near", "show", "complementary", "classes", "features", "models list",
    "models pull", "add", "import-pattern-lens", "info", "check", "prompts", "serve", "site",
    "export", "publish", "fetch", "copy",
}  # fmt: skip


def test_all_commands_are_there_with_examples() -> None:
    commands = dict(every_command())
    assert set(commands) >= EXPECTED
    for name, command in commands.items():
        assert "Examples:" in (command.help or ""), name
        assert f"motifs {name}" in (command.help or ""), name


def test_every_command_is_registered_by_the_module_named_for_it() -> None:
    commands = [*app.registered_commands, *app.registered_groups]
    registered: dict[str, set[str]] = {}
    for command in commands:
        callback = getattr(command, "callback", None)
        if callable(callback):
            module, name = callback.__module__, command.name or callback.__name__
        else:
            module, name = "models", command.name or ""
        registered.setdefault(module.rpartition(".")[2], set()).add(name.replace("_", "-"))
    assert registered == {module: set(names) for module, names in MODULES.items()}


def test_a_command_runs_without_the_modules_of_the_others() -> None:
    code = (
        "import sys; sys.argv = ['motifs', 'near', 'no-head']\n"
        "from attention_motifs.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "names = [n.rpartition('.')[2] for n in sys.modules if 'attention_motifs.cli.' in n]\n"
        "print(sorted(set(names) & set('ablate build explorer query share'.split())))\n"
        "print('scipy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-2:] == ["['query']", "False"]


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_help_works(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run(monkeypatch, capsys, *name.split(), "--help")
    assert code == 0
    assert "Usage" in out


def test_near_as_json_has_the_keys_of_the_contract(
    atlas: Atlas, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    head = atlas.heads["head"][0]
    code, out, _ = run(
        monkeypatch, capsys, "near", head, "--atlas", str(atlas.path), "-n", "3", "--json"
    )
    result = json.loads(out)
    assert code == 0
    assert [set(item) for item in result] == [
        {
            *("head", "distance", "rank", "model", "layer", "index", "classes", "percentile", "p"),
            "measured",
        }
    ] * 3
    row = atlas.distances("mean")[0]
    names = atlas.heads["head"].to_list()
    assert [row[names.index(item["head"])] for item in result] == sorted(row)[1:4]
    assert [item["rank"] for item in result] == [1, 2, 3]


@pytest.mark.parametrize(
    ("layers", "expected"),
    [("1", {1}), ("0,2", {0, 2}), ("0-1", {0, 1}), ("1-", {1, 2}), ("7-", set())],
)
def test_near_reads_ranges_of_layers(
    atlas: Atlas,
    layers: str,
    expected: set[int],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["near", atlas.heads["head"][0], "--atlas", str(atlas.path), "-n", "99"]
    code, out, _ = run(monkeypatch, capsys, *words, "--layers", layers, "--json")
    assert (code, {item["layer"] for item in json.loads(out)}) == (0, expected)
    code, out, _ = run(monkeypatch, capsys, *words, "--layers", layers)
    assert code == 0
    assert ("No head to list: " in out) == (not expected)


def test_prompts_are_listed_and_named_by_number_or_prefix(
    atlas: Atlas, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place = ["--atlas", str(atlas.path)]
    _, out, _ = run(monkeypatch, capsys, "prompts", *place, "--json")
    rows = json.loads(out)
    assert [row["id"] for row in rows] == atlas.prompts["prompt_id"].to_list()
    assert [row["text"] for row in rows] == atlas.prompts["text"].to_list()
    assert [row["number"] for row in rows if row["patterns"]] == [1, 2, 3, 4, 5, 6]
    assert rows[0]["tokens"] == dict.fromkeys(atlas.models, 12)
    _, out, _ = run(monkeypatch, capsys, "prompts", *place)
    assert rows[5]["id"] in out
    head = atlas.heads["head"][0]
    for name in ("3", rows[2]["id"], rows[2]["id"][:8]):
        code, out, _ = run(monkeypatch, capsys, "show", head, *place, "--prompt", name)
        assert (code, f"on prompt {rows[2]['id']}" in out) == (0, True)
    for name in ("0", "7", "", "zz", "-1"):
        code, _, err = run(monkeypatch, capsys, "show", head, *place, "--prompt", name)
        assert (code, "motifs prompts" in err) == (2, True)


def test_an_atlas_is_not_written_among_other_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    for words in (
        ["build", "--model", "gpt2-small"],
        ["extract", "--model", "gpt2-small"],
        ["demo"],
        ["import-pattern-lens", str(tmp_path)],
        ["paper", "--config", "packaged"],
    ):
        code, _, err = run(monkeypatch, capsys, *words, "--atlas", str(tmp_path))
        assert (code, "holds other files (thesis.tex)" in err) == (2, True)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_check_takes_the_atlas_as_argument_or_option(
    atlas: Atlas, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, capsys, "check", "--atlas", str(atlas.path))[0] == 0
    code, _, err = run(monkeypatch, capsys, "check", "--cache", str(atlas.path))
    assert code == 2
    assert "--cache" in err
    code, _, err = run(monkeypatch, capsys, "check", "a", "--atlas", str(atlas.path))
    assert (code, "name one" in err) == (2, True)


def test_every_command_is_in_a_group_of_the_help() -> None:
    listed = [name for names in GROUPS.values() for name in names]
    assert len(set(listed)) == len(listed)
    assert {name.partition(" ")[0] for name, _ in every_command()} <= set(listed)


def test_scope_layers_and_farthest(atlas: Atlas) -> None:
    head = atlas.heads.row(0, named=True)
    across = atlas.near(head["head"], n=99, scope="across")
    assert set(across["model"]) == set(atlas.models) - {head["model"]}
    assert set(atlas.near(head["head"], n=99, layers=[1])["layer"]) == {1}
    far = atlas.near(head["head"], n=1, farthest=True).row(0, named=True)
    assert far["distance"] == pytest.approx(float(atlas.distances("mean")[0].max()))
    assert far["rank"] == len(atlas.heads) - 1


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["near", "nothing"], 2, "is not a head"),
        (["near", "other:L0:H0"], 2, "no model 'other'"),
        (["near", "{model}:L99:H0"], 2, "did you mean"),
        (["near", "{head}", "-n", "0"], 2, "'-n'"),
        (["near", "{head}", "--layers", "9-4"], 2, "write 4-9"),
        (["near", "{head}", "--seed", "1"], 2, "--seed"),
        (["show", "{head}", "--size", "-4"], 2, "--size"),
        (["score", "-n", "0"], 2, "'-n'"),
        (["cluster", "--rounds", "-1"], 2, "--rounds"),
        (["cluster", "--method", "hdbscan", "--number", "3"], 2, "--number 3 has no effect"),
        (["cluster", "--neighbors", "3"], 2, "--neighbors 3 has no effect"),
        (["project", "--seed", "-1"], 2, "--seed"),
        (["near", "{head}", "--metric", "meen"], 2, "mean"),
        (["near", "{head}", "--layers", "x"], 2, "--layers"),
        (["show", "{head}", "--prompt", "0" * 16], 2, "no prompt has"),
        (["features", "papers"], 2, "paper"),
        (["classes", "inductoin"], 2, "inductoin"),
        (["project", "--method", "isomapp"], 2, "isomap"),
        (["cluster", "--method", "kmeans"], 2, "average"),
        (["cluster", "--name", "x"], 2, "NUMBER=NAME"),
        (["cluster", "--name", "0=x", "--names", "f"], 2, "--names has no effect"),
        (["cluster", "--out", "types.json"], 2, "Add --export pattern-types"),
        (["cluster", "--names", "no-such.json"], 2, "no-such.json: cannot be read"),
        (["ablate", "{head}", "--replacement", "meen"], 2, "--replacement 'meen'"),
        (["ablate", "{head}", "--method", "meen"], 2, "--replacement 'meen'"),
        (["add", "no-such-model"], 2, "is not known"),
        (["serve", "--live", "--model", "other"], 2, "model 'other' is not in"),
    ],
)
def test_mistakes_are_one_line(
    atlas: Atlas,
    words: list[str],
    code: int,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    names = {"head": atlas.heads["head"][0], "model": atlas.models[0]}
    filled = [word.format(**names) for word in words]
    if words[0] not in {"features", "classes"}:
        filled += ["--atlas", str(atlas.path)]
    exit_code, _, err = run(monkeypatch, capsys, *filled)
    lines = [line for line in err.splitlines() if line.startswith("error:")]
    assert exit_code == code, err
    assert len(lines) == 1
    assert message in lines[0]
    assert "Traceback" not in err


def test_no_atlas_and_no_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = run(monkeypatch, capsys, "info", "--atlas", str(tmp_path / "none"))
    assert code == 4
    assert "holds no atlas" in err
    code, _, err = run(monkeypatch, capsys, "build", "--atlas", str(tmp_path / "new"))
    assert code == 2
    assert "--model" in err


def test_show_info_check_and_features_answer(
    atlas: Atlas, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    head = atlas.heads["head"][0]
    code, out, _ = run(monkeypatch, capsys, "show", head, "--atlas", str(atlas.path))
    assert code == 0
    assert "Most unusual features" in out
    code, out, _ = run(monkeypatch, capsys, "show", head, "--atlas", str(atlas.path), "--json")
    assert set(json.loads(out)) >= {"head", "unusual_features", "near"}
    code, out, _ = run(monkeypatch, capsys, "info", "--atlas", str(atlas.path), "--json")
    assert json.loads(out)["schema_version"] == 1
    code, out, _ = run(monkeypatch, capsys, "check", str(atlas.path))
    assert (code, "sound" in out) == (0, True)
    code, out, _ = run(monkeypatch, capsys, "features", "--json")
    assert len(json.loads(out)) == 94


def test_a_truncated_file_of_any_kind_is_named_with_its_mend(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = make_synthetic_atlas(tmp_path / "atlas", n_prompts=5)
    model, prompt = broken.models[0], broken.view_prompts()[0]
    paths = [
        broken.file("features", model=model, block=0).path,
        broken.file("embedded", model=model).path,
        broken.file("distances", metric="mean").path,
        broken.file("patterns", model=model, prompt=prompt).path,
        broken.file("tokens", model=model).path,
        broken.file("embedding").path,
        broken.file("heads").path,
    ]
    for path in paths:
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        code, _, err = run(monkeypatch, capsys, "check", str(broken.path))
        assert code == 4, path
        assert path.name in err
        assert "motifs" in err
        path.write_bytes(whole)
    assert run(monkeypatch, capsys, "check", str(broken.path))[0] == 0


def test_another_schema_version_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    other = make_synthetic_atlas(tmp_path / "atlas", n_prompts=4)
    path = other.path / "atlas.json"
    value = json.loads(path.read_text())
    path.write_text(json.dumps({**value, "schema_version": 99}))
    code, _, err = run(monkeypatch, capsys, "info", "--atlas", str(other.path))
    assert code == 4
    assert "schema version 99" in err


def check_pattern_types(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], lab: Atlas, file: Path
) -> None:
    """Names leave an atlas in a file of pattern types, and come back to one that lacks them."""
    command = ["cluster", "--atlas", str(lab.path), "--number", "3", "--rounds", "0"]
    sent = ["--export", "pattern-types", "--out", str(file)]
    assert run(monkeypatch, capsys, *command, *sent)[0] == 0
    types = json.loads(file.read_text())
    assert types["types"][0]["name"] == "the big one"
    assert set(types["assignments"]) == set(lab.heads["head"])
    lab.file("cluster_names").path.unlink()
    code, out, _ = run(monkeypatch, capsys, *command, "--names", str(file))
    assert code == 0
    assert "1 of the 1 names" in out
    assert "the big one" in out
    assert "Of their heads" not in out
    big = types["types"][0]["id"]
    moved = next(head for head, number in types["assignments"].items() if number == big)
    types["assignments"]["another:L0:H0"] = types["assignments"].pop(moved)
    file.write_text(json.dumps(types))
    _, out, _ = run(monkeypatch, capsys, *command, "--names", str(file))
    assert "Of their heads, 1 " in out
    code, _, err = run(
        monkeypatch, capsys, *command, "--names", str(lab.file("cluster_names").path)
    )
    assert code == 2
    assert "--export pattern-types" in err


def test_the_laboratory_runs_and_runs_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lab = make_synthetic_atlas(tmp_path / "atlas", n_prompts=8)
    where = ["--atlas", str(lab.path)]
    plan = ["--method", "pca", "--method", "isomap", "--neighbors", "4", "--dimension", "2"]
    assert run(monkeypatch, capsys, "project", *where, *plan)[0] == 0
    table = lab.projections
    assert set(table["scope"].unique()) == {"all", *lab.models}
    assert set(table["method"].unique()) == {"pca", "isomap"}
    assert table["trustworthiness"].is_between(0, 1).all()
    before = lab.file("projections").path.read_bytes()
    assert run(monkeypatch, capsys, "project", *where, *plan)[0] == 0
    assert lab.file("projections").path.read_bytes() == before

    code, out, _ = run(monkeypatch, capsys, "cluster", *where, "--number", "3", "--rounds", "3")
    assert code == 0
    assert "adjusted Rand index" in out
    assert "One Gaussian without clusters" in out
    stored = json.loads(lab.file("clusters", method="average").path.read_text())
    assert stored["validity"]["reference_draws"] in range(5)
    assert 0 < stored["validity"]["largest_share"] <= 1
    assert run(monkeypatch, capsys, "cluster", *where, "--name", "0=the big one")[0] == 0
    code, out, _ = run(monkeypatch, capsys, "cluster", *where, "--number", "3", "--rounds", "0")
    assert "the big one" in out
    exported = json.loads((lab.path / "clusters" / "average.json").read_text())
    assert exported["clusters"][0]["name"] == "the big one"
    assert "cluster (average)" in Atlas.open(lab.path).heads.columns
    check_pattern_types(monkeypatch, capsys, lab, tmp_path / "types.json")

    code, out, _ = run(
        monkeypatch, capsys, "evaluate", *where, "--metric", "mean", "--permutations", "20"
    )
    assert code == 0
    assert "top-1" in out
    assert "Missing: labels of" in out
    assert json.loads(lab.file("evaluation").path.read_text())["metrics"] == ["mean"]
    code, out, _ = run(
        monkeypatch, capsys, "complementary", *where, "-n", "2", "--permutations", "19", "--json"
    )
    assert code == 0
    keys = {"head", "other", "mean", "wasserstein", "p", "p floor", "q"}
    assert all(keys <= set(row) for row in json.loads(out))
