"""Places on the globe beside a list of them that is searched from end to end.

Positions are stored in cells of some decimetres, so what lies within SLACK_M of a limit may be on either side of it."""
import math

from hypothesis import strategies as st
from hypothesis.stateful import rule

from .machine import KEYS, Machine, keys

EARTH_RADIUS_M = 6372797.560856
SLACK_M = 3
SLACK_OF_DISTANCE = 1e-6

members = st.sampled_from([b"m%d" % number for number in range(40)])
# Some close together, some on the line where degrees of longitude begin again, some far.
longitudes = st.integers(-1800, 1800).map(lambda tenths: tenths / 10) | st.integers(-50, 50).map(
    lambda step: 13 + step / 1000) | st.sampled_from([180.0, -180.0, 179.999, -179.999, 0.0])
latitudes = st.integers(-850, 850).map(lambda tenths: tenths / 10) | st.integers(-50, 50).map(
    lambda step: 52 + step / 1000) | st.sampled_from([85.05, -85.05, 0.0])
places = st.tuples(longitudes, latitudes)
lengths_m = st.integers(1, 5000) | st.integers(1, 20000).map(lambda km: km * 1000)
counts = st.none() | st.integers(1, 10)


def distance(one, other):
    (longitude, latitude), (other_longitude, other_latitude) = [map(math.radians, place) for place in (one, other)]
    across = math.sin((other_longitude - longitude) / 2)
    along = math.sin((other_latitude - latitude) / 2)
    return 2 * EARTH_RADIUS_M * math.asin(
        math.sqrt(along * along + math.cos(latitude) * math.cos(other_latitude) * across * across))


def slack(metres):
    return SLACK_M + SLACK_OF_DISTANCE * metres


class Places(Machine):
    def __init__(self, server):
        super().__init__(server)
        self.places = {key: {} for key in KEYS}

    @rule(key=keys, added=st.dictionaries(members, places, min_size=1, max_size=8))
    def add(self, key, added):
        words = [word for member, place in added.items() for word in (*map(repr, place), member)]
        self.expect(len(set(added) - set(self.places[key])), "GEOADD", key, *words)
        self.places[key].update(added)

    @rule(key=keys, gone=st.lists(members, min_size=1, max_size=3, unique=True))
    def remove(self, key, gone):
        self.expect(len(set(gone) & set(self.places[key])), "ZREM", key, *gone)
        for member in gone:
            self.places[key].pop(member, None)

    @rule(key=keys, asked=st.lists(members, min_size=1, max_size=4))
    def positions(self, key, asked):
        for member, found in zip(asked, self.ask("GEOPOS", key, *asked), strict=True):
            place = self.places[key].get(member)
            assert (place is None) == (found is None)
            assert place is None or distance(place, [float(number) for number in found]) <= SLACK_M

    @rule(key=keys, one=members, other=members)
    def distances(self, key, one, other):
        found, there = self.ask("GEODIST", key, one, other), self.places[key]
        assert (found is not None) == (one in there and other in there)
        if found is not None:
            wanted = distance(there[one], there[other])
            assert abs(float(found) - wanted) <= 2 * slack(wanted)

    def search(self, key, center, words, excess_of, count):
        """`excess_of` tells by how many metres a place is outside (negative: inside)."""
        there = self.places[key]
        reply = self.ask("GEOSEARCH", key, "FROMLONLAT", *map(repr, center), *words, "ASC", "WITHDIST",
                         *(["COUNT", count] if count else []))
        found = {member: float(metres) for member, metres in reply}
        assert len(found) == len(reply) and found.keys() <= there.keys()
        assert list(found.values()) == sorted(found.values())
        for member, metres in found.items():
            wanted = distance(center, there[member])
            assert abs(metres - wanted) <= slack(wanted)
            assert excess_of(there[member]) <= slack(wanted)
        inside = {member for member, place in there.items()
                  if excess_of(place) < -slack(distance(center, place))}
        if count is None or len(found) < count:
            assert inside <= found.keys()
        else:  # nobody who was left out is nearer than one who was found
            assert len(found) == count
            for member in inside - found.keys():
                nearest = distance(center, there[member])
                assert max(found.values()) <= nearest + 2 * slack(nearest)

    @rule(key=keys, center=places, radius_m=lengths_m, count=counts)
    def search_a_circle(self, key, center, radius_m, count):
        self.search(key, center, ["BYRADIUS", radius_m, "m"],
                    lambda place: distance(center, place) - radius_m, count)

    @rule(key=keys, center=places, width_m=lengths_m, height_m=lengths_m, count=counts)
    def search_a_box(self, key, center, width_m, height_m, count):
        def excess(place):
            across = distance((center[0], place[1]), place)
            along = math.radians(abs(center[1] - place[1])) * EARTH_RADIUS_M
            return max(across - width_m / 2, along - height_m / 2)

        self.search(key, center, ["BYBOX", width_m, height_m, "m"], excess, count)

    def teardown(self):
        if self.r:
            for key in KEYS:
                self.expect(len(self.places[key]), "ZCARD", key)
        super().teardown()


def test_places(play):
    play(Places)
