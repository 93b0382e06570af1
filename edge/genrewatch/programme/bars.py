"""The music of each programme item, bar by bar.

A bar function takes the bar's index and a random generator, and returns the parts to mix.
"""

from collections.abc import Callable

import numpy as np

from genrewatch.contract.front_end import Samples
from genrewatch.programme.synthesis import (
    Rng,
    Timbre,
    kick,
    midi_hz,
    mix,
    n_samples,
    noise,
    presence,
    random_vowel,
    ride,
    snare,
    syllable,
    tone,
)

Part = tuple[float, float, Samples]
"""(start in the bar in seconds, gain, samples)."""
BarFunction = Callable[[int, Rng], list[Part]]

STRINGS = Timbre(1.1, formants=((300, 200, 1.0), (900, 500, 0.8), (2600, 900, 0.35)))
CHOIR = Timbre(1.0, formants=((600, 120, 1.0), (1040, 150, 0.6), (2600, 250, 0.25)))
BASS = Timbre(1.6)
FINGER_BASS = Timbre(2.2)
HORN = Timbre(1.3, formants=((550, 250, 1.0), (1500, 500, 0.5)))
PIANO = Timbre(1.7)
ORGAN = Timbre(1.5, even=0.4)
BRIGHT = Timbre(0.9)
SINE = Timbre(6.0)


def chorale(k: int, rng: Rng) -> list[Part]:
    """Play strings and a choir: four voices, two chords a bar, in D."""
    chords = [
        (38, 57, 62, 66), (45, 57, 61, 64), (47, 54, 62, 66), (42, 54, 61, 69),
        (43, 55, 62, 71), (38, 57, 62, 69), (43, 55, 59, 67), (45, 52, 61, 64),
    ]  # D A/ Bm F#m G D G A  # fmt: skip
    parts = []
    for half in range(2):
        for voice, note in enumerate(chords[(2 * k + half) % 8]):
            loud = 0.9 + 0.2 * rng.random()
            for detune in (-0.06, 0.0, 0.07):
                hz = midi_hz(note + detune)
                late = 0.03 * rng.random()
                timbre = STRINGS if voice != 2 else CHOIR
                sound = tone(hz, 1.75, timbre, attack=0.25, release=0.5, vibrato=0.15 if detune else 0.25)
                parts.append((1.8 * half + late, loud * (1.0 if voice else 0.7), sound))
    melody = [74, 73, 71, 69, 71, 69, 67, 69, 66, 67, 69, 71, 73, 71, 69, 67]
    for quarter in range(4):
        note = melody[(4 * k + quarter) % 16]
        parts.append((0.9 * quarter, 1.0, tone(midi_hz(note), 0.85, STRINGS, attack=0.12, release=0.4, vibrato=0.3)))
    return parts


def four_on_the_floor(k: int, rng: Rng) -> list[Part]:
    """Play disco at 120 beats a minute: kick on each beat, open hats between, octave bass, claps, strings above."""
    beat = 0.5
    root = (45, 45, 41, 43)[k % 4]
    chord = ((57, 60, 64), (57, 60, 64), (57, 60, 65), (59, 62, 67))[k % 4]
    parts: list[Part] = []
    for b in range(4):
        parts += _disco_beat(b, beat, root, chord, rng)
    for note in chord:
        for detune in (-0.08, 0.08):
            sound = tone(midi_hz(note + 12 + detune), 1.9, BRIGHT, attack=0.08, release=0.2, vibrato=0.1)
            parts.append((0.0, 0.12, sound))
    return parts


def _disco_beat(b: int, beat: float, root: int, chord: tuple[int, int, int], rng: Rng) -> list[Part]:
    parts = [
        (b * beat, 4.0, kick(top=200, bottom=58, decay=0.09)),
        ((b + 0.5) * beat, 2.6, noise(rng, 0.3, 4500, 9500, decay=0.13)),
    ]
    if b % 2:
        parts.append((b * beat, 3.2, snare(rng, decay=0.1)))
    for half in range(2):
        hz = midi_hz(root - 12 + 12 * half)
        parts.append(((b + half / 2) * beat, 0.6, tone(hz, 0.2, BASS, attack=0.004, release=0.03)))
    for sixteenth in range(4):
        parts.append(((b + sixteenth / 4) * beat, 0.3, noise(rng, 0.08, 5000, 9500, decay=0.03)))
    for note in chord:  # chopped guitar
        for at in (0.0, 0.75):
            sound = tone(midi_hz(note + 12), 0.08, BRIGHT, attack=0.003, release=0.04)
            parts.append(((b + at) * beat, 0.55, sound))
    for at in (0.0, 0.5):
        if rng.random() < 0.8:
            hz = midi_hz(chord[int(rng.integers(3))] + 12)
            parts.append(((b + at) * beat, 0.9, syllable(rng, 0.24, hz, random_vowel(rng), hiss=0.4)))
    return parts


