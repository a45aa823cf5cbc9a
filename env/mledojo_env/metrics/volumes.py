"""The distance of two bodies made of voxels, without looking at all of them."""

from __future__ import annotations

import numpy as np

_HALVINGS = 4  # the largest blocks looked at have sides of 2 ** 4 voxels


def hausdorff(one: np.ndarray, other: np.ndarray, spacing: np.ndarray) -> float:
    """Return how far a voxel of either body may be from the other body: the symmetric Hausdorff distance.

    Args:
        one: Which voxels belong to it, booleans of shape (depth, width, height); at least one does.
        other: The same, of the same shape.
        spacing: Of voxels along the three axes.
    """
    for axis in range(3):  # only the box that holds both is looked at
        across = tuple({0, 1, 2} - {axis})
        filled = np.flatnonzero(one.any(axis=across) | other.any(axis=across))
        box = [slice(None)] * 3
        box[axis] = slice(filled[0], filled[-1] + 1)
        one, other = one[tuple(box)], other[tuple(box)]
    return max(_directed(one, other, spacing), _directed(other, one, spacing))


def _directed(body: np.ndarray, target: np.ndarray, spacing: np.ndarray) -> float:
    """Return the largest distance of a voxel of `body` from `target`.

    Distances of the voxels of a block differ from its middle's by half a diagonal at most. So blocks are
    halved and only those kept that may hold the farthest voxel.
    """
    from scipy.spatial import cKDTree

    outside = body & ~target
    if not outside.any():
        return 0.0
    tree = cKDTree(np.argwhere(_surface(target)) * spacing, compact_nodes=False, balanced_tree=False)
    levels = [outside]
    while len(levels) <= _HALVINGS:
        levels.append(_halved(levels[-1]))
    kept = np.argwhere(levels[-1])
    for level in range(_HALVINGS, -1, -1):
        side = 2**level
        distances, _ = tree.query((kept * side + (side - 1) / 2) * spacing)
        reach = np.linalg.norm((side - 1) / 2 * spacing)
        kept = kept[distances + reach >= distances.max() - reach]
        if level:
            kept = _parts(kept, levels[level - 1])
    return float(distances.max())


def _surface(body: np.ndarray) -> np.ndarray:
    """Return the voxels with a face to the outside: the nearest voxel to one outside is always such."""
    padded = np.pad(body, 1)
    inner = np.ones(body.shape, dtype=bool)
    for axis in range(3):
        for shift in (0, 2):
            place = [slice(1, -1)] * 3
            place[axis] = slice(shift, shift + body.shape[axis])
            inner &= padded[tuple(place)]
    return body & ~inner


def _halved(body: np.ndarray) -> np.ndarray:
    """Return for each block of 2 x 2 x 2 voxels whether one belongs to the body."""
    for axis in range(3):
        body = np.logical_or.reduceat(body, np.arange(0, body.shape[axis], 2), axis=axis)
    return body


def _parts(blocks: np.ndarray, body: np.ndarray) -> np.ndarray:
    """Return those of the eight parts of each block that belong to the body, both by their places."""
    corners = np.indices((2, 2, 2)).reshape(3, 8).T
    places = (2 * blocks[:, None, :] + corners).reshape(-1, 3)
    places = places[(places < body.shape).all(axis=1)]
    return places[body[tuple(places.T)]]
