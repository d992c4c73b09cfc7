"""What of a request belongs together: the key that is hashed, and the cookie that binds a user to an instance. Pure."""

from hashlib import blake2b

from . import fields


def token(instance: str) -> bytes:
    """What a sticky cookie says of an instance: the same at each balancer; it tells others nothing."""
    return blake2b(instance.encode(), digest_size=8).hexdigest().encode()


def hash_key(hash_by: str, lines: bytes, path: bytes, peer: bytes) -> bytes | None:
    """The key of a request, or None if it has none.

    Args:
        hash_by: As `model.Balance` has it.
        lines: The header lines that are sent on.
        path: The path, without a query.
        peer: The client's address.
    """
    kind, _, name = hash_by.partition(":")
    match kind:
        case "header":
            return fields.value(lines, name)
        case "cookie":
            return fields.cookie(lines, name.encode())
        case "path":
            return path
        case _:
            return peer


def set_cookie(name: str, token: bytes) -> bytes:
    """The header line that binds a user."""
    return b"Set-Cookie: %b=%b; Path=/; HttpOnly; SameSite=Lax\r\n" % (name.encode(), token)


def path_of(onward: bytes) -> bytes:
    """The path in a request line, without a query; `*` as it is."""
    return onward.split(b" ", 2)[1].partition(b"?")[0]


def stripped(onward: bytes, prefix: bytes) -> bytes:
    """The request line without the beginning of its path, and a line that says what it was."""
    method, target, version = onward.split(b" ")
    rest = target[len(prefix) :]
    slash = b"" if rest[:1] == b"/" else b"/"
    return b"%b %b%b %b\r\nX-Forwarded-Prefix: %b" % (method, slash, rest, version, prefix)
