"""Places: GEOADD GEODIST GEOHASH GEOPOS GEOSEARCH GEOSEARCHSTORE GEORADIUS GEORADIUSBYMEMBER and their _RO forms."""
import math
import random

import pytest

from harness.errors import NOT_A_FLOAT, SYNTAX_ERROR, WRONGTYPE, wrong_arity
from harness.resp import Error

pytestmark = pytest.mark.core

UNIT = Error("ERR unsupported unit provided. please use M, KM, FT, MI")
NO_MEMBER = Error("ERR could not decode requested zset member")
EARTH_M = 6372797.560856


@pytest.fixture
def sicily(r):
    assert r("GEOADD sicily 13.361389 38.115556 Palermo 15.087269 37.502669 Catania") == 2
    assert r("GEOADD sicily 12.758489 38.788135 edge1 17.241510 38.788135 edge2") == 2
    return "sicily"


# ---- GEOADD ---------------------------------------------------------------------------------------------


def test_places_are_scores_of_a_sorted_set(r, sicily):
    assert r("TYPE sicily") == "zset"
    assert r("ZSCORE sicily Palermo") == b"3479099956230698"
    assert r("ZSCORE sicily Catania") == b"3479447370796909"
    assert r("ZREM sicily edge1 edge2") == 2
    assert r("ZRANGE sicily 0 -1") == [b"Palermo", b"Catania"]


def test_geoadd_adds_or_moves(r):
    assert r("GEOADD k 1 1 a") == 1
    assert r("GEOADD k 2 2 a 3 3 b") == 1
    assert r("GEOADD k CH 2 2 a 4 4 b 5 5 c") == 2
    assert r("GEOADD k NX 9 9 a 9 9 d") == 1
    assert r("GEOADD k XX CH 8 8 a 8 8 x") == 1
    assert r("GEOADD k CH NX 7 7 a") == 0
    assert r("ZRANGE k 0 -1") == [b"b", b"c", b"a", b"d"]


def test_geoadd_to_the_ends_of_the_world(r):
    assert r("GEOADD k -180 -85.05112878 a 180 85.05112878 b") == 2
    assert r("GEOPOS k a b") == [[b"-179.99999731779098511", b"-85.05112751263942528"],
                                 [b"180", b"85.0511287799999991"]]
    for longitude, latitude in [("180.0001", "0"), ("-181", "0"), ("0", "85.0512"), ("0", "-90"), ("inf", "0")]:
        reply = r("GEOADD", "k", longitude, latitude, "x")
        assert isinstance(reply, Error) and reply.startswith("ERR invalid longitude,latitude pair "), reply
    assert r("GEOADD k 200 38.5 x") == Error("ERR invalid longitude,latitude pair 200.000000,38.500000")
    assert r("ZCARD k") == 2


def test_geoadd_changes_nothing_when_one_is_wrong(r):
    assert r("GEOADD k 1 1 a x 1 b") == NOT_A_FLOAT
    assert r("GEOADD k 1 1 a 1 nan b") == NOT_A_FLOAT
    assert r("GEOADD k 1 1 a 1 86 b") == Error("ERR invalid longitude,latitude pair 1.000000,86.000000")
    assert r("EXISTS k") == 0


def test_geoadd_malformed(r):
    assert r("GEOADD k 1 1") == wrong_arity("geoadd")
    assert r("GEOADD k 1 1 a 2") == SYNTAX_ERROR
    assert r("GEOADD k NX 1 1") == SYNTAX_ERROR
    assert r("GEOADD k NX XX 1 1 a") == SYNTAX_ERROR
    assert r("GEOADD k NX CH XX") == SYNTAX_ERROR
    assert r("GEOADD k GT 1 1 a") == SYNTAX_ERROR
    r("SET s x")
    assert r("GEOADD s 1 1 a") == WRONGTYPE


def test_events(r, heard, sicily):
    heard()
    r("GEOADD k 1 1 a")
    r("GEOADD k XX 1 1 b")
    r("GEOSEARCHSTORE d sicily FROMLONLAT 15 37 BYRADIUS 100 km")
    r("GEOSEARCHSTORE d sicily FROMLONLAT 0 0 BYRADIUS 1 km")
    r("GEORADIUS sicily 15 37 100 km STORE d")
    assert [event for event in heard() if event[0] != "new"] == [
        ("zadd", "k"), ("geosearchstore", "d"), ("del", "d"), ("georadiusstore", "d")]


