"""Values and how alike their places are in, the most likely noise, size, mean and warp of a Gaussian process out.

By restricted likelihood over a grid: after one decomposition of the kernel every noise and every warp costs a few
products, so that whoever chooses a kernel pays for the kernels alone. Shapes: N runs, W warps, G noises, C candidates.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from eval.search.warp import Warp, warps_for

NOISES = np.geomspace(1e-5, 1e2, 22)  # variance of the noise over that of the process


@dataclass(frozen=True, slots=True)
class Process:
    """A Gaussian process with a constant mean that is estimated, given what was measured; in warped values."""

    warp: Warp
    noise: float  # variance of the noise over that of the process
    variance: float  # of the process
    mean: float
    solved_N: np.ndarray  # inverse covariance times (values - mean)
    inverse_NN: np.ndarray

    def mean_at(self, near_CN: np.ndarray) -> np.ndarray:
        """Return float64[C]: what is expected where the kernel to the runs is `near_CN`."""
        found: np.ndarray = self.mean + near_CN @ self.solved_N
        return found

    def variance_at(self, near_CN: np.ndarray) -> np.ndarray:
        """Return float64[C]: how uncertain that is."""
        explained_C = ((near_CN @ self.inverse_NN) * near_CN).sum(axis=1)
        extra_C = self._unseen(near_CN) ** 2 / self.inverse_NN.sum()
        found: np.ndarray = self.variance * np.maximum(1 - explained_C + extra_C, 0)
        return found

    def covariance_at(self, near_CN: np.ndarray, near_1N: np.ndarray, between_C: np.ndarray) -> np.ndarray:
        """Return float64[C]: the covariance with one other place, to which the kernel is `between_C`."""
        explained_C = (near_CN @ self.inverse_NN) @ near_1N[0]
        extra_C = self._unseen(near_CN) * self._unseen(near_1N)[0] / self.inverse_NN.sum()
        found: np.ndarray = self.variance * (between_C - explained_C + extra_C)
        return found

    def _unseen(self, near_CN: np.ndarray) -> np.ndarray:
        """Return the share of the mean, which is estimated too, that the runs do not pin down."""
        found: np.ndarray = 1 - near_CN @ self.inverse_NN.sum(axis=1)
        return found


@dataclass(frozen=True, slots=True)
class Known:
    """What other lanes say of the variance of the noise, in the values' unit, with its freedom; it holds at `level`."""

    variance: float
    freedom: float
    level: float


@dataclass(frozen=True, slots=True)
class Fit:
    """A process beside how likely it is, unsolved: most kernels that are tried are not taken."""

    likelihood: float
    warp: int
    noise: int
    variance: float
    mean: float
    basis_NN: np.ndarray
    inverse_N: np.ndarray


@dataclass(frozen=True, slots=True)
class Warped:
    """Values under every warp.

    `scale_N` is one over the root of each run's variance beside an ordinary one's, None where all are alike.
    """

    warps: tuple[Warp, ...]
    values_WN: np.ndarray
    slopes_W: np.ndarray
    scale_N: np.ndarray | None = None
    known: Known | None = None

    @classmethod
    def of(cls, values_N: np.ndarray, *, noise_N: np.ndarray | None = None, known: Known | None = None) -> Warped:
        """Return the values warped; `noise_N` is the variance of each run's noise beside an ordinary one's."""
        warps = tuple(warps_for(values_N))
        if known is not None:  # no warp reaches further than the values
            known = replace(known, level=float(np.clip(known.level, values_N.min(), values_N.max())))
        values_WN = np.stack([warp.forward(values_N) for warp in warps])
        slopes_W = np.array([warp.log_slope(warped_N) for warp, warped_N in zip(warps, values_WN, strict=True)])
        scale_N = None if noise_N is None or (noise_N == 1).all() else 1 / np.sqrt(noise_N)
        return cls(warps, values_WN, slopes_W, scale_N, known)

    def fit(self, kernel_NN: np.ndarray) -> Fit:
        """Return the most likely noise and warp under one kernel."""
        from scipy.linalg import eigh

        scale_N, count = self.scale_N, len(kernel_NN)
        scaled_NN = kernel_NN if scale_N is None else kernel_NN * scale_N * scale_N[:, None]
        levels_N, basis_NN = eigh(scaled_NN, driver="evr")  # numpy's can fail on these
        ones_N = basis_NN.sum(axis=0) if scale_N is None else scale_N @ basis_NN
        turned_WN = (self.values_WN if scale_N is None else self.values_WN * scale_N) @ basis_NN
        inverse_GN = 1 / (np.maximum(levels_N, 0) + NOISES[:, None])
        precision_G = inverse_GN @ ones_N**2
        mean_WG = (turned_WN * ones_N) @ inverse_GN.T / precision_G
        left_WG = turned_WN**2 @ inverse_GN.T - mean_WG**2 * precision_G
        variance_WG = np.maximum(left_WG / (count - 1), 1e-12)
        likelihood_WG = self.slopes_W[:, None] - 0.5 * (
            (count - 1) * np.log(variance_WG) - np.log(inverse_GN).sum(axis=1) + np.log(precision_G)
        )
        if self.known is not None:
            likelihood_WG = likelihood_WG + self._of_known(variance_WG, self.known)
        warp, noise = (int(index) for index in np.unravel_index(int(np.argmax(likelihood_WG)), likelihood_WG.shape))
        variance, mean = float(variance_WG[warp, noise]), float(mean_WG[warp, noise])
        return Fit(float(likelihood_WG[warp, noise]), warp, noise, variance, mean, basis_NN, inverse_GN[noise])

    def _of_known(self, variance_WG: np.ndarray, known: Known) -> np.ndarray:
        """Return how likely what is known of the noise is under each process."""
        above_W = np.array([warp.sign * (known.level - warp.floor) for warp in self.warps])
        noise_WG = variance_WG * NOISES * above_W[:, None] ** 2
        found: np.ndarray = -0.5 * known.freedom * (np.log(noise_WG) + known.variance / noise_WG)
        return found

    def solved(self, fit: Fit) -> Process:
        """Return the process of a fit."""
        inverse_NN = (fit.basis_NN * fit.inverse_N) @ fit.basis_NN.T
        if self.scale_N is not None:
            inverse_NN = inverse_NN * self.scale_N * self.scale_N[:, None]
        return Process(
            warp=self.warps[fit.warp],
            noise=float(NOISES[fit.noise]),
            variance=fit.variance,
            mean=fit.mean,
            solved_N=inverse_NN @ (self.values_WN[fit.warp] - fit.mean),
            inverse_NN=inverse_NN,
        )
