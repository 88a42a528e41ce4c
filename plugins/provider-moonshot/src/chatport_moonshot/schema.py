"""JSON Schema as Moonshot takes it (MS-T2 to MS-T5): core's typed subset, outside of which the whole request fails."""

from __future__ import annotations

from chatport.helpers import Misfit, fit_typed as fit_schema

__all__ = ["Misfit", "fit_schema"]
