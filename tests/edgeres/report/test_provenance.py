from __future__ import annotations

import shlex
from dataclasses import replace

from edgeres.report.provenance import commands, environment, hashes, machines, methods
from edgeres.report.story import ResultSource, Story
from tests.edgeres.report.material import FLOAT_MODEL, Material
from tests.targets.bundles import compiled_from


def test_the_environment_is_flat_and_what_matters_comes_first(story: Story) -> None:
    flat = environment(story.results[0].result.environment)
    assert list(flat)[:3] == ["cpu", "cores", "instructions"]
    assert flat["instructions"] == "avx2, avx512f, avx512_vnni"
    assert flat["versions.ai-edge-litert"] == "2.3.0"


def test_equal_machines_are_told_once_and_different_ones_apart(story: Story) -> None:
    assert len(machines(story)) == 1
    first, second = story.results
    moved = ResultSource(second.path, replace(second.result, environment={"cpu": "another"}))
    assert [values["cpu"] for _, values in machines(replace(story, results=(first, moved)))] == [
        "Xeon (test)",
        "another",
    ]


def test_every_kind_of_figure_names_its_method(story: Story) -> None:
    found = {name: (method, level, count) for name, method, level, count in methods(story)}
    images = f"{story.comparisons[0].data.images}"  # type: ignore[union-attr]  # the fixture has data
    assert found["Drop of top-1"] == ("paired bootstrap", "95 %", images)
    assert set(found) == {
        "Top-1",
        "Drop of top-1",
        "Agreement",
        "p50",
        "p90",
        "Speed-up",
        "Test accuracy after training",
    }


def test_hashes_of_what_was_measured_and_of_what_it_was_made_from(story: Story) -> None:
    found = dict(hashes(story))
    assert any("flatbuffer of float" in name for name in found)
    assert found["int8: model.tflite"] == story.bundles[2].sha256
    assert found["int8, made from: calibration"] == "b" * 64


def test_the_commands_survive_a_shell(story: Story, material: Material) -> None:
    words = [shlex.split(command) for command in commands(story)]
    assert all(each[0] == "edgeres" for each in words)
    assert [each[1] for each in words] == ["train", *["convert"] * 4, "evaluate", "profile", *["verify"] * 4, "report"]
    train, evaluate = words[0], words[5]
    assert train[train.index("--out") + 1] == str(material.run)
    assert train[train.index("--preprocess") + 1] == "unit"
    assert str(material.bundles[2]) in evaluate
    assert evaluate[evaluate.index("--margin") + 1] == "1"


def test_what_a_bundle_was_compiled_for_is_in_its_command_and_hashes(story: Story) -> None:
    source = story.bundles[2]
    record, _ = compiled_from(source.bundle.read("model.tflite"))
    files = {**source.bundle.manifest.files, record.file: "c" * 64}
    manifest = replace(source.bundle.manifest, files=files, compiled=(record,))
    compiled = replace(source, bundle=replace(source.bundle, manifest=manifest))
    changed = replace(story, bundles=(compiled,))
    (command,) = [words for words in map(shlex.split, commands(changed)) if words[1] == "convert"]
    assert command[command.index("--compile") + 1] == "ethosu:u55-256"
    assert dict(hashes(changed))["int8: compiled/ethosu-u55-256.tflite"] == "c" * 64


def test_the_model_of_a_conversion_is_that_of_a_run_with_its_hash(story: Story) -> None:
    assert shlex.split(commands(story)[1])[2] == "model.keras"
    run = story.runs[0]
    (run.path / "model.keras").write_bytes(FLOAT_MODEL)
    assert shlex.split(commands(story)[1])[2] == "model.keras", "another hash than the manifest's"