def power_chords(k: int, rng: Rng) -> list[Part]:
    """Play distorted fifths, gated in sixteenths, over a double kick."""
    sixteenth = 0.11
    roots = ((40, 40, 43, 45), (40, 40, 46, 45), (40, 40, 43, 38), (36, 36, 38, 38))[k % 4]
    n = n_samples(16 * sixteenth) + n_samples(0.1)
    driven = presence(np.tanh(4 * mix(n, _gated_fifths(roots, sixteenth))))
    parts: list[Part] = [(0.0, 1.5, driven)]
    for step in range(16):
        parts.append((step * sixteenth, 1.6, kick(top=220, bottom=60, decay=0.05)))
        if step % 8 == 4:
            parts.append((step * sixteenth, 2.2, snare(rng)))
        if step % 4 == 0:
            parts.append((step * sixteenth, 1.0, noise(rng, 0.7, 2500, 9000, decay=0.3)))
    return parts


def _gated_fifths(roots: tuple[int, ...], sixteenth: float) -> list[Part]:
    parts: list[Part] = []
    for beat, root in enumerate(roots):
        rhythm = ((0, 1.9), (2, 0.8), (3, 0.8)) if beat % 2 == 0 else ((0, 0.8), (1, 0.8), (2, 1.9))
        for step, length in rhythm:
            for note in (root, root + 7, root + 12):
                for detune in (-0.07, 0.07):
                    sound = tone(midi_hz(note + detune), length * sixteenth, BRIGHT, attack=0.003, release=0.015)
                    parts.append(((4 * beat + step) * sixteenth, 0.5, sound))
    return parts


def swing(k: int, rng: Rng) -> list[Part]:
    """Play a solo horn over a walking bass, a ride cymbal and sparse piano; ii-V-I-VI in B flat."""
    beat = 0.42
    scale = ((48, 51, 55, 58), (53, 57, 60, 63), (46, 50, 53, 57), (43, 47, 50, 53))[k % 4]
    target = (53, 46, 43, 48)[k % 4]
    walk = (scale[0], scale[1], scale[2], target + (1 if rng.random() < 0.5 else -1))
    parts: list[Part] = []
    for b, note in enumerate(walk):
        pluck = tone(midi_hz(note - 12), 0.36, FINGER_BASS, attack=0.01, release=0.08, decay=0.35)
        parts.append((b * beat, 1.6, pluck))
        parts.append((b * beat, 0.22, ride(rng)))
        if b % 2:
            parts.append(((b + 0.66) * beat, 0.16, ride(rng)))
            parts.append((b * beat, 0.12, noise(rng, 0.05, 5000, 10000, decay=0.015)))
    for note in scale[1:]:
        parts.append((0.66 * beat, 0.35, tone(midi_hz(note + 12), 0.2, PIANO, attack=0.004, release=0.1, decay=0.3)))
    return parts + _horn_solo(int(scale[2]) + 12, beat, rng)


def _horn_solo(note: int, beat: float, rng: Rng) -> list[Part]:
    parts: list[Part] = []
    at = 0.0
    while at < 3.5:
        length = float(rng.choice([0.66, 0.34, 1.0, 1.66]))
        if rng.random() < 0.8:
            note = int(np.clip(note + rng.choice([-4, -2, -1, 1, 2, 3]), 60, 79))
            sound = tone(midi_hz(note), length * beat, HORN, attack=0.03, release=0.08, vibrato=0.2, scoop=0.8)
            parts.append((at * beat, 0.8, sound))
        at += length
    return parts