# ---- GEODIST, GEOHASH, GEOPOS ---------------------------------------------------------------------------


def test_geodist(r, sicily):
    assert r("GEODIST sicily Palermo Catania") == b"166274.1516"
    assert r("GEODIST sicily Palermo Catania M") == b"166274.1516"
    assert r("GEODIST sicily Palermo Catania km") == b"166.2742"
    assert r("GEODIST sicily Palermo Catania MI") == b"103.3182"
    assert r("GEODIST sicily Catania Palermo ft") == b"545518.8700"
    assert r("GEODIST sicily Palermo Palermo") == b"0.0000"
    assert r("GEODIST sicily Palermo nobody") is None
    assert r("GEODIST nothing a b") is None
    assert r("GEODIST sicily Palermo Catania yards") == UNIT
    assert r("GEODIST sicily Palermo Catania km x") == SYNTAX_ERROR
    assert r("GEODIST sicily Palermo") == wrong_arity("geodist")


def test_geohash(r, sicily):
    assert r("GEOHASH sicily Palermo nobody Catania") == [b"sqc8b49rny0", None, b"sqdtr74hyu0"]
    assert r("GEOHASH nothing a") == [None]
    assert r("GEOHASH sicily") == []


def test_geopos(r, r3, sicily):
    assert r("GEOPOS sicily Palermo nobody") == [[b"13.36138933897018433", b"38.11555639549629859"], None]
    assert b"*-1\r\n" in r.raw
    assert r("GEOPOS nothing a") == [None]
    assert r3("GEOPOS sicily Palermo")[0] == [13.36138933897018433, 38.11555639549629859]
    assert r3.raw == b"*1\r\n*2\r\n,13.36138933897018433\r\n,38.11555639549629859\r\n"


@pytest.mark.parametrize("command", ["GEODIST s a b", "GEOHASH s a", "GEOPOS s a", "GEORADIUS s 1 1 1 m",
                                     "GEOSEARCH s FROMLONLAT 1 1 BYRADIUS 1 m",
                                     "GEOSEARCHSTORE d s FROMMEMBER x BYRADIUS 1 m", "GEORADIUSBYMEMBER_RO s a 1 m"])
def test_another_type(r, command):
    r("SET s x")
    assert r(command) == WRONGTYPE


# ---- Searching ------------------------------------------------------------------------------------------


def test_geosearch_by_radius_and_box(r, sicily):
    assert r("GEOSEARCH sicily FROMLONLAT 15 37 BYRADIUS 200 km ASC") == [b"Catania", b"Palermo"]
    assert r("GEOSEARCH sicily FROMLONLAT 15 37 BYRADIUS 200 km DESC") == [b"Palermo", b"Catania"]
    assert r("GEOSEARCH sicily FROMLONLAT 15 37 BYBOX 400 400 km ASC") == [b"Catania", b"Palermo", b"edge2", b"edge1"]
    assert r("GEOSEARCH sicily BYBOX 400 10 km FROMMEMBER Catania") == [b"Catania"]
    assert r("GEOSEARCH sicily FROMMEMBER Palermo BYRADIUS 0 m") == [b"Palermo"]
    assert sorted(r("GEOSEARCH sicily ASC BYRADIUS 99999 mi FROMMEMBER Catania")) == [
        b"Catania", b"Palermo", b"edge1", b"edge2"]


def test_geosearch_with_what_is_known(r, r3, sicily):
    query = "GEOSEARCH sicily FROMLONLAT 15 37 BYRADIUS 100 km "
    assert r(query + "WITHDIST") == [[b"Catania", b"56.4413"]]
    assert r(query + "WITHHASH") == [[b"Catania", 3479447370796909]]
    assert r(query + "WITHCOORD") == [[b"Catania", [b"15.08726745843887329", b"37.50266842333162032"]]]
    everything = [b"Catania", b"56.4413", 3479447370796909, [b"15.08726745843887329", b"37.50266842333162032"]]
    assert r(query + "WITHCOORD WITHHASH WITHDIST") == [everything]
    assert r3(query + "WITHDIST WITHHASH WITHCOORD") == [
        [b"Catania", b"56.4413", 3479447370796909, [15.08726745843887329, 37.50266842333162032]]]


