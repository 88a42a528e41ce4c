"""What is known of models and vendors, as dated data, and the rules among it on which the standard acts."""

from .file import Facts, ModelEntry, load_facts
from .models import HostFacts, ModelFacts, RetiredModel, is_region
from .prices import PeakHours, Price, PriceTier, charged, cost_of, estimate_cost

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
