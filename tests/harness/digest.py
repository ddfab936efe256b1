"""Digests of what servers hold: equal data, equal digest, whoever keeps it. Entry: digest, digest_of_key.

It is that of Redis, of ours and redis-server alike. It leaves out what a stream's groups know, and of times to live it knows
that there is one; harness.values.groups_of and PEXPIRETIME tell the rest.
"""
import contextlib

from .server import Server

NOTHING = "0" * 40


@contextlib.contextmanager
def _client(where):
    if isinstance(where, Server):
        with where.connect() as client:
            yield client
        where.clients.remove(client)
    else:
        yield where


def digest(where):
    """Of all databases of a server, or of the one that a client is connected to."""
    with _client(where) as client:
        text = client("DEBUG DIGEST")
    assert isinstance(text, str) and len(text) == 40, text
    return text


def digest_of_key(where, key):
    """Of the value of a key of the client's database; NOTHING: there is no such key."""
    with _client(where) as client:
        text, = client("DEBUG", "DIGEST-VALUE", key)
    return text
