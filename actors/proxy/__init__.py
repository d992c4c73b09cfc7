"""The balancer's HTTP data path: a strict HTTP/1 reverse proxy in a thread of its own.

It knows no actor. `server` is the whole; `front` a client's connection, `back` an instance's, `exchange` one request
between them, `attempt` its search for an instance, `hold` the requests that wait for one, `table` the routes, `log` the
access log; `certificates`, `handshake` and `redirect` are what TLS adds. Pure, without input or output: `rules`, `head`
and `answer` (parsing), `framing` (where bodies end), `pick` (choosing), `own` (our own answers), `memo`.
"""

from .certificates import Certificates
from .server import Proxy, Secure
from .shared import Timeouts
from .table import Service, ServiceStats, Target
from .tally import InstanceStats

__all__ = ["Certificates", "InstanceStats", "Proxy", "Secure", "Service", "ServiceStats", "Target", "Timeouts"]
