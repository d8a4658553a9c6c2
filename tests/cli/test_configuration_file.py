"""Configuration files: every key checked, every mistake one line, flags before the file."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attention_motifs.atlas import Atlas
from attention_motifs.cli import main
from attention_motifs.cli.app import app
from attention_motifs.cli.configuration_file import build_plan, read_configuration, shipped
from attention_motifs.errors import InputError
from attention_motifs.models.sources import resolve
from attention_motifs.stages import run
from attention_motifs.store.settings import (
    LENGTH_BINS,
    SETTINGS,
    BuildSettings,
    Configuration,
    FigureSettings,
    Setting,
)
from conftest import Tiny

MODELS = 'models = ["gpt2-small"]\n'
SCORE_MODELS = run.score_models  # before the fixture of all tests replaces it


def write(folder: Path, text: str) -> str:
    path = folder / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def refusal(path: str) -> str:
    with pytest.raises(InputError) as caught:
        read_configuration(path)
    statements = str(caught.value)
    assert len(statements.splitlines()) == 1
    assert len(statements) < 700
    return statements


def test_the_paper_and_its_stand_in_come_with_the_package() -> None:
    assert shipped() == ["packaged", "paper", "paper2"]
    paper, packaged = (build_plan(read_configuration(name)) for name in ("paper", "packaged"))
    for plan in (paper, packaged):
        assert plan.configuration.n_prompts == 128
        assert plan.configuration.n_components == 16
        assert plan.configuration.feature_sets[0] == "paper"
        assert plan.run.metrics == ("mean",)
        assert plan.figures.isomap_neighbors == 16
        assert 16 in plan.figures.neighbors
    differing = {
        key
        for key, value in asdict(paper.configuration).items()
        if value != asdict(packaged.configuration)[key]
    }
    assert differing == {"models", "prompts", "bos"}


def test_the_authors_later_settings_come_with_the_package() -> None:
    configuration = build_plan(read_configuration("paper2")).configuration
    assert len(configuration.models) == 28
    assert {resolve(model).kind for model in configuration.models} == {"hub", "packaged"}
    assert configuration.feature_sets[0] == "paper2"
    assert (configuration.min_chars, configuration.max_chars) == (64, 512)
    assert (configuration.n_prompts, configuration.n_components) == (1024, 6)


def test_what_is_left_out_is_as_without_a_file(tmp_path: Path) -> None:
    plan = build_plan(read_configuration(write(tmp_path, MODELS)))
    assert plan.configuration == Configuration(models=("gpt2-small",))
    assert plan.figures == FigureSettings()
    assert plan.run == BuildSettings(device="auto", metrics=None, score=True, site=True)


def test_every_key_reaches_the_plan(tmp_path: Path) -> None:
    values: dict[str, str] = {
        "models": '["gpt2-small", "pythia-1b"]', "prompts": '"pile-10k"', "n_prompts": "3",
        "seed": "4", "min_chars": "9", "max_chars": "90", "max_tokens": "5",
        "bos": '"never"', "dtype": '"float16"',
        "device": '"cuda:1"', "features": '["extended"]', "n_components": "6",
        "n_probes": "5", "probe_tokens": "40", "probe_seed": "8", "probe_file": '"probes.jsonl"',
        "length_bins": "true", "metrics": '["cosine"]', "n_view_prompts": "7",
        "score": "false", "site": "false", "softmax_only": "true", "figures.formats": '["pdf"]',
        "figures.heads": '["gpt2-small:L0:H1"]', "figures.look_alikes": "2",
        "figures.isomap_neighbors": "9", "figures.neighbors": "[3, 9]",
    }  # fmt: skip
    assert set(values) == {s.key for s in SETTINGS}
    text = "\n".join(f"{key} = {value}" for key, value in values.items())
    plan = build_plan(read_configuration(write(tmp_path, text)))
    default = build_plan({"models": ["x"]})
    for mine, other in (
        (plan.configuration, default.configuration),
        (plan.run, default.run),
        (plan.figures, default.figures),
    ):
        for name, value in asdict(mine).items():
            if name not in ("presets", "preset_version"):  # with tests of their own
                assert value != asdict(other)[name], name


@pytest.mark.parametrize(
    ("text", "statements"),
    [
        ("", r"has no models; write models = "),
        ("n_prompts = 3", r"has no models"),
        (MODELS + "n_promts = 3", r"key 'n_promts' is not known; did you mean n_prompts"),
        (MODELS + "zzzz = 3", r"key 'zzzz' is not known; choose one of models, prompts"),
        (MODELS + "[figures]\nformat = ['svg']", r"did you mean figures.formats"),
        (MODELS + "[figure]\nformats = ['svg']", r"key 'figure' is not known"),
        (MODELS + "figures = 3", r"key 'figures' is not known"),
        (MODELS + "n_prompts = 0", r"n_prompts = 0: expected a whole number of at least 1"),
        (MODELS + "n_prompts = true", r"n_prompts = True: expected a whole number"),
        (MODELS + "n_prompts = '128'", r"n_prompts = '128': expected a whole number"),
        (MODELS + "seed = -1", r"seed = -1: expected a whole number of at least 0"),
        (MODELS + "max_tokens = 1", r"max_tokens = 1: expected a whole number of at least 2"),
        (MODELS + "bos = 'sometimes'", r"bos = 'sometimes': expected one of auto, always, never"),
        (MODELS + "dtype = 'int8'", r"dtype = 'int8': expected one of float32, bfloat16, float16"),
        (MODELS + "length_bins = 1", r"length_bins = 1: expected true, false or a list"),
        (MODELS + "features = ['papers']", r"features = \['papers'\]: .*paper"),
        (MODELS + "features = []", r"features = \[\]: expected a list of feature sets, not empty"),
        (MODELS + "metrics = ['meen']", r"metrics = \['meen'\]: .*mean"),
        (MODELS + "metrics = ['mean', 'mean']", r"an entry is repeated"),
        (MODELS + "prompts = ' '", r"prompts = ' ': expected a text"),
        (
            MODELS + "[figures]\nformats = ['gif']",
            r"figures.formats = \['gif'\]: expected a list of svg",
        ),
        (MODELS + "[figures]\nheads = ['L1']", r"figures.heads = \['L1'\]: .*is not a head"),
        (
            MODELS + "[figures]\nneighbors = [0]",
            r"figures.neighbors = \[0\]: expected a list of whole numbers",
        ),
        ("models = ['gpt2smal']", r"models = \['gpt2smal'\]: .*did you mean gpt2-small"),
        ("models = [['gpt2-small']]", r"expected a list of models"),
        ("models = [", r"not TOML"),
        ("n_prompts = " + "9" * 5000, r"not TOML .*digits"),
        ("models = ['a']\nmodels = ['b']", r"not TOML .*overwrite"),
    ],
)
def test_a_mistake_names_file_key_value_and_fix(text: str, statements: str, tmp_path: Path) -> None:
    path = write(tmp_path, text)
    message = refusal(path)
    assert message.startswith(path)
    assert re.search(statements, message), message


def test_a_json_file_that_is_no_atlas_is_refused_with_the_name_of_one(tmp_path: Path) -> None:
    path = tmp_path / "names.json"
    path.write_text('["a"')
    assert "atlas.json" in refusal(str(path))


@pytest.mark.parametrize("reference", ["papr", "no-such.toml", "", ".", "a\0b"])
def test_a_configuration_that_is_not_there_offers_those_that_are(reference: str) -> None:
    with pytest.raises(InputError, match=r"cannot be read .*packaged, paper") as caught:
        read_configuration(reference)
    assert len(str(caught.value).splitlines()) == 1


def test_a_file_that_is_not_text_is_told(tmp_path: Path) -> None:
    path = tmp_path / "latin.toml"
    path.write_bytes(b"models = ['caf\xe9']")
    assert "not UTF-8 (byte 14)" in refusal(str(path))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_any_bytes_are_a_configuration_or_an_input_error(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "any.toml"
    path.write_bytes(data)
    message = "read"
    try:
        read_configuration(str(path))
    except InputError as error:
        message = str(error)
    assert len(message.splitlines()) == 1


def scalars() -> st.SearchStrategy[Any]:
    return st.booleans() | st.integers(-3, 300) | st.text(max_size=5)


def test_flags_go_before_the_file_and_the_file_before_defaults(
    tiny: Tiny, own_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (
        f'models = ["{tiny.model("a")}"]\nprompts = "{tiny.prompts}"\nn_prompts = 5\n'
        'max_tokens = 20\nfeatures = ["paper"]\nmetrics = ["cosine"]\nsite = false\n'
        "score = true\n"
    )
    words = ["build", "--config", write(tmp_path, text), "--atlas", str(tmp_path / "atlas")]
    monkeypatch.setattr(run, "score_models", SCORE_MODELS)
    monkeypatch.setattr("sys.argv", ["motifs", *words, "--n-prompts", "4", "--metric", "mean"])
    with pytest.raises(SystemExit) as exited:
        main()
    assert not exited.value.code
    atlas = Atlas.open(tmp_path / "atlas")
    configuration = atlas.manifest.configuration
    assert (configuration.n_prompts, configuration.max_tokens) == (4, 20)
    assert configuration.feature_sets == ("paper",)
    assert atlas.metrics() == ["mean"]
    assert "induction" in atlas.heads.columns
    assert not (atlas.path / "site").exists()


@pytest.mark.parametrize(("name", "n"), [("build", 15), ("extract", 11)])
def test_every_setting_of_a_run_is_an_option_with_its_default(name: str, n: int) -> None:
    command = typer.main.get_command(app).commands[name]  # type: ignore[attr-defined]
    options = {option.name: option for option in command.params}
    for setting in SETTINGS[:n]:
        option = options[setting.key]
        assert setting.option in option.opts
        expected = None if setting.is_required else setting.default
        if setting.is_flag:
            expected = bool(expected)
        assert option.default == (list(expected) if isinstance(expected, tuple) else expected)


@pytest.mark.parametrize(
    ("values", "field", "value"),
    [
        ({"models": "x"}, "models", ("x",)),
        ({"models": ["x", Path("a/b")]}, "models", ("x", "a/b")),
        ({"models": "x", "max_tokens": np.int64(64)}, "max_tokens", 64),
        ({"models": "x", "length_bins": True}, "length_bins", LENGTH_BINS),
        ({"models": "x", "length_bins": [8, 16]}, "length_bins", (8, 16)),
        ({"models": "x", "feature_sets": "paper"}, "feature_sets", ("paper",)),
    ],
)
def test_values_are_converted(values: dict[str, Any], field: str, value: object) -> None:
    assert getattr(Configuration(**values), field) == value


@pytest.mark.parametrize(
    "values",
    [{"models": 3}, {"models": None}, {"models": ()}, {"models": [["x"]]}, {"models": ["x", "x"]}],
)
def test_models_of_another_kind_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="models = "):
        Configuration(**values)


@given(st.sampled_from(SETTINGS[1:11]), scalars() | st.none() | st.lists(scalars()))
def test_any_value_is_a_setting_or_an_input_error(setting: Setting, value: Any) -> None:
    arguments: dict[str, Any] = {"models": "x", setting.field: value}
    try:
        configuration = Configuration(**arguments)
    except InputError as error:
        message = str(error)
        assert len(message.splitlines()) == 1
        return
    stored = json.loads(json.dumps(asdict(configuration)))
    assert Configuration.from_json(stored) == configuration
