"""Short sounds for the build scripts of audio tasks: files, and hand-made features of stacks of clips.

A stack has shape (n, samples) and values in [-1, 1]; features give one row of floats a clip.
"""

from __future__ import annotations

import functools
import io
from dataclasses import dataclass
from math import gcd

import numpy as np
from numpy.typing import NDArray
from scipy import fft, signal

Clips = NDArray[np.float64]
Features = NDArray[np.float64]

RATE = 8000
FRAME, HOP = 256, 64
MEL_BANDS = 24
FLOOR = 1e-7


# --------------------------------------------------------------------------- files


def read_sound(content: bytes) -> tuple[NDArray[np.float64], int]:
    """Return a sound file's mean over channels, shape (samples,), and its rate (needs `soundfile`)."""
    import soundfile  # needed only to build: pip install soundfile

    sound, rate = soundfile.read(io.BytesIO(content), always_2d=True)
    return sound.mean(axis=1), int(rate)


def trim(sound: NDArray[np.float64], rate: int, threshold: float = 0.02) -> NDArray[np.float64]:
    """Return a sound from 2 ms before to the end of what is louder than a share of its peak."""
    loud = np.flatnonzero(np.abs(sound) > threshold * np.abs(sound).max())
    return sound[max(0, loud[0] - rate // 500) : loud[-1] + 1]


def to_clip(sound: NDArray[np.float64], rate: int, samples: int) -> NDArray[np.int8]:
    """Return the beginning of a sound at `RATE`, its peak at 127, filled up with zeros."""
    shared = gcd(RATE, rate)
    slow = signal.resample_poly(sound, RATE // shared, rate // shared)[:samples]
    clip = np.pad(slow, (0, samples - len(slow)))
    return np.rint(clip / np.abs(clip).max() * 127).astype(np.int8)


def likeness(clips: NDArray[np.int8]) -> NDArray[np.float64]:
    """Return the greatest correlation of each pair of clips over all shifts, shape (n, n)."""
    waves = clips.astype(float)
    spectra = np.fft.rfft(waves / np.linalg.norm(waves, axis=1, keepdims=True), 2 * clips.shape[1], axis=1)
    return np.stack([np.abs(np.fft.irfft(each * spectra.conj(), axis=1)).max(axis=1) for each in spectra])


# --------------------------------------------------------------------------- features


def power(clips: Clips) -> NDArray[np.float64]:
    """Return the short-time power spectrum, shape (n, FRAME / 2 + 1, frames)."""
    waves = signal.stft(clips, RATE, nperseg=FRAME, noverlap=FRAME - HOP, boundary=None, padded=False)[2]
    return np.abs(waves) ** 2


@functools.lru_cache(maxsize=1)
def mel_filters() -> NDArray[np.float64]:
    """Return triangles that are equally wide to the ear, shape (MEL_BANDS, FRAME / 2 + 1)."""
    edges = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + RATE / 1400), MEL_BANDS + 2) / 2595) - 1)
    hertz = np.linspace(0, RATE / 2, FRAME // 2 + 1)
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    return np.maximum(np.minimum((hertz - low) / (middle - low), (high - hertz) / (high - middle)), 0)


def log_mel(clips: Clips) -> NDArray[np.float64]:
    """Return the log power in each band and frame, shape (n, MEL_BANDS, frames)."""
    return np.log(np.einsum("kf,nft->nkt", mel_filters(), power(clips)) + FLOOR)


def loudness(clips: Clips) -> Features:
    """Return the log energy of twelve slices of time, the loudest at 0, shape (n, 12)."""
    slices = np.array_split(clips, 12, axis=1)
    energy = np.log(np.stack([(part**2).mean(axis=1) for part in slices], axis=1) + FLOOR)
    return energy - energy.max(axis=1, keepdims=True)


def timing(clips: Clips) -> Features:
    """Return when the peak comes, when the sound has faded to shares of it, and its centre, shape (n, 5)."""
    envelope = np.sqrt(signal.convolve(clips**2, np.ones((1, 80)) / 80, mode="same").clip(0))
    top = envelope.max(axis=1, keepdims=True)
    faded = [(envelope > share * top).sum(axis=1) / clips.shape[1] for share in (0.5, 0.2, 0.05)]
    centre = (envelope * np.arange(clips.shape[1])).sum(1) / envelope.sum(1) / clips.shape[1]
    return np.column_stack([envelope.argmax(axis=1) / clips.shape[1], *faded, centre])


def spectrum(clips: Clips) -> Features:
    """Return the mean log power of each band, less the clip's mean, shape (n, MEL_BANDS)."""
    bands = log_mel(clips).mean(axis=2)
    return bands - bands.mean(axis=1, keepdims=True)


def cepstrum(clips: Clips) -> Features:
    """Return mean and deviation over time of 13 mel-frequency cepstral coefficients, shape (n, 26)."""
    coefficients = fft.dct(log_mel(clips), axis=1, norm="ortho")[:, :13]
    return np.hstack([coefficients.mean(axis=2), coefficients.std(axis=2)])


def early_and_late(clips: Clips) -> Features:
    """Return 13 cepstral coefficients of the attack, and how they change until later, shape (n, 39)."""
    coefficients = fft.dct(log_mel(clips), axis=1, norm="ortho")[:, :13]
    third = coefficients.shape[2] // 3
    attack = coefficients[:, :, :4].mean(axis=2)
    later = [coefficients[:, :, k * third : (k + 1) * third].mean(axis=2) - attack for k in (1, 2)]
    return np.hstack([attack, *later])


def colour(clips: Clips) -> Features:
    """Return centre, spread, flatness, edge and low share of the spectrum at three times, shape (n, 16)."""
    energy = power(clips)
    hertz = np.linspace(0, RATE / 2, FRAME // 2 + 1)[None]
    columns = [(np.diff(np.signbit(clips), axis=1)).mean(axis=1)]
    for part in np.array_split(energy, 3, axis=2):
        mean = part.mean(axis=2) + FLOOR
        share = mean / mean.sum(axis=1, keepdims=True)
        centre = (share * hertz).sum(axis=1)
        columns += [
            centre / 1000,
            np.sqrt((share * (hertz - centre[:, None]) ** 2).sum(axis=1)) / 1000,
            np.exp(np.log(mean).mean(axis=1)) / mean.mean(axis=1),
            (np.cumsum(share, axis=1) < 0.85).sum(axis=1) / share.shape[1],
            share[:, :8].sum(axis=1),
        ]
    return np.column_stack(columns)


def pitch(clips: Clips) -> Features:
    """Return the strongest note, how clear it is and how far it falls, from autocorrelation, shape (n, 5)."""
    columns = []
    for start in (0, 800):
        part = clips[:, start : start + 1200]
        spectra = np.abs(np.fft.rfft(part, 4096, axis=1)) ** 2
        echo = np.fft.irfft(spectra, axis=1)[:, :200]
        echo = echo / (echo[:, :1] + FLOOR)
        lag = echo[:, 10:].argmax(axis=1) + 10
        columns += [np.log2(RATE / lag), echo[np.arange(len(echo)), lag]]
    return np.column_stack([*columns, columns[2] - columns[0]])


def picture(clips: Clips) -> Features:
    """Return the spectrogram in 12 bands and 8 slices of time, the loudest at 0, shape (n, 96)."""
    bands = log_mel(clips)
    pairs = bands.reshape(len(bands), MEL_BANDS // 2, 2, -1).mean(axis=2)
    small = np.stack([part.mean(axis=2) for part in np.array_split(pairs, 8, axis=2)], axis=2)
    flat = small.reshape(len(small), -1)
    return flat - flat.max(axis=1, keepdims=True)


def raw(clips: Clips) -> Features:
    """Return every eighth sample, shape (n, samples / 8): what a clip says to those who do not listen."""
    return clips[:, ::8]


@dataclass(frozen=True)
class Changed:
    """Copies of clips as other drummers, drums and microphones would give them.

    Each is played a little faster or slower, faded differently, and overlaid with some hiss.
    """

    copies: int
    seed: int

    def __call__(self, clips: Clips) -> Clips:
        """Return the clips followed by the copies, shape (n * (copies + 1), samples)."""
        generator = np.random.default_rng(self.seed)
        samples = clips.shape[1]
        stacks = [clips]
        for _ in range(self.copies):
            speed = 2 ** generator.uniform(-0.35, 0.35, len(clips))
            fade = generator.uniform(-1.0, 2.0, len(clips))[:, None]
            hiss = 10 ** generator.uniform(-4, -2, len(clips))[:, None]
            times = np.arange(samples)
            played = np.stack(
                [
                    np.interp(times * pace, times, clip, right=0.0)
                    for clip, pace in zip(clips, speed, strict=True)
                ]
            )
            played = played * np.exp(-fade * times / samples) + generator.normal(size=clips.shape) * hiss
            stacks.append(played / np.abs(played).max(axis=1, keepdims=True))
        return np.concatenate(stacks)
