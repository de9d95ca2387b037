"""Label noise: every definition of the field under one name, drawn from its own seed, measured, read and written.

The public face; numpy only. `corrupt` makes noisy labels of true ones, `transition_matrix` and `share` say what to
expect, `measure` what came out. Test labels are never the business of this package.
"""

from lnlbench.data.noise.catalogue import CATALOGUE, NoiseInfo, NoiseWarning, info
from lnlbench.data.noise.checks import canonical_noise
from lnlbench.data.noise.corruption import corrupt
from lnlbench.data.noise.definitions import redraw_matrix, share, transition_matrix
from lnlbench.data.noise.files import export_labels, import_labels
from lnlbench.data.noise.human import read_human_labels
from lnlbench.data.noise.measure import NoiseReport, labels_sha256, measure
from lnlbench.data.noise.released import ReleasedRmw, meta_split, released_rmw

__all__ = [
    "CATALOGUE",
    "NoiseInfo",
    "NoiseReport",
    "NoiseWarning",
    "ReleasedRmw",
    "canonical_noise",
    "corrupt",
    "export_labels",
    "import_labels",
    "info",
    "labels_sha256",
    "measure",
    "meta_split",
    "read_human_labels",
    "redraw_matrix",
    "released_rmw",
    "share",
    "transition_matrix",
]