def beat_and_voice(k: int, rng: Rng) -> list[Part]:
    """Play 90 beats a minute: a sub bass, a dry drum kit and a rhythmic voice."""
    beat = 2 / 3
    parts: list[Part] = []
    for at in (0, 1.75, 2.5):
        parts.append((at * beat, 2.4, kick(top=180, bottom=48, decay=0.14)))
    for at in (1, 3):
        parts.append((at * beat, 5.5, snare(rng, decay=0.1)))
    for eighth in range(8):
        parts.append((eighth * beat / 2, 1.2, noise(rng, 0.08, 5000, 10500, decay=0.03)))
    root = (33, 33, 36, 31)[k % 4]
    for at, length in ((0, 1.2), (1.75, 0.5), (2.5, 1.2)):
        parts.append((at * beat, 0.7, tone(midi_hz(root), length * beat, SINE, attack=0.01, release=0.08)))
    for step in range(16):
        if rng.random() < 0.72:
            accent = 1.3 if step % 4 == 0 else 0.9
            sound = syllable(rng, 0.14, 125 + 25 * rng.random(), random_vowel(rng), hiss=0.8)
            parts.append((step * beat / 4, 4.5 * accent, sound))
    for note in (57, 60, 64) if k % 2 else (55, 60, 63):
        for at in (0, 1.5, 3.0):
            parts.append((at * beat, 0.12, tone(midi_hz(note), 0.6, ORGAN, attack=0.01, release=0.1)))
    parts.append((0.0, 0.2, noise(rng, 8 / 3, 300, 9000)))  # surface noise of a worn record
    return parts


def skank(k: int, rng: Rng) -> list[Part]:
    """Play reggae at 76 beats a minute: off-beat chords, a heavy bass line, the drum on three."""
    beat = 0.79
    root, chord = ((33, (57, 60, 64)), (38, (57, 62, 65)), (33, (57, 60, 64)), (40, (56, 59, 64)))[k % 4]
    parts = _off_beat_chords(chord, beat, rng)
    line = ((0, 0, 0.4), (0.75, 7, 0.2), (1.0, 12, 0.4), (2.0, 0, 0.4), (2.5, 3, 0.3), (3.0, 7, 0.5))
    for at, step, length in line:
        sound = tone(midi_hz(root + step), length * beat, FINGER_BASS, attack=0.012, release=0.06)
        parts.append((at * beat, 2.2, sound))
    parts.append((2 * beat, 2.6, kick(decay=0.14)))
    parts.append((2 * beat, 1.2, snare(rng, decay=0.04, pitch=330)))
    if k % 4 == 3:
        for step in range(4):
            parts.append(((3 + step / 4) * beat, 0.9, snare(rng, decay=0.03, pitch=390)))
    melody = (64, 67, 69, 67, 64, 62, 60, 62)
    for b in range(2):
        note = melody[(2 * k + b) % 8]
        parts.append((2 * b * beat, 0.45, tone(midi_hz(note + 12), 1.2 * beat, CHOIR, attack=0.05, vibrato=0.2)))
    return parts


def _off_beat_chords(chord: tuple[int, ...], beat: float, rng: Rng) -> list[Part]:
    parts: list[Part] = []
    for b in range(4):
        for note in chord:
            parts.append(((b + 0.5) * beat, 0.7, tone(midi_hz(note), 0.07, PIANO, attack=0.004, release=0.05)))
            for late in (0.25, 0.75):
                sound = tone(midi_hz(note), 0.05, ORGAN, attack=0.006, release=0.04)
                parts.append(((b + late) * beat, 0.22, sound))
        for half in range(2):
            parts.append(((b + half / 2) * beat, 0.3, noise(rng, 0.06, 6000, 10500, decay=0.02)))
    return parts


def talk(k: int, rng: Rng) -> list[Part]:
    """Play a phrase of meaningless syllables, and a pause."""
    parts: list[Part] = []
    at = 0.1 * rng.random()
    while at < 2.1 + 0.5 * rng.random():
        length = 0.11 + 0.14 * rng.random()
        hz = 118 * (1.15 - 0.1 * at) * (0.92 + 0.16 * rng.random())
        parts.append((at, 0.7 + 0.5 * rng.random(), syllable(rng, length, hz, random_vowel(rng), hiss=0.5)))
        at += length * (0.9 + 0.35 * rng.random()) + (0.18 if rng.random() < 0.12 else 0)
    return parts


def silence(k: int, rng: Rng) -> list[Part]:
    """Return no parts: every sample is 0."""
    return []
