"""Files that are no weights, or no longer."""

import json
import os
import random
import zipfile

import pytest
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from checkpoint_files import meta_ac, own_model
from vjepa_gate.errors import UserError
from vjepa_ros.model.checkpoints import HEADER, load_weights, save_weights


class Malicious:
    def __reduce__(self):
        return os.system, ("touch was_run",)


def test_a_file_that_would_run_code_is_refused(saved, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = saved(meta_ac() | {"args": Malicious()})
    with pytest.raises(UserError, match=r"is refused: loading it would run code, posix\.system"):
        load_weights(path)
    assert not (tmp_path / "was_run").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "looks like a PNG picture"),
        (b"\n<!DOCTYPE html><html>", "looks like an HTML page: the download failed"),
        (b"<?xml version='1.0'?><Error>AccessDenied", "an XML page: the download failed"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1", "git-lfs pointer: run"),
        (b'{"error": "not found"}', "looks like JSON"),
        (b"\x80\x02}q\x00.", "a bare pickle, as torch wrote before 1.6"),
        (b"\x1f\x8b\x08\x00", "a gzip archive: unpack it first"),
        (b"\0" * 40, "expected torch's .pt or .pth.tar, or .safetensors"),
    ],
)
def test_another_kind_of_file_is_said_to_be_what_it_looks_like(tmp_path, content, message):
    path = tmp_path / "weights.pt"
    path.write_bytes(content)
    with pytest.raises(UserError, match=message):
        load_weights(path)


def test_a_zip_of_something_else_is_refused(tmp_path):
    path = tmp_path / "weights.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(UserError, match=r"a zip archive, but none that torch\.save wrote"):
        load_weights(path)


def test_a_folder_or_nothing_is_refused(tmp_path):
    with pytest.raises(UserError, match="is a folder: expected one file of weights in it, found"):
        load_weights(tmp_path)
    with pytest.raises(UserError, match="cannot be read as weights: No such file"):
        load_weights(tmp_path / "none.pt")


@pytest.fixture(params=["torch", "safetensors"])
def intact(request, saved, tmp_path):
    if request.param == "torch":
        return saved(meta_ac())
    path = tmp_path / "own.safetensors"
    save_weights(path, *own_model())
    return path


def test_a_truncated_file_says_so_wherever_it_is_cut(intact):
    content = intact.read_bytes()
    random.seed(0)
    for length in (10, 100, len(content) - 1, *(random.randrange(len(content)) for _ in range(20))):
        intact.write_bytes(content[:length])
        with pytest.raises(UserError, match=r"is truncated|is no checkpoint: its \d bytes"):
            load_weights(intact)


def test_a_flipped_bit_is_found_or_does_no_harm(intact):
    """In whatever tells names, shapes, places and configuration."""
    content, weights = intact.read_bytes(), load_weights(intact)
    if intact.suffix == ".pt":
        with zipfile.ZipFile(intact) as archive:
            heads = [range(i.header_offset, i.header_offset + 64) for i in archive.infolist()]
            pickle = archive.getinfo("model/data.pkl")
            heads += 50 * [range(pickle.header_offset, pickle.header_offset + pickle.file_size)]
            heads += 50 * [range(archive.start_dir, len(content))]
    else:
        heads = [range(8 + int.from_bytes(content[:8], "little"))]
    random.seed(0)
    for _ in range(60):
        damaged = bytearray(content)
        damaged[random.choice(random.choice(heads))] ^= 1 << random.randrange(8)
        intact.write_bytes(damaged)
        try:
            found = load_weights(intact)
        except UserError:
            continue
        assert (found.identity, found.config) == (weights.identity, weights.config)


def test_a_flipped_bit_among_the_weights_is_found(intact):
    content = bytearray(intact.read_bytes())
    content[content.index(load_weights(intact).encoder.norm.weight.numpy().tobytes()) + 5] ^= 1
    intact.write_bytes(content)
    with pytest.raises(UserError, match="is damaged"):
        load_weights(intact)


@pytest.mark.parametrize(
    ("part", "key", "value"),
    [
        ("", "image_size", 0),
        ("", "image_size", 63),
        ("", "step_period", float("nan")),
        ("", "step_period", "0.25"),
        ("", "crop", "round"),
        ("", "trained_horizon", -1),
        ("encoder", "depth", 10**9),
        ("encoder", "heads", 0),
        ("encoder", "heads", 5),
        ("encoder", "mlp_ratio", float("inf")),
        ("encoder", "width", 10**400),
        ("encoder", "stem", "leaf"),
        ("encoder", "depth", None),
        ("encoder", "grid", 4),
        ("predictor", "grid", -1),
        ("predictor", "grid", 5),
        ("predictor", "max_frames", 0),
        ("predictor", "heads", True),
        ("predictor", "latent_width", "wide"),
    ],
)
@pytest.mark.timeout(20)
def test_a_header_that_describes_no_model(tmp_path, part, key, value):
    path = tmp_path / "own.safetensors"
    save_weights(path, *own_model())
    header = json.loads(safe_open(path, "pt").metadata()[HEADER])
    (header["config"][part] if part else header["config"])[key] = value
    save_file(load_file(path), path, {HEADER: json.dumps(header)})
    with pytest.raises(UserError) as error:
        load_weights(path)
    assert f"its header describes no model: config.{f'{part}.' if part else ''}{key}" in str(
        error.value
    )
    assert len(str(error.value)) < 400 + len(str(path))
