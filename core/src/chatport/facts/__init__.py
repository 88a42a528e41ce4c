"""What is known of models and vendors, as dated data, and the rules among it on which the standard acts."""

from .file import Facts as Facts, ModelEntry as ModelEntry, load_facts as load_facts
from .models import (
    HostFacts as HostFacts,
    ModelFacts as ModelFacts,
    RetiredModel as RetiredModel,
    is_region as is_region,
)
from .prices import (
    PeakHours as PeakHours,
    Price as Price,
    PriceTier as PriceTier,
    charged as charged,
    cost_of as cost_of,
    estimate_cost as estimate_cost,
)

__all__ = [
    "Facts",
    "HostFacts",
    "ModelEntry",
    "ModelFacts",
    "PeakHours",
    "Price",
    "PriceTier",
    "RetiredModel",
    "charged",
    "cost_of",
    "estimate_cost",
    "is_region",
    "load_facts",
]
