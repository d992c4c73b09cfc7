"""The balancer's data path: a strict HTTP/1 reverse proxy, and a relay for TCP, in a thread of its own.

It knows no actor. `server` is the whole; `front` a client's connection, `back` an instance's, `exchange` one request
between them, `attempt` its search for an instance, `hold` the requests that wait for one, `table` the routes, `log` the
access log; `tcp` the tcp services, `stream` a connection to one of them. Pure, without input or output: `rules`, `head`
and `answer` (parsing), `framing` (where bodies end), `pick` (choosing), `own` (our own answers), `memo`.
"""

from .server import Proxy
from .shared import Timeouts
from .table import Service, ServiceStats, Target
from .tcp import Sockets

__all__ = ["Proxy", "Service", "ServiceStats", "Sockets", "Target", "Timeouts"]
