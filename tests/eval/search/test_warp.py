from __future__ import annotations

import numpy as np
import pytest

from eval.search.warp import warps_for

VALUES = np.array([3.1, 2.4, 2.2, 2.15, 2.11, 5.0])


@pytest.mark.parametrize("warp", warps_for(VALUES))
def test_what_is_warped_comes_back(warp):
    warped = warp.forward(VALUES)

    assert np.isfinite(warped).all()
    np.testing.assert_allclose(warp.back(warped, np.zeros(6))[0], VALUES)
