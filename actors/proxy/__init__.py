"""The balancer's data paths. One is a strict HTTP/1 reverse proxy and a relay for TCP, in a thread of its own.

It knows no actor. `server` is the whole; `front` a client's connection, `back` an instance's; `attempt` a request's
search for an instance, `ending` how it ends, `exchange` all between; `hold` the requests that wait, `table` the routes,
`log` and `log_file` the access log; `certificates`, `handshake` and `redirect` are what TLS adds; `tcp` the tcp
services, `stream` a connection to one of them. `fronts` makes several data paths one: ZeroMQ services have their own,
`tucano.mdp_front`, around the broker `mdp`. Pure, without I/O: `rules`, `head`, `fields` and `answer` (parsing),
`framing` (where bodies end), `directory` (which service), `pick`, `policies`, `affinity` and `ejection` (which
instance), `budget` (retries), `patience` (limits of time), `own` (our own answers), `request_id`, `tally` (what is
counted), `memo`, `mdp`, `zmtp`.
"""

from .certificates import Certificates
from .fronts import DataPath, Fronts
from .server import Proxy, Secure
from .shared import Timeouts
from .table import Service, ServiceStats, Target
from .tally import InstanceStats
from .tcp import Sockets

__all__ = [
    "Certificates",
    "DataPath",
    "Fronts",
    "InstanceStats",
    "Proxy",
    "Secure",
    "Service",
    "ServiceStats",
    "Sockets",
    "Target",
    "Timeouts",
]