def test_count(r, sicily):
    query = "GEOSEARCH sicily FROMLONLAT 15 37 BYRADIUS 500 km "
    assert r(query + "COUNT 2") == [b"Catania", b"Palermo"]
    assert r(query + "COUNT 2 DESC") == [b"edge1", b"edge2"]
    assert r(query + "COUNT 1 COUNT 3 ASC") == [b"Catania", b"Palermo", b"edge2"]
    assert r(query + "COUNT 99 ASC") == [b"Catania", b"Palermo", b"edge2", b"edge1"]
    any_two = r(query + "COUNT 2 ANY")
    assert len(set(any_two)) == 2
    assert set(any_two) < {b"Catania", b"Palermo", b"edge1", b"edge2"}
    assert len(r(query + "ANY DESC COUNT 99")) == 4
    assert r(query + "ANY") == Error("ERR the ANY argument requires COUNT argument")
    assert r(query + "COUNT 0") == Error("ERR COUNT must be > 0")
    assert r(query + "COUNT -1") == Error("ERR COUNT must be > 0")
    assert r(query + "COUNT x") == Error("ERR value is not an integer or out of range")
    assert r(query + "COUNT") == SYNTAX_ERROR


def test_what_is_as_far_comes_in_the_order_of_its_bytes(r):
    r("GEOADD k 1 1 b 1 1 c 1 1 a 2 2 d")
    assert r("GEOSEARCH k FROMLONLAT 1 1 BYRADIUS 1000 km ASC") == [b"a", b"b", b"c", b"d"]
    assert r("GEOSEARCH k FROMLONLAT 1 1 BYRADIUS 1000 km DESC") == [b"d", b"a", b"b", b"c"]


@pytest.mark.skua_only("redis-server overlooks members on the very edge")
def test_members_on_the_edge_are_found(r):
    r("GEOADD k 180 10 a -180 10 b 179.99 10 c 10 85.05112878 d")
    for longitude in ("180", "-180", "179.999", "-179.999"):
        assert sorted(r(f"GEOSEARCH k FROMLONLAT {longitude} 10 BYRADIUS 10 km")) == [b"a", b"b", b"c"]
        assert sorted(r(f"GEOSEARCH k FROMLONLAT {longitude} 10 BYBOX 20 20 km")) == [b"a", b"b", b"c"]
    assert r("GEOSEARCH k FROMLONLAT 10 85 BYRADIUS 10 km") == [b"d"]
    assert len(r("GEOSEARCH k FROMLONLAT 10 85 BYRADIUS 30000 km")) == 4


def test_geosearch_malformed(r, sicily):
    exactly_one = Error("ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for GEOSEARCH")
    one_shape = Error("ERR exactly one of BYRADIUS and BYBOX can be specified for GEOSEARCH")
    assert r("GEOSEARCH sicily FROMMEMBER Palermo BYRADIUS 1") == wrong_arity("geosearch")
    for query, error in [
            ("BYRADIUS 1 km ASC ASC", exactly_one), ("FROMMEMBER Palermo ASC ASC ASC", one_shape),
            ("FROMMEMBER Palermo FROMLONLAT 1 1 BYRADIUS 1 km", SYNTAX_ERROR),
            ("FROMMEMBER Palermo BYRADIUS 1 km BYBOX 1 1 km", SYNTAX_ERROR),
            ("FROMMEMBER Palermo BYRADIUS 1 km STOREDIST", SYNTAX_ERROR),
            ("FROMMEMBER Palermo BYRADIUS 1 km STORE d", SYNTAX_ERROR),
            ("FROMMEMBER Palermo BYRADIUS x km", Error("ERR need numeric radius")),
            ("FROMMEMBER Palermo BYRADIUS -1 km", Error("ERR radius cannot be negative")),
            ("FROMMEMBER Palermo BYRADIUS 1 leagues", UNIT),
            ("FROMMEMBER Palermo BYBOX x 1 km", Error("ERR need numeric width")),
            ("FROMMEMBER Palermo BYBOX 1 x km", Error("ERR need numeric height")),
            ("FROMMEMBER Palermo BYBOX 1 -1 km", Error("ERR height or width cannot be negative")),
            ("FROMMEMBER Palermo BYBOX 1 1 leagues", UNIT), ("FROMLONLAT 1 x BYRADIUS 1 km", NOT_A_FLOAT),
            ("FROMLONLAT 181 1 BYRADIUS 1 km", Error("ERR invalid longitude,latitude pair 181.000000,1.000000")),
            ("FROMMEMBER nobody BYRADIUS 1 km", NO_MEMBER)]:
        assert r("GEOSEARCH sicily " + query) == error, query
    assert r("GEOSEARCH nothing FROMMEMBER nobody BYRADIUS 1 km") == []


