"""Pictures of training samples and of what a network sees."""

import cv2
import numpy as np
import pytest
from blob_network import INPUT_SIZE_HW, BlobNetwork, picture
from small_run import compose_config, overrides, write_pictures

from fairmot.data.dataset import Augmentation
from fairmot.data.index import build_index
from fairmot.data.labels import format_labels
from fairmot.inference.network import NetworkDetector
from fairmot.media.drawing import colour_of, overlay_heat
from train.build import build_dataset
from train.report.pictures import NetworkPictures, _described, draw_samples

CENTRES_XY = [(22, 22), (82, 70)]
BOX_PX = 16


@pytest.fixture
def dataset(tmp_path):
    """One picture of two white squares, which BlobNetwork finds; only the first one is labelled."""
    height, width = INPUT_SIZE_HW
    images, labels = tmp_path / "blobs" / "images", tmp_path / "blobs" / "labels_with_ids"
    images.mkdir(parents=True)
    labels.mkdir()
    cv2.imwrite(str(images / "0.png"), picture(CENTRES_XY))
    x, y = CENTRES_XY[0]
    row = [[0, 3, x / width, y / height, BOX_PX / width, BOX_PX / height]]
    (labels / "0.txt").write_text(format_labels(np.array(row, np.float32)))
    (tmp_path / "blobs.train").write_text("blobs/images/0.png\n")
    words = overrides(tmp_path, tmp_path / "run", data__input_size=f"[{height},{width}]")
    config = compose_config([word for word in words if "small.train" not in word] + ["+data.train.blobs=blobs.train"])
    return build_dataset(config, build_index(config.data.root, config.data.train, None), Augmentation.none)


def test_a_map_over_a_picture_changes_it_only_where_there_is_heat():
    image = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    heat = np.zeros((10, 15))
    np.testing.assert_array_equal(overlay_heat(image, heat), image)
    heat[5:, :] = 1
    covered = overlay_heat(image, heat)
    np.testing.assert_array_equal(covered[:18], image[:18])
    assert np.ptp(covered[24:], axis=(0, 1)).max() < 80  # a quarter of the picture is left there
    assert covered[30, 30, 2] > covered[30, 30, 0]  # red is hot


def test_boxes_are_read_back_from_the_targets(dataset):
    image, heat, objects = _described(dataset[0])
    assert image.shape == (*INPUT_SIZE_HW, 3)
    x, y = CENTRES_XY[0]
    np.testing.assert_allclose(objects.boxes_xyxy, [[x - 8, y - 8, x + 8, y + 8]], atol=0.01)
    assert objects.ids.tolist() == [3]
    assert np.unravel_index(heat.argmax(), heat.shape) == (y // 4, x // 4)


def test_the_sheet_of_samples(tmp_path):
    write_pictures(tmp_path)
    config = compose_config(overrides(tmp_path, tmp_path / "run"))
    samples = build_dataset(config, build_index(config.data.root, config.data.train, None))
    path = draw_samples(samples, tmp_path / "new" / "samples.jpg")
    assert cv2.imread(str(path)).shape[1] == 1600


def test_a_network_is_drawn_with_what_it_finds_and_stays_as_it_is(dataset, tmp_path):
    network = BlobNetwork()
    network.set_train()
    before = {name: parameter.asnumpy() for name, parameter in network.parameters_and_names()}
    path = NetworkPictures(NetworkDetector(network, INPUT_SIZE_HW), dataset, 0.4, tmp_path / "pictures").draw(3)
    assert path == tmp_path / "pictures" / "epoch_003.jpg"
    assert network.training
    for name, parameter in network.parameters_and_names():
        np.testing.assert_array_equal(parameter.asnumpy(), before[name])
    shown = cv2.imread(str(path)).astype(int)
    scale = shown.shape[1] / 2 / INPUT_SIZE_HW[1]  # one of two columns
    colours = {tuple(colour_of(number)) for number in (1, 2)}
    for x, y in CENTRES_XY:  # each box's lower left corner, where no label covers it
        corner = shown[int((y + 2) * scale) : int((y + 11) * scale), int((x - 11) * scale) : int((x - 5) * scale)]
        near = [np.abs(corner - colour).sum(-1).min() for colour in colours]
        assert min(near) < 90, (x, y, near)


def test_pictures_are_drawn_by_the_graph_that_validation_has_compiled(dataset, tmp_path):
    network = BlobNetwork()
    detector = NetworkDetector(network, INPUT_SIZE_HW)
    network.set_train()
    detector.detect([picture(CENTRES_XY)])
    compiled = set(detector._graph.compile_cache)
    assert len(compiled) == 1
    NetworkPictures(detector, dataset, 0.4, tmp_path).draw(1)
    assert set(detector._graph.compile_cache) == compiled


def test_a_disk_that_refuses_costs_the_picture_not_the_run(dataset, tmp_path, caplog):
    (tmp_path / "pictures").write_text("a file where a folder should be")
    draw_samples(dataset, tmp_path / "pictures" / "samples.jpg")
    assert "cannot be written" in caplog.text
