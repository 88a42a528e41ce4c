"""What is known of models and vendors, as dated data, and the rules among it on which the standard acts."""

from .models import (
    Facts as Facts,
    HostFacts as HostFacts,
    ModelEntry as ModelEntry,
    ModelFacts as ModelFacts,
    PeakHours as PeakHours,
    Price as Price,
    PriceTier as PriceTier,
    RetiredModel as RetiredModel,
    charged as charged,
    cost_of as cost_of,
    estimate_cost as estimate_cost,
    is_region as is_region,
    load_facts as load_facts,
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