def test_georadius(r, sicily):
    assert r("GEORADIUS sicily 15 37 200 km ASC") == [b"Catania", b"Palermo"]
    assert r("GEORADIUS_RO sicily 15 37 200 km COUNT 1 WITHDIST") == [[b"Catania", b"56.4413"]]
    assert r("GEORADIUSBYMEMBER sicily Catania 100 km") == [b"Catania"]
    assert r("GEORADIUSBYMEMBER_RO sicily Catania 200 km DESC COUNT 1") == [b"Palermo"]
    assert r("GEORADIUSBYMEMBER sicily nobody 100 km") == NO_MEMBER
    assert r("GEORADIUSBYMEMBER nothing nobody 100 km") == []
    assert r("GEORADIUS sicily 15 37 x km") == Error("ERR need numeric radius")
    assert r("GEORADIUS sicily 15 37 -1 km") == Error("ERR radius cannot be negative")
    assert r("GEORADIUS sicily 15 37 1 leagues") == UNIT
    assert r("GEORADIUS sicily 15 97 1 m") == Error("ERR invalid longitude,latitude pair 15.000000,97.000000")
    assert r("GEORADIUS sicily 15 37 1 m BYBOX 1 1 m") == SYNTAX_ERROR
    assert r("GEORADIUS_RO sicily 15 37 1 m STORE d") == SYNTAX_ERROR
    assert r("GEORADIUS sicily 15 37 1 m STORE") == SYNTAX_ERROR
    assert r("GEORADIUS sicily 15 37") == wrong_arity("georadius")


# ---- Storing --------------------------------------------------------------------------------------------


def test_geosearchstore(r, sicily):
    r("SET d text")
    assert r("GEOSEARCHSTORE d sicily FROMLONLAT 15 37 BYRADIUS 200 km") == 2
    assert r("ZRANGE d 0 -1 WITHSCORES") == [b"Palermo", b"3479099956230698", b"Catania", b"3479447370796909"]
    assert r("GEOSEARCHSTORE d sicily FROMLONLAT 15 37 BYBOX 400 400 km COUNT 1 ASC STOREDIST") == 1
    assert r("ZRANGE d 0 -1") == [b"Catania"]
    assert abs(float(r("ZSCORE d Catania")) - 56.4412578701582) < 1e-9
    assert r("GEOSEARCHSTORE sicily sicily FROMMEMBER Palermo BYRADIUS 1 km") == 1
    assert r("ZRANGE sicily 0 -1") == [b"Palermo"]
    assert r("GEOSEARCHSTORE d nothing FROMLONLAT 15 37 BYRADIUS 200 km") == 0
    assert r("EXISTS d") == 0
    assert r("GEOSEARCHSTORE d sicily FROMLONLAT 15 37 BYRADIUS 200 km WITHDIST") == Error(
        "ERR GEOSEARCHSTORE is not compatible with WITHDIST, WITHHASH and WITHCOORD options")
    assert r("GEOSEARCHSTORE d sicily FROMLONLAT 15 37 BYRADIUS 200 km STORE d") == SYNTAX_ERROR


