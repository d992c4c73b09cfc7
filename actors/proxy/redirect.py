"""The front that sends who comes without TLS to where TLS is."""

from . import own
from .certificates import Certificates
from .exchange import Exchange
from .front import Client
from .head import Request
from .shared import Shared


class RedirectingClient(Client):
    """A client's connection without TLS, while hosts with a certificate are to be asked with it.

    Args:
        shared: The data path.
        certificates: Which hosts have one.
        port: Where we listen without TLS.
        secure_port: Where we listen with it.
    """

    __slots__ = ("certificates", "port", "secure_port")

    def __init__(self, shared: Shared, certificates: Certificates, port: int, secure_port: int) -> None:
        super().__init__(shared)
        self.certificates = certificates
        self.port = port
        self.secure_port = secure_port

    def begin(self, request: Request) -> Exchange:
        """See `Client.begin`."""
        location = secure_url(request, self.port, self.secure_port)
        if location is not None and self.certificates.covers(name_of(request.fields.host)):
            return Redirected(self, request, location)
        return super().begin(request)


class Redirected(Exchange):
    """A request that is told where to go.

    Args:
        client: The connection it came on.
        request: Its head.
        location: Where.
    """

    __slots__ = ("_location",)

    def __init__(self, client: Client, request: Request, location: bytes) -> None:
        super().__init__(client, request)
        self._location = location

    def start(self) -> None:
        """Answer, and ask nobody."""
        self._refuse(own.moved(self._location))


def name_of(host: bytes) -> str:
    """The name in a Host line, without the port."""
    return host.partition(b":")[0].decode("ascii")


def secure_url(request: Request, port: int, secure_port: int) -> bytes | None:
    """The same request with TLS; None if it has none: no Host, or a target that is no path.

    A Host that names no port came to port 80, here or where ports are mapped to ours: there TLS is at 443.
    """
    host, target = request.fields.host, request.onward.split(b" ")[1]
    if not host or host[:1] == b"[" or target[:1] != b"/":
        return None
    name, colon, _ = host.partition(b":")
    if secure_port != 443 and (colon or port == 80):
        name += b":%d" % secure_port
    return b"https://%b%b" % (name, target)
