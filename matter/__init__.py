"""The hidden world of the twins: what a sample is, whoever looks at it.

Only twins and truths may import this room; see docs/decisions/0001-a-room-for-hidden-matter.md.
"""

from ._domains import Lattice
from ._growth import Film, grow
from ._hysteresis import Regions, loops, triangle
from ._landau import Landau, SwitchingFields, switching_fields
from ._pad import PIXELS, Pad, PIXEL_nm, grown_design, make_pad
from ._particles import Particles, SCENE_nm, SCENE_START_nm, make_particles
from ._plasmons import DAMPING_eV, Plasmons, make_plasmons
from ._response import Response, contact_of, response_of
from ._seeds import rng_of
from ._stem_truth import PlasmonMap, StemTruth, plasmon_map
from ._switching import switchable_polarization
from ._truth import Landscape, SmBfoTruth, landscape
from ._world import SPACE, FILM_THICKNESS_nm, TEST_FIELD_kV_per_cm, World, make_world

__all__ = [
    "PIXELS",
    "SPACE",
    "DAMPING_eV",
    "FILM_THICKNESS_nm",
    "Film",
    "Landau",
    "Landscape",
    "Lattice",
    "PIXEL_nm",
    "Pad",
    "Particles",
    "PlasmonMap",
    "Plasmons",
    "Regions",
    "Response",
    "SCENE_START_nm",
    "SCENE_nm",
    "SmBfoTruth",
    "StemTruth",
    "SwitchingFields",
    "TEST_FIELD_kV_per_cm",
    "World",
    "contact_of",
    "grow",
    "grown_design",
    "landscape",
    "loops",
    "make_pad",
    "make_particles",
    "make_plasmons",
    "make_world",
    "plasmon_map",
    "response_of",
    "rng_of",
    "switchable_polarization",
    "switching_fields",
    "triangle",
]
