"""The balancer's data paths. One is a strict HTTP/1 reverse proxy and a relay for TCP, in a thread of its own.

It knows no actor. `server` is the whole; `front` a client's connection, `back` an instance's, `exchange` one request
between them, `attempt` its search for an instance, `hold` the requests that wait for one, `table` the routes, `log` the
access log; `tcp` the tcp services, `stream` a connection to one of them. `fronts` makes several data paths one: ZeroMQ
services have their own, `tucano.mdp_front`, around the broker `mdp`. Pure, without input or output: `rules`, `head` and
`answer` (parsing), `framing` (where bodies end), `pick` (choosing), `own` (our own answers), `memo`, `mdp`.
"""

from .fronts import DataPath, Fronts
from .server import Proxy
from .shared import Timeouts
from .table import Service, ServiceStats, Target
from .tcp import Sockets

__all__ = ["DataPath", "Fronts", "Proxy", "Service", "ServiceStats", "Sockets", "Target", "Timeouts"]
