"""The balancer's HTTP data path: a strict HTTP/1 reverse proxy in a thread of its own.

It knows no actor. `server` is the whole; `front` a client's connection, `back` an instance's; `attempt` a request's
search for an instance, `ending` how it ends, `exchange` all between; `hold` the requests that wait, `table` the routes,
`log` and `log_file` the access log; `certificates`, `handshake` and `redirect` are what TLS adds. Pure, without I/O:
`rules`, `head`, `fields` and `answer` (parsing), `framing` (where bodies end), `directory` (which service),
`pick`, `policies`, `affinity` and `ejection` (which instance), `budget` (retries), `patience` (limits of time), `own`
(our own answers), `request_id`, `tally` (what is counted), `memo`.
"""

from .certificates import Certificates
from .server import Proxy, Secure
from .shared import Timeouts
from .table import Service, ServiceStats, Target
from .tally import InstanceStats

__all__ = ["Certificates", "InstanceStats", "Proxy", "Secure", "Service", "ServiceStats", "Target", "Timeouts"]