def test_georadius_store(r, sicily):
    assert r("GEORADIUS sicily 15 37 200 km STORE d") == 2
    assert r("ZRANGE d 0 -1") == [b"Palermo", b"Catania"]
    assert r("GEORADIUSBYMEMBER sicily Catania 200 km STORE e STOREDIST d") == 2
    assert r("ZRANGE d 0 -1") == [b"Catania", b"Palermo"]
    assert r("ZSCORE d Catania") == b"0"
    assert r("EXISTS e") == 0
    assert r("GEORADIUS sicily 0 0 1 km STORE d") == 0
    assert r("EXISTS d") == 0
    assert r("GEORADIUS sicily 15 37 200 km STORE d WITHCOORD") == Error(
        "ERR STORE option in GEORADIUS is not compatible with WITHDIST, WITHHASH and WITHCOORD options")


def test_who_waits_for_a_sorted_set_is_served(r, waiting):
    client = waiting("BZPOPMIN k 0")
    r("GEOADD k 1 1 a")
    assert client.reply()[:2] == [b"k", b"a"]
    r("GEOADD s 1 1 a")
    waiting("BZPOPMIN d 0", client=client)
    r("GEOSEARCHSTORE d s FROMLONLAT 1 1 BYRADIUS 1 km STOREDIST")
    assert client.reply()[:2] == [b"d", b"a"]


def test_keys_are_found(r):
    assert r("COMMAND GETKEYS GEORADIUS k 1 1 1 m STORE a") == [b"k", b"a"]
    assert r("COMMAND GETKEYS GEORADIUSBYMEMBER k store 1 m STOREDIST b COUNT 1") == [b"k", b"b"]
    assert r("COMMAND GETKEYS GEORADIUS k 1 1 1 m STORE") == [b"k"]
    assert r("COMMAND GETKEYS GEOSEARCHSTORE d s FROMMEMBER a BYRADIUS 1 m") == [b"d", b"s"]


# ---- Against a model ------------------------------------------------------------------------------------


def distance(a, b):
    (lon1, lat1), (lon2, lat2) = [tuple(map(math.radians, point)) for point in (a, b)]
    half = math.sin((lat2 - lat1) / 2) ** 2 + math.cos(lat1) * math.cos(lat2) * math.sin((lon2 - lon1) / 2) ** 2
    return 2 * EARTH_M * math.asin(min(1, math.sqrt(half)))


@pytest.mark.cells("tcp:0", "shm:4")
@pytest.mark.parametrize("clustered", [False, True])
def test_finds_what_a_look_at_each_member_finds(r, clustered):
    """Circles and boxes of all sizes anywhere, also over the poles and where the longitudes begin again."""
    rng = random.Random(7)
    spread = 0.5 if clustered else 180
    places = [(rng.uniform(-spread, spread), rng.uniform(-min(spread, 85), min(spread, 85))) for _ in range(1500)]
    r("GEOADD", "k", *[word for number, place in enumerate(places) for word in (*place, number)])
    found = [tuple(map(float, point)) for point in r("GEOPOS", "k", *range(len(places)))]
    for _ in range(150):
        centre = rng.uniform(-min(spread * 1.2, 180), min(spread * 1.2, 180)), rng.uniform(-min(spread, 85), min(spread, 85))
        size = math.exp(rng.uniform(math.log(1000), math.log(1e5 if clustered else 3e7)))
        if rng.random() < 0.5:
            shape = ["BYRADIUS", size, "m"]
            inside = {i for i, place in enumerate(found) if distance(centre, place) <= size}
        else:
            width, height = size, size * math.exp(rng.uniform(-2, 2))
            shape = ["BYBOX", width, height, "m"]
            inside = {i for i, place in enumerate(found)
                      if EARTH_M * abs(math.radians(place[1] - centre[1])) <= height / 2
                      and distance(place, (centre[0], place[1])) <= width / 2}
        reply = r("GEOSEARCH", "k", "FROMLONLAT", *centre, *shape, "WITHDIST", "ASC")
        distances = [float(part[1]) for part in reply]
        assert distances == sorted(distances)
        assert {int(part[0]) for part in reply} == inside, (centre, shape)
        assert len(reply) == len(inside)
        assert all(abs(distance(centre, found[int(name)]) - float(far)) < 0.01 for name, far in reply)
        some = r("GEOSEARCH", "k", "FROMLONLAT", *centre, *shape, "WITHDIST", "COUNT", 10)
        assert some == reply[:10]
