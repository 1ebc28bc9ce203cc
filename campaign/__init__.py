"""A campaign's life: specification, loop, journal, arrays, tracking, report, command line."""

from ._campaign import Campaign, Result
from ._compare import Comparison, compare, comparison_table
from ._journal import Journal
from ._load_spec import built_in_names, load_spec
from ._run_folder import RunFolder
from ._spec import CampaignSpec, Specimen
from ._store import Hdf5Store

__all__ = [
    "Campaign",
    "CampaignSpec",
    "Comparison",
    "Hdf5Store",
    "Journal",
    "Result",
    "RunFolder",
    "Specimen",
    "built_in_names",
    "compare",
    "comparison_table",
    "load_spec",
]
