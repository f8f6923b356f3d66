"""Objects that walk on straight lines, each with an embedding of its own."""

import numpy as np

from fairmot.structures import Detections
from fairmot.tracking.matching import normalize

REID_DIM = 16


def identities(count, seed=0):
    return normalize(np.random.default_rng(seed).normal(size=(count, REID_DIM)))


def people(centres, embeddings, score=0.9, size=(40.0, 100.0), classes=()):
    """Detections of equal size at these centres [N, 2]; `score` is one number or N."""
    centres = np.asarray(centres, float).reshape(-1, 2)
    half = np.asarray(size) / 2
    boxes_xyxy = np.concatenate([centres - half, centres + half], axis=1)
    return Detections(boxes_xyxy, np.broadcast_to(score, len(centres)), np.asarray(embeddings), np.asarray(classes))


def nobody(width=REID_DIM):
    return Detections(np.zeros((0, 4)), np.zeros(0), np.zeros((0, width)))
