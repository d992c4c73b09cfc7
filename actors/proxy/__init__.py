"""The balancer's HTTP data path: a strict HTTP/1 reverse proxy in a thread of its own.

It knows no actor. `server` is the whole; `front` a client's connection, `back` an instance's; `attempt` a request's
search for an instance, `ending` how it ends, `exchange` all between; `hold` the requests that wait, `table` the routes,
`log` the access log. Pure, without input or output: `rules`, `head`, `fields` and `answer` (parsing), `framing` (where
bodies end), `directory` (which service), `pick`, `policies`, `affinity` and `ejection` (which instance), `budget`
(retries), `patience` (limits of time), `own` (our own answers), `memo`.
"""

from .server import Proxy
from .shared import Timeouts
from .table import Service, ServiceStats, Target

__all__ = ["Proxy", "Service", "ServiceStats", "Target", "Timeouts"]
