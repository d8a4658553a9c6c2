"""Configuration files: every key checked, every mistake one line, flags before the file."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import typer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attention_motifs.atlas import Atlas
from attention_motifs.cli import main
from attention_motifs.cli.app import app
from attention_motifs.cli.build import _APART, _KEYS
from attention_motifs.cli.configuration_file import KEYS, build_plan, read_configuration, shipped
from attention_motifs.errors import InputError
from attention_motifs.figures.paper import FigureSettings
from attention_motifs.store.manifest import Configuration
from conftest import Tiny

DOCS = Path(__file__).parents[2] / "docs" / "configurations.md"
MODELS = 'models = ["gpt2-small"]\n'


def write(folder: Path, text: str) -> str:
    path = folder / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def refusal(path: str) -> str:
    with pytest.raises(InputError) as caught:
        read_configuration(path)
    said = str(caught.value)
    assert len(said.splitlines()) == 1
    assert len(said) < 700
    return said


def test_the_paper_and_its_stand_in_come_with_the_package() -> None:
    assert shipped() == ["packaged", "paper"]
    paper, packaged = (build_plan(read_configuration(name)) for name in ("paper", "packaged"))
    for plan in (paper, packaged):
        assert plan.configuration.n_prompts == 128
        assert plan.configuration.n_components == 16
        assert plan.configuration.feature_sets[0] == "paper"
        assert plan.metrics == ("mean",)
        assert plan.figures.isomap_neighbors == 16
        assert 16 in plan.figures.neighbors
    differing = {
        key
        for key, value in asdict(paper.configuration).items()
        if value != asdict(packaged.configuration)[key]
    }
    assert differing == {"models", "prompts", "bos"}


def test_what_is_left_out_is_as_without_a_file(tmp_path: Path) -> None:
    plan = build_plan(read_configuration(write(tmp_path, MODELS)))
    assert plan.configuration == Configuration(models=("gpt2-small",))
    assert plan.figures == FigureSettings()
    assert (plan.metrics, plan.device, plan.behaviour, plan.site) == (None, "auto", False, True)


def test_every_key_reaches_the_plan(tmp_path: Path) -> None:
    values: dict[str, str] = {
        "models": '["gpt2-small", "pythia-1b"]', "prompts": '"pile-10k"', "n_prompts": "3",
        "seed": "4", "max_tokens": "5", "bos": '"never"', "dtype": '"float16"',
        "device": '"cuda:1"', "features": '["extended"]', "n_components": "6",
        "length_bins": "true", "metrics": '["cosine"]', "n_view_prompts": "7",
        "behaviour": "true", "site": "false", "figures.formats": '["pdf"]',
        "figures.heads": '["gpt2-small:L0:H1"]', "figures.look_alikes": "2",
        "figures.isomap_neighbors": "9", "figures.neighbors": "[3, 9]",
    }  # fmt: skip
    assert set(values) == {key.name for key in KEYS}
    text = "\n".join(f"{key} = {value}" for key, value in values.items())
    plan = build_plan(read_configuration(write(tmp_path, text)))
    default = build_plan({"models": ["x"]})
    for mine, other in (
        (plan.configuration, default.configuration),
        (plan.figures, default.figures),
    ):
        for name, value in asdict(mine).items():
            assert value != asdict(other)[name], name
    assert (plan.metrics, plan.device, plan.behaviour, plan.site) == (
        ("cosine",), "cuda:1", True, False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", r"has no models; write models = "),
        ("n_prompts = 3", r"has no models"),
        (MODELS + "n_promts = 3", r"key 'n_promts' is not known; did you mean n_prompts\?"),
        (MODELS + "zzzz = 3", r"key 'zzzz' is not known; it can have models, prompts"),
        (MODELS + "[figures]\nformat = ['svg']", r"did you mean figures.formats\?"),
        (MODELS + "[figure]\nformats = ['svg']", r"key 'figure' is not known"),
        (MODELS + "figures = 3", r"key 'figures' is not known"),
        (MODELS + "n_prompts = 0", r"n_prompts = 0: a whole number of at least 1"),
        (MODELS + "n_prompts = true", r"n_prompts = True: a whole number"),
        (MODELS + "n_prompts = '128'", r"n_prompts = '128': a whole number"),
        (MODELS + "seed = -1", r"seed = -1: a whole number of at least 0"),
        (MODELS + "max_tokens = 1", r"max_tokens = 1: a whole number of at least 2"),
        (MODELS + "bos = 'sometimes'", r"bos = 'sometimes': one of auto, always, never"),
        (MODELS + "dtype = 'int8'", r"dtype = 'int8': one of float32, bfloat16, float16"),
        (MODELS + "length_bins = 1", r"length_bins = 1: true or false"),
        (MODELS + "features = ['papers']", r"features = \['papers'\]: 'papers': .*paper"),
        (MODELS + "features = []", r"a list is needed, which is not empty"),
        (MODELS + "metrics = ['meen']", r"metrics = \['meen'\]: .*mean"),
        (MODELS + "metrics = ['mean', 'mean']", r"an entry is there twice"),
        (MODELS + "prompts = ' '", r"prompts = ' ': a text is needed"),
        (MODELS + "[figures]\nformats = ['gif']", r"figures.formats = \['gif'\]: 'gif': one of"),
        (MODELS + "[figures]\nheads = ['L1']", r"figures.heads = \['L1'\]: .*is not a head"),
        (MODELS + "[figures]\nneighbors = [0]", r"figures.neighbors = \[0\]: 0: a whole number"),
        ("models = ['gpt2smal']", r"models = \['gpt2smal'\]: .*did you mean gpt2-small"),
        ("models = 'gpt2-small'", r"models = 'gpt2-small': a list is needed"),
        ("models = [['gpt2-small']]", r"a text is needed"),
        ("models = [", r"not TOML"),
        ("models = ['a']\nmodels = ['b']", r"not TOML .*overwrite"),
    ],
)
def test_a_mistake_names_file_key_value_and_mend(text: str, said: str, tmp_path: Path) -> None:
    path = write(tmp_path, text)
    message = refusal(path)
    assert message.startswith(path)
    assert re.search(said, message), message


@pytest.mark.parametrize("wanted", ["papr", "no-such.toml", "", ".", "a\0b"])
def test_a_configuration_that_is_not_there_offers_those_that_are(wanted: str) -> None:
    with pytest.raises(InputError, match=r"cannot be read .*packaged, paper") as caught:
        read_configuration(wanted)
    assert len(str(caught.value).splitlines()) == 1


def test_a_file_that_is_not_text_is_told(tmp_path: Path) -> None:
    path = tmp_path / "latin.toml"
    path.write_bytes(b"models = ['caf\xe9']")
    assert "not UTF-8 (byte 14)" in refusal(str(path))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
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


@given(
    st.dictionaries(st.sampled_from([key.name for key in KEYS]), scalars() | st.lists(scalars()))
)
def test_any_value_is_judged_in_one_line(values: dict[str, Any]) -> None:
    keys = {key.name: key for key in KEYS}
    for name, value in values.items():
        said = keys[name].check(value)
        assert said is None or said.strip()


def test_flags_go_before_the_file_and_the_file_before_defaults(
    tiny: Tiny, own_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (
        f'models = ["{tiny.model("a")}"]\nprompts = "{tiny.prompts}"\nn_prompts = 5\n'
        'max_tokens = 20\nfeatures = ["paper"]\nmetrics = ["cosine"]\nsite = false\n'
        "behaviour = true\n"
    )
    words = ["build", "--config", write(tmp_path, text), "--atlas", str(tmp_path / "atlas")]
    monkeypatch.setattr("sys.argv", ["motifs", *words, "--n-prompts", "4", "--metric", "mean"])
    with pytest.raises(SystemExit) as left:
        main()
    assert not left.value.code
    atlas = Atlas.open(tmp_path / "atlas")
    configuration = atlas.manifest.configuration
    assert (configuration.n_prompts, configuration.max_tokens) == (4, 20)
    assert configuration.feature_sets == ("paper",)
    assert atlas.metrics() == ["mean"]
    assert "induction" in atlas.heads.columns
    assert not (atlas.path / "site").exists()


@pytest.mark.parametrize("name", ["build", "extract"])
def test_flags_and_keys_have_the_same_names_and_defaults(name: str) -> None:
    keys = {key.name: key for key in KEYS}
    command = typer.main.get_command(app).commands[name]  # type: ignore[attr-defined]
    for flag in command.params:
        if flag.name in _APART | {"help"}:
            continue
        key = keys[_KEYS.get(flag.name, flag.name)]
        assert flag.default in (None, key.default), flag.name


@pytest.mark.skipif(not DOCS.exists(), reason="the documentation is not in this copy")
def test_every_key_is_documented_as_it_is() -> None:
    page = DOCS.read_text("utf-8")
    rows = dict(re.findall(r"^\| `([a-z_.]+)` \| (.*?) \|", page, re.MULTILINE))
    assert rows == {key.name: key.kind for key in KEYS}
    for key in KEYS:
        assert key.meaning in page
