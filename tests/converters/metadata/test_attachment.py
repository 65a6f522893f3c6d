"""What is added to a `.tflite` leaves it what it was, and is found by readers of the format."""

from __future__ import annotations

import io
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from converters.metadata.attachment import METADATA, WHOLE, attached, detached
from targets.flatbuffer import walk
from targets.runtimes.cpu import CPU, REFERENCE
from tests.targets.conftest import Models, model_folder, models  # noqa: F401 - fixtures

NAMES = ("float32", "float16", "int8", "dynamic_int8", "gray", "fifty_int8")
FILES = {"labels.txt": b"one\ntwo\n", "more.txt": b""}


@pytest.fixture(params=NAMES)
def model(request: pytest.FixtureRequest, models: Models) -> bytes:  # noqa: F811
    return models(request.param)


def test_the_file_as_it_was_lies_in_it_and_comes_back(model: bytes) -> None:
    made = attached(model, b"description", FILES)
    assert model in made
    assert detached(made) == model
    assert detached(model) == model
    assert made == attached(model, b"description", FILES)


def test_the_structure_is_the_same(model: bytes) -> None:
    before, after = walk(model), walk(attached(model, b"description", FILES))
    assert replace(after, size_bytes=before.size_bytes) == before


def test_constants_stay_aligned(model: bytes) -> None:
    made = attached(model, b"description", FILES)
    assert (made.index(model) % 16) == 0


def test_it_computes_the_same(models: Models) -> None:  # noqa: F811
    values = np.random.default_rng(0).uniform(0, 255, (2, 16, 16, 3)).astype(np.float32)
    for name, target in (("float32", CPU), ("int8", REFERENCE)):
        found = []
        for content in (models(name), attached(models(name), b"description", FILES)):
            with target.open(content) as session:
                found.append(session.infer(values))
        np.testing.assert_array_equal(*found)


def test_the_schemas_own_reader_finds_description_and_signatures(model: bytes) -> None:
    before = schema.ModelT.InitFromObj(schema.Model.GetRootAs(model, 0))
    after = schema.ModelT.InitFromObj(schema.Model.GetRootAs(attached(model, b"description", FILES), 0))
    entries = {entry.name.decode(): bytes(after.buffers[entry.buffer].data) for entry in after.metadata}
    assert entries[METADATA] == b"description"
    assert {*entries} == {WHOLE, METADATA, *(entry.name.decode() for entry in before.metadata or [])}
    assert len(after.buffers) == len(before.buffers) + 2
    assert [s.signatureKey for s in after.signatureDefs] == [s.signatureKey for s in before.signatureDefs]


def test_the_files_lie_in_a_zip_uncompressed(model: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(attached(model, b"description", FILES))) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == FILES
        assert all(entry.compress_type == zipfile.ZIP_STORED for entry in archive.infolist())


def test_weights_behind_the_flatbuffer_cannot_move(models: Models) -> None:  # noqa: F811
    with pytest.raises(ValueError, match="weights behind the flatbuffer"):
        attached(models("buffer_offset"), b"description", FILES)
