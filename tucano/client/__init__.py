"""The client of a cluster: what the command line does, as methods.

`client` is the whole; `answers` what comes back, `reach` where it goes and by which keys, `channel` the socket,
`delivery` a deployment's way to the cluster, `follower` the stream of events, `waiting` and `verdict` (pure) how long
something takes, `failures` what goes wrong.
"""

from tucano.client.answers import (
    Accepted,
    Event,
    InstanceInfo,
    LogChunk,
    NodeActors,
    NodeInfo,
    Progress,
    ServiceDetail,
    ServiceInfo,
    StatusInfo,
)
from tucano.client.client import Client, connect
from tucano.client.failures import ClientError, ClusterError, DeployFailed, NoCluster
from tucano.client.reach import BadKeys

__all__ = [
    "Accepted", "BadKeys", "Client", "ClientError", "ClusterError", "DeployFailed", "Event", "InstanceInfo", "LogChunk",
    "NoCluster", "NodeActors", "NodeInfo", "Progress", "ServiceDetail", "ServiceInfo", "StatusInfo", "connect",
]  # fmt: skip
