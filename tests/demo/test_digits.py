"""The data that ships: complete, small, and unchanged."""

from __future__ import annotations

import hashlib

import torch

from initium.demo.digits import FILE, digits, raw


def test_the_file_is_small() -> None:
    assert FILE.stat().st_size < 60_000
    assert FILE.with_name("digits.md").is_file()


def test_the_values_are_those_of_the_source() -> None:
    images, labels = raw()
    assert images.shape == (1797, 8, 8)
    assert (int(images.min()), int(images.max())) == (0, 16)
    assert labels.bincount().tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    digest = hashlib.sha256(images.numpy().tobytes() + labels.numpy().tobytes()).hexdigest()
    assert digest == "87ff0c9e40dc7e2c0e34e7257799c2e3f3aec1a016363bb11cad869ec428a826"


def test_the_first_image_is_a_zero_as_scikit_learn_shows_it() -> None:
    images, labels = raw()
    assert labels[0] == 0
    assert images[0, 0].tolist() == [0, 0, 5, 13, 9, 1, 0, 0]


def test_training_and_test_images_do_not_overlap_and_are_standardised() -> None:
    data = digits()
    assert data.train_images.shape == (1497, 1, 8, 8)
    assert data.test_images.shape == (300, 1, 8, 8)
    assert abs(float(data.train_images.mean())) < 1e-5
    assert abs(float(data.train_images.std()) - 1) < 1e-5
    assert data.train_labels.dtype == torch.int64
    assert set(data.test_labels.tolist()) == set(range(10))
