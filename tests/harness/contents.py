"""All that a server holds, in the form in which skua-check prints a file, so that files and servers can be compared.

Entry: contents (of a server), normal (of what skua-check prints), abridged (long values), text (bytes in JSON).

A key is {"db", "key", "type", "expire_ms" (if it has any), "value"}. Bytes that are UTF-8 are strings, others
{"base64": …}. Values: a string; a list of elements; sorted members; [member, score] in order; sorted [field, value] or
[field, value, expire_ms]; an object of a stream. Times are milliseconds since 1970. When a consumer was seen last is left out:
who replays a log sees it then.
"""
import base64
import hashlib
import json

VALUE_MAX = 2000  # characters: a longer value is abridged
ORDERED = json.JSONEncoder(sort_keys=True)


def text(data):
    """Bytes as JSON has them."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}


def score(value):
    number = float(value)
    return number if abs(number) != float("inf") else "inf" if number > 0 else "-inf"


def order(value):
    return ORDERED.encode(value)


def normal(entry):
    """A key as skua-check prints it, as `contents` has it."""
    value = entry["value"]
    if entry["type"] in ("set", "hash"):
        value = sorted(value, key=order)
    if entry["type"] == "zset":
        value = [[member, points if isinstance(points, str) else float(points)] for member, points in value]
    if entry["type"] == "stream":
        value = value | {"groups": [group | {"consumers": [{"name": consumer["name"]} for consumer in group["consumers"]]}
                                    for group in value["groups"]]}
    return entry | {"value": value}


def abridged(entry):
    """A normal key with a hash in place of a long value."""
    if "value" not in entry:
        return entry
    told = order(entry["value"])
    if len(told) <= VALUE_MAX:
        return entry
    short = {name: part for name, part in entry.items() if name != "value"}
    return short | {"value_sha256": hashlib.sha256(told.encode()).hexdigest()}


def _pairs(flat):
    return list(zip(flat[::2], flat[1::2]))


def _group(about):
    about = dict(_pairs(about))
    return {
        "name": text(about[b"name"]),
        "last_id": text(about[b"last-delivered-id"]),
        "entries_read": about[b"entries-read"],
        "pending": [[text(id), text(consumer), moment, count]
                    for id, consumer, moment, count in about[b"pending"]],
        "consumers": [{"name": text(dict(_pairs(consumer))[b"name"])} for consumer in about[b"consumers"]],
    }


def _stream(client, key):
    about = dict(_pairs(client("XINFO", "STREAM", key, "FULL", "COUNT", 0)))
    return {
        "length": about[b"length"],
        "last_id": text(about[b"last-generated-id"]),
        "max_deleted_id": text(about[b"max-deleted-entry-id"]),
        "entries_added": about[b"entries-added"],
        "entries": [[text(id), [[text(name), text(value)] for name, value in _pairs(fields)]]
                    for id, fields in client("XRANGE", key, "-", "+")],
        "groups": [_group(group) for group in about[b"groups"]],
    }


def _hash(client, key, fields_expire):
    pairs = _pairs(client("HGETALL", key))
    moments = [-1] * len(pairs)
    if fields_expire:
        moments = client("HPEXPIRETIME", key, "FIELDS", len(pairs), *(field for field, _ in pairs))
    return [[text(field), text(value)] + ([moment] if moment >= 0 else [])
            for (field, value), moment in zip(pairs, moments)]


def value_of(client, key, kind, fields_expire=False):
    match kind:
        case "string":
            return text(client("GET", key))
        case "list":
            return [text(element) for element in client("LRANGE", key, 0, -1)]
        case "set":
            return [text(member) for member in client("SMEMBERS", key)]
        case "zset":
            return [[text(member), score(points)]
                    for member, points in _pairs(client("ZRANGE", key, 0, -1, "WITHSCORES"))]
        case "hash":
            return _hash(client, key, fields_expire)
        case "stream":
            return _stream(client, key)
    raise ValueError(kind)


def contents(client, databases=16, fields_expire=False):
    """Every key of a server's databases, by database and name. `fields_expire`: the server knows times of fields."""
    found = []
    for db in range(databases):
        client("SELECT", db)
        for key in sorted(client("KEYS", "*")):
            kind = client("TYPE", key)
            entry = {"db": db, "key": text(key), "type": kind}
            moment = client("PEXPIRETIME", key)
            if moment >= 0:
                entry["expire_ms"] = moment
            found.append(normal(entry | {"value": value_of(client, key, kind, fields_expire)}))
    client("SELECT", 0)
    return found
