"""Metrics of a gateway for Prometheus. What the extra `metrics` brings is imported only where they are asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatport import Config, ConfigurationError

if TYPE_CHECKING:
    from ..app import Gateway
    from .metrics import Metrics

__all__ = ["metrics_of"]


def metrics_of(gateway: Gateway, config: Config) -> Metrics | None:
    """Return the metrics of a gateway, which hear of its requests; None without a `[metrics]` table.

    Raises ConfigurationError for what the table cannot say, and where the extra is not installed.
    """
    if "metrics" not in config.tables:
        return None
    try:
        from .metrics import Metrics
    except ImportError as error:
        raise ConfigurationError(
            f'[metrics] needs what the extra brings ({error.name} is missing): pip install "chatport-gateway[metrics]".'
        ) from None
    from .settings import read_metrics

    made = Metrics(gateway, read_metrics(config))
    gateway.watchers.append(made.counting)
    return made
