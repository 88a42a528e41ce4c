"""A Ray cluster of this machine, in a process of its own: `add` and `kill` a node by a line, and end at the last one.

A node is a raylet with its workers, as it is on a machine of its own. The first one cannot be killed.
"""

from __future__ import annotations

import json
import socket
import sys
from typing import Any

_PORTS = ("metrics_agent_port", "metrics_export_port", "dashboard_agent_listen_port", "runtime_env_agent_port")
_TRIES = 6


def _node(cpus: int) -> dict[str, Any]:
    """Return what a node is started with. Its ports are named, so that it waits for fewer of its helpers."""
    probes = [socket.socket() for _ in _PORTS]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = {name: probe.getsockname()[1] for name, probe in zip(_PORTS, probes, strict=True)}
    for probe in probes:
        probe.close()
    return {
        "num_cpus": cpus, "object_store_memory": 100_000_000, "include_dashboard": False,
        "node_ip_address": "127.0.0.1", **ports,
    }  # fmt: skip


def _added(cluster: Any, cpus: int) -> Any:
    """Add a node. Ray gives its helpers 15 s to start, which on a busy machine may be too few: then once more."""
    for _ in range(_TRIES - 1):
        try:
            return cluster.add_node(**_node(cpus))
        except Exception as error:
            print(f"a node did not start: {error}", file=sys.stderr, flush=True)
            if not cluster.worker_nodes:
                cluster.head_node = None
    return cluster.add_node(**_node(cpus))


def main() -> None:
    from ray.cluster_utils import Cluster

    cluster = Cluster()
    _added(cluster, 2)
    nodes: list[Any] = []

    def say(**what: Any) -> None:
        print(json.dumps(what), flush=True)

    say(address=cluster.address)
    for line in sys.stdin:
        if line.strip() == "add":
            nodes.append(_added(cluster, 1))
        else:
            cluster.remove_node(nodes.pop(), allow_graceful=False)
        say(nodes=len(nodes))
    cluster.shutdown()


if __name__ == "__main__":
    main()
