"""Errors that nearly every command family answers with."""
from .resp import Error

WRONGTYPE = Error("WRONGTYPE Operation against a key holding the wrong kind of value")
NOT_AN_INTEGER = Error("ERR value is not an integer or out of range")
NOT_A_FLOAT = Error("ERR value is not a valid float")
SYNTAX_ERROR = Error("ERR syntax error")
NO_SUCH_KEY = Error("ERR no such key")
OUT_OF_RANGE = Error("ERR index out of range")


def wrong_arity(command):
    """For a wrong number of arguments of `command` ("get", "client|list")."""
    return Error(f"ERR wrong number of arguments for '{command}' command")


def invalid_expire(command):
    """For a time to live that is out of range."""
    return Error(f"ERR invalid expire time in '{command}' command")


def out_of_bounds(least, greatest):
    """For an integer that is smaller or greater than what is taken."""
    return Error(f"ERR value is out of range, value must between {least} and {greatest}")
