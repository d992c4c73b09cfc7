"""The client of a cluster: what the command line does, as methods.

`client` is the whole; `answers` and, about actors, `insight` what comes back; `connection` asks, `reach` says where and
by which keys, and `channel` is its socket; `delivery` a deployment's way to the cluster, `follower` the stream of
events, `waiting` and `verdict` (pure) how long something takes, `failures` what goes wrong.
"""

from tucano.client.answers import (
    Accepted,
    Event,
    InstanceInfo,
    LogChunk,
    NodeInfo,
    Progress,
    ServiceDetail,
    ServiceInfo,
    StatusInfo,
    TrafficInfo,
)
from tucano.client.client import Client, connect
from tucano.client.failures import ClientError, ClusterError, DeployFailed, NoCluster
from tucano.client.insight import ActorInfo, Conversation, ConversationInfo, NodeActors, SpanInfo
from tucano.client.reach import BadKeys

__all__ = [
    "Accepted", "ActorInfo", "BadKeys", "Client", "ClientError", "ClusterError", "Conversation", "ConversationInfo",
    "DeployFailed", "Event", "InstanceInfo", "LogChunk", "NoCluster", "NodeActors", "NodeInfo", "Progress",
    "ServiceDetail", "ServiceInfo", "SpanInfo", "StatusInfo", "TrafficInfo", "connect",
]  # fmt: skip
