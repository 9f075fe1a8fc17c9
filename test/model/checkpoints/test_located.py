"""Weights by the name of their repository, from a cache as huggingface_hub lays it out."""

from pathlib import Path

import pytest

from checkpoint_files import SMALL, hugging_face, own_model
from vjepa_gate.errors import UserError
from vjepa_ros.model.checkpoints import load_weights, open_checkpoint, save_weights
from vjepa_ros.model.located import known_hash, read_hash
from vjepa_ros.model.published import licence_of
from vjepa_ros.model.shipped import SHIPPED_WEIGHTS, shipped

NAME = "facebook/vjepa2-small"


@pytest.fixture
def snapshot(tmp_path, monkeypatch):
    """Of transformers' files, with links to blobs, and a model card."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    repository = tmp_path / "hub" / "models--facebook--vjepa2-small"
    snapshot = repository / "snapshots" / "0123abcd"
    hugging_face("VJEPA2Model").save_pretrained(snapshot)
    (repository / "blobs").mkdir()
    for file in list(snapshot.iterdir()):
        blob = repository / "blobs" / read_hash(file)
        file.rename(blob)
        file.symlink_to(blob)
    (snapshot / "README.md").write_text("---\ntags: [video]\nlicense: apache-2.0\n---\n# A model\n")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0123abcd")
    return snapshot


def test_a_repository_in_the_cache_is_found_by_its_name(snapshot):
    path = open_checkpoint(NAME).file.path
    assert path == snapshot / "model.safetensors"
    assert load_weights(NAME).config == SMALL
    assert load_weights(f"{NAME}/model.safetensors").config == SMALL
    assert known_hash(path) == read_hash(path)
    assert licence_of(path) == "apache-2.0, as the model card beside it states"


def test_the_main_branch_counts_or_the_only_revision(snapshot):
    (snapshot.parent / "ffff").mkdir()
    assert open_checkpoint(NAME).file.path.parent == snapshot
    (snapshot.parents[1] / "refs" / "main").unlink()
    with pytest.raises(UserError, match="cannot be read as weights: No such file"):
        open_checkpoint(NAME)
    (snapshot.parent / "ffff").rmdir()
    assert open_checkpoint(NAME).file.path.parent == snapshot


def test_shipped_weights_have_names():
    assert open_checkpoint(Path("objects")).file.path == shipped("objects")
    assert open_checkpoint(Path("tiny")).file.path == SHIPPED_WEIGHTS
    with pytest.raises(UserError, match="cannot be read as weights: No such file"):
        open_checkpoint(Path("others"))


def test_a_folder_is_its_only_file_of_weights(tmp_path):
    save_weights(tmp_path / "one.safetensors", *own_model())
    (tmp_path / "one.decoder.safetensors").touch()  # which is no weights
    assert open_checkpoint(tmp_path).file.path == tmp_path / "one.safetensors"
    assert known_hash(tmp_path / "one.safetensors") is None
    (tmp_path / "two.pt").touch()
    with pytest.raises(UserError, match=r"found one\.safetensors, two\.pt; name one"):
        open_checkpoint(tmp_path)
    (tmp_path / "model.safetensors.index.json").touch()
    with pytest.raises(UserError, match="is in 2 parts, expected one file"):
        open_checkpoint(tmp_path)


def test_what_is_not_in_the_cache_is_told_by_its_name(snapshot):
    with pytest.raises(
        UserError, match=r"^facebook/other: cannot be read as weights: No such file"
    ):
        load_weights("facebook/other")
