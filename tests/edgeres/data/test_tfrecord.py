from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgeres.data import Dataset, open_dataset
from edgeres.data.example import MalformedError, features
from edgeres.errors import DataError
from edgeres.preprocess import Preprocess
from tests.edgeres.data.shards import Value, example, field, framed, write
from tests.edgeres.pictures import encoded

NAMES = ("rose", "tulip")


def png(number: int) -> bytes:
    return encoded(Image.new("RGB", (4, 4), (number % 256, number // 256, 7)))


def flowers(count: int, *, first: int = 0, offset: int = 0) -> list[dict[str, Value]]:
    """Alternating classes; image `i` is filled with (i, 0, 7)."""
    return [
        {
            "image/class/label": i % 2 + offset,
            "image/encoded": png(i),
            "image/class/text": NAMES[i % 2].encode(),
            "image/height": 4,
            "image/weight": 0.5,
        }
        for i in range(first, first + count)
    ]


def reds(dataset: Dataset, name: str) -> set[int]:
    split = dataset.split(name)
    return {int(split.picture(position)[0, 0, 0]) for position in range(len(split))}


def test_file_names_say_the_split(tmp_path: Path) -> None:
    write(tmp_path / "train-00000-of-00002", flowers(20))
    write(tmp_path / "train-00001-of-00002", flowers(20, first=20))
    write(tmp_path / "validation-00000-of-00001", flowers(6, first=40))
    write(tmp_path / "test-00000-of-00001", flowers(8, first=46))
    dataset = open_dataset(f"tfrecord:{tmp_path}/*-of-*")
    assert dataset.labels == NAMES
    assert reds(dataset, "test") == set(range(46, 54))
    assert reds(dataset, "validation") == set(range(40, 46))
    assert reds(dataset, "train") | reds(dataset, "calibration") == set(range(40))
    for split in dataset.splits.values():
        for position in range(len(split)):
            assert split.picture(position)[0, 0, 0] % 2 == split.classes[position]


def test_files_of_other_names_are_dealt(tmp_path: Path) -> None:
    write(tmp_path / "part-0.tfrecord", flowers(30))
    dataset = open_dataset(f"tfrecord:{tmp_path}/*.tfrecord")
    assert len(dataset.split("test")) == 6
    assert set().union(*(reds(dataset, name) for name in dataset.splits)) == set(range(30))


def test_tensorflow_writes_what_is_read(tmp_path: Path) -> None:
    tf = pytest.importorskip("tensorflow")
    with tf.io.TFRecordWriter(str(tmp_path / "a.tfrecord")) as writer:
        for i in range(12):
            values = {
                "image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[png(i)])),
                "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[-5 + i % 2])),
                "box": tf.train.Feature(float_list=tf.train.FloatList(value=[0.5, 1.5])),
                "none": tf.train.Feature(),
            }
            writer.write(tf.train.Example(features=tf.train.Features(feature=values)).SerializeToString())
    dataset = open_dataset(f"tfrecord:{tmp_path}/a.tfrecord")
    assert dataset.labels == ("-5", "-4")
    assert set().union(*(reds(dataset, name) for name in dataset.splits)) == set(range(12))


def test_labels_may_be_texts_and_are_ordered_by_name(tmp_path: Path) -> None:
    entries = [{"jpeg": png(i), "class": (b"zebra", b"ant")[i % 2]} for i in range(12)]
    write(tmp_path / "a.tfrecord", entries)
    dataset = open_dataset(f"tfrecord:{tmp_path}/a.tfrecord")
    assert dataset.labels == ("ant", "zebra")
    split = dataset.split("train")
    assert [dataset.labels[each] for each in split.classes] == [
        ("zebra", "ant")[split.picture(position)[0, 0, 0] % 2] for position in range(len(split))
    ]


def test_labels_keep_their_order_when_they_do_not_begin_at_zero(tmp_path: Path) -> None:
    entries = [{"image": png(i), "label": 1 + 9 * (i % 2)} for i in range(12)]
    assert open_dataset(f"tfrecord:{write(tmp_path / 'a', entries)}").labels == ("1", "10")


def test_equal_names_of_two_labels_are_told_apart(tmp_path: Path) -> None:
    entries = [
        {"image": png(i), "label": 1 + i % 3, "label_text": (b"crane", b"crane", b"ox")[i % 3]} for i in range(12)
    ]
    assert open_dataset(f"tfrecord:{write(tmp_path / 'a', entries)}").labels == ("crane (1)", "crane (2)", "ox")


def test_the_index_is_kept_until_a_file_changes(tmp_path: Path, own_cache: Path) -> None:
    path = write(tmp_path / "a.tfrecord", flowers(12))
    first = open_dataset(f"tfrecord:{path}").split("test")
    kept = list((own_cache / "tfrecord").glob("*.npz"))
    assert len(kept) == 1
    again = open_dataset(f"tfrecord:{path}").split("test")
    assert again.fingerprint() == first.fingerprint()
    assert list((own_cache / "tfrecord").glob("*.npz")) == kept
    write(path, flowers(20))
    assert sum(len(each) for each in open_dataset(f"tfrecord:{path}").splits.values()) == 20
    for each in (own_cache / "tfrecord").glob("*.npz"):
        each.write_bytes(b"damaged")
    assert sum(len(each) for each in open_dataset(f"tfrecord:{path}").splits.values()) == 20


def refused(pattern: Path | str, *says: str) -> None:
    with pytest.raises(DataError) as caught:
        open_dataset(f"tfrecord:{pattern}")
    for text in says:
        assert text in str(caught.value)
    assert caught.value.fix


def test_patterns_that_match_nothing_are_refused(tmp_path: Path) -> None:
    refused("", "names no files")
    refused(tmp_path / "*.tfrecord", "no file matches")
    refused(tmp_path, "it is a folder", f"tfrecord:{tmp_path}/*")


def test_a_truncated_file_is_refused_with_its_path_and_offset(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tfrecord", flowers(12))
    second = len(framed(example(flowers(1)[0])))
    path.write_bytes(path.read_bytes()[: second + 40])
    refused(path, str(path), f"truncated: it ends within the record at byte {second:,}")
    path.write_bytes(path.read_bytes()[: second + 5])
    refused(path, f"truncated: it ends within the record at byte {second:,}")


def test_a_damaged_length_is_refused_with_its_path_and_offset(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tfrecord", flowers(12))
    content, second = bytearray(path.read_bytes()), len(framed(example(flowers(1)[0])))
    content[second] ^= 1
    path.write_bytes(content)
    refused(path, str(path), f"the length of the record at byte {second:,} is damaged")


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tfrecord"
    path.write_bytes(b"these are not the records you look for")
    refused(path, "is no TFRecord file")
    path.write_bytes(gzip.compress(framed(b"x")))
    refused(path, "is compressed", "gunzip")
    path.write_bytes(b"")
    refused(path, "hold no record")


def test_a_record_with_another_checksum_is_left_out_and_counted(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tfrecord", flowers(200))
    content, size = bytearray(path.read_bytes()), len(framed(example(flowers(1)[0])))
    content[size + 30] ^= 1
    path.write_bytes(content)
    dataset = open_dataset(f"tfrecord:{path}")
    assert [each.name for each in dataset.rejected] == [f"a.tfrecord at byte {size}"]
    assert "checksum" in dataset.rejected[0].why
    assert sum(len(each) for each in dataset.splits.values()) == 199
    assert len(open_dataset(f"tfrecord:{path}").rejected) == 1  # from the cache too


def test_too_many_damaged_records_are_refused(tmp_path: Path) -> None:
    entries = [*flowers(40), {"image/encoded": png(1)}, {"image/class/label": 1}]
    refused(write(tmp_path / "a", entries), "2 of 42 records", "no label in 'image/class/label'", "no image in")


def test_unknown_features_are_listed(tmp_path: Path) -> None:
    entries = [{"pixels": b"123", "klass": 1, "box": 0.5}]
    refused(
        write(tmp_path / "a", entries), "an encoded image", "box (floats, or empty), klass (1 integers), pixels (bytes)"
    )
    refused(write(tmp_path / "b", [{"image": b"1"}]), "a class label", "features found: image (bytes)")


def test_a_single_class_is_refused(tmp_path: Path) -> None:
    refused(write(tmp_path / "a", [{"image": png(i), "label": 3} for i in range(9)]), "a single class, '3'")


def test_a_name_with_control_characters_is_refused(tmp_path: Path) -> None:
    entries: list[dict[str, Value]] = [{"image": png(i), "class": (b"a\x1b[31m", b"b")[i % 2]} for i in range(9)]
    refused(write(tmp_path / "a", entries), "control characters")


def test_mixed_file_names_are_refused(tmp_path: Path) -> None:
    for name in ("train-0", "extra-0"):
        write(tmp_path / "a" / name, flowers(9))
    refused(tmp_path / "a" / "*", "those of 1 others do not", "extra-0")
    refused(write(tmp_path / "b" / "test-0", flowers(9)), "files of test, none of train")


def test_a_file_that_became_shorter_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tfrecord", flowers(12))
    split = open_dataset(f"tfrecord:{path}").split("train")
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(DataError, match=r"a\.tfrecord at byte .*: the file has become shorter"):
        [split.decode(position, Preprocess(4, 4)) for position in range(len(split))]


@pytest.mark.parametrize("data", [b"\x0a\xff", b"\xff" * 30, b"\x0b", b"\x0a\x05\x0a\x09abc", b"\x80"])
def test_what_is_no_example_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedError):
        features(data)


def test_mutated_examples_are_read_or_malformed() -> None:
    random, good = np.random.default_rng(0), example(flowers(1)[0])
    for _ in range(2000):
        data = bytearray(good)
        for _ in range(random.integers(1, 4)):
            data[random.integers(len(data))] = random.integers(256)
        try:
            found = features(bytes(data))
        except MalformedError:
            continue
        assert all(0 <= start <= end <= len(data) for each in found.values() for start, end in each.spans)


def test_a_first_record_of_no_length_is_left_out(tmp_path: Path) -> None:
    path = write(tmp_path / "x.tfrecord", flowers(200))
    path.write_bytes(framed(b"") + path.read_bytes())
    dataset = open_dataset(f"tfrecord:{path}")
    assert [each.why for each in dataset.rejected] == ["the record has no features"]


def test_an_integer_of_more_than_64_bits_is_cut_as_protobuf_cuts_it() -> None:
    wide = b"\xff" * 9 + b"\x7f"
    entry = field(1, b"label") + field(2, field(3, field(1, wide)))
    assert features(field(1, field(1, entry)))["label"].integers == (-1,)


def test_a_file_that_a_pattern_matches_twice_is_read_once(tmp_path: Path) -> None:
    write(tmp_path / "a" / "b" / "x.tfrecord", flowers(30))
    assert len(open_dataset(f"tfrecord:{tmp_path}/**/**/*.tfrecord")) == 30


def test_class_names_are_never_equal(tmp_path: Path) -> None:
    texts = [b"a", b"a", b"a (0)"]
    examples = [{"image": png(i), "label": i % 3, "text": texts[i % 3]} for i in range(30)]
    assert open_dataset(f"tfrecord:{write(tmp_path / 'x', examples)}").labels == ("a (0)", "a (1)", "a (0) (2)")


def test_a_blank_name_gives_way_to_the_number_and_a_blank_label_is_refused(tmp_path: Path) -> None:
    named = [{"image": png(i), "label": i % 2, "text": b" "} for i in range(30)]
    assert open_dataset(f"tfrecord:{write(tmp_path / 'named', named)}").labels == ("0", "1")
    labelled = [{"image": png(i), "label": b"" if i % 2 else b"x"} for i in range(30)]
    with pytest.raises(DataError, match="the class name '' is blank"):
        open_dataset(f"tfrecord:{write(tmp_path / 'labelled', labelled)}")


def test_records_that_were_left_out_count_with_images_that_are_corrupt(tmp_path: Path) -> None:
    examples = flowers(500)
    for number in range(0, 500, 125):
        examples[number]["image/encoded"] = b"no image %d" % number
    path = write(tmp_path / "x.tfrecord", examples)
    path.write_bytes(framed(b"") * 4 + path.read_bytes())
    dataset = open_dataset(f"tfrecord:{path}")
    affected = next(name for name in ("train", "test") if len(dataset.dealt(name)) and holds_corrupt(dataset, name))
    with pytest.raises(DataError, match="8 or more of 504 images cannot be decoded"):
        dataset.split(affected)


def holds_corrupt(dataset: Dataset, name: str) -> bool:
    split = dataset.dealt(name)
    return any(split.read(position).startswith(b"no image") for position in range(len(split)))
