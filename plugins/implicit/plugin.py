"""The plugin `implicit`: alternating least squares by the Python package of that name."""

import os

# Set before numpy loads its BLAS. The package spreads its work over threads by itself, and asks for one thread in BLAS.
os.environ.update(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")

import stagewright

from als import als
from manifest import MANIFEST

stagewright.serve(MANIFEST, {"implicit.als": als})
