/* Proves that cells and places lead to each other, that distances are those of the sphere, and that the ranges of a shape
 * hold every place within it, wherever on the earth it is and however large: against each place of a random cloud. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "base/macros.h"
#include "base/rng.h"
#include "types/geo.h"

static double random_between(struct rng *rng, double low, double high)
{
    return low + (double)rng_below(rng, UINT64_C(1) << 53) / 0x1p53 * (high - low);
}

static struct geo_point random_point(struct rng *rng)
{
    return (struct geo_point){random_between(rng, -GEO_LONGITUDE_MAX, GEO_LONGITUDE_MAX),
                              random_between(rng, -GEO_LATITUDE_MAX, GEO_LATITUDE_MAX)};
}

static void test_known_places(void **state)
{
    static const struct {
        struct geo_point point;
        uint64_t cell;
        char text[GEO_TEXT_SIZE + 1];
    } known[] = {
        {{13.361389, 38.115556}, UINT64_C(3479099956230698), "sqc8b49rny0"},
        {{15.087269, 37.502669}, UINT64_C(3479447370796909), "sqdtr74hyu0"},
        {{-180, -GEO_LATITUDE_MAX}, 0, "00bh0hbj200"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(known); i++) {
        char text[GEO_TEXT_SIZE];
        assert_int_equal(geo_encode(known[i].point), known[i].cell);
        geo_text(geo_decode(known[i].cell), text);
        assert_memory_equal(text, known[i].text, GEO_TEXT_SIZE);
    }
    struct geo_point palermo = geo_decode(known[0].cell), catania = geo_decode(known[1].cell);
    assert_true(fabs(geo_distance(palermo, catania) - 166274.1516) < 0.0001);
}

static void test_bounds(void **state)
{
    assert_true(geo_is_valid((struct geo_point){180, GEO_LATITUDE_MAX}));
    assert_true(geo_is_valid((struct geo_point){-180, -GEO_LATITUDE_MAX}));
    assert_false(geo_is_valid((struct geo_point){180.0001, 0}));
    assert_false(geo_is_valid((struct geo_point){0, -85.0512}));
    assert_false(geo_is_valid((struct geo_point){0, NAN}));
    /* The last meridian and the last parallel have steps of their own. */
    assert_int_equal(geo_encode((struct geo_point){180, GEO_LATITUDE_MAX}), UINT64_C(3) << 52);
    assert_true(geo_decode(UINT64_C(3) << 52).longitude == 180);
    assert_true(geo_decode(UINT64_MAX).latitude == GEO_LATITUDE_MAX);
}

static void test_scores_that_name_no_cell(void **state)
{
    assert_int_equal(geo_cell_of_score(1.9), 1);
    assert_int_equal(geo_cell_of_score(-1), UINT64_MAX);
    assert_int_equal(geo_cell_of_score(0x1p63), UINT64_C(1) << 63);
    assert_int_equal(geo_cell_of_score(-INFINITY), UINT64_C(1) << 63);
    assert_int_equal(geo_cell_of_score(INFINITY), 0);
}

/* G1 */
static void test_round_trip(void **state)
{
    struct rng rng;
    rng_seed(&rng, 1);
    for (unsigned i = 0; i < 200000; i++) {
        uint64_t cell = rng_below(&rng, UINT64_C(1) << 52);
        struct geo_point middle = geo_decode(cell);
        assert_true(geo_is_valid(middle));
        assert_int_equal(geo_encode(middle), cell);
        struct geo_point point = random_point(&rng);
        middle = geo_decode(geo_encode(point));
        assert_true(geo_distance(point, middle) < 0.6); /* half the diagonal of a cell at the equator */
    }
}

static void test_distances(void **state)
{
    struct rng rng;
    const double quarter_m = 6372797.560856 * M_PI / 2;
    rng_seed(&rng, 2);
    assert_true(fabs(geo_distance((struct geo_point){0, 0}, (struct geo_point){90, 0}) - quarter_m) < 1e-6);
    assert_true(fabs(geo_distance((struct geo_point){-90, 0}, (struct geo_point){90, 0}) - 2 * quarter_m) <
                1e-6);
    assert_true(fabs(geo_distance((struct geo_point){7, -45}, (struct geo_point){7, 45}) - quarter_m) < 1e-6);
    for (unsigned i = 0; i < 20000; i++) {
        struct geo_point a = random_point(&rng), b = random_point(&rng), c = random_point(&rng);
        assert_true(geo_distance(a, a) == 0);
        assert_true(fabs(geo_distance(a, b) - geo_distance(b, a)) < 1e-3);
        assert_true(geo_distance(a, b) <= 2 * quarter_m);
        assert_true(geo_distance(a, c) <= geo_distance(a, b) + geo_distance(b, c) + 1e-3);
    }
}

/* Metres from a fraction of a cell to more than the earth is round. */
static double random_size(struct rng *rng)
{
    return exp(random_between(rng, log(0.1), log(5e7)));
}

static struct geo_shape random_shape(struct rng *rng)
{
    static const double edges[] = {-180, -179.9999, 179.9999, 180, 0};
    struct geo_shape shape = {.centre = random_point(rng), .is_box = rng_below(rng, 2)};
    if (rng_below(rng, 3) == 0)
        shape.centre.longitude = edges[rng_below(rng, ARRAY_COUNT(edges))];
    if (rng_below(rng, 3) == 0)
        shape.centre.latitude = rng_below(rng, 2) ? GEO_LATITUDE_MAX : -GEO_LATITUDE_MAX;
    shape.radius_m = random_size(rng);
    shape.width_m = random_size(rng);
    shape.height_m = random_size(rng);
    return shape;
}

static double degrees_of(double metres)
{
    return metres / 6372797.560856 * 180 / M_PI;
}

/* Some point near the shape, of which about half are within it. */
static struct geo_point point_around(struct rng *rng, const struct geo_shape *shape)
{
    double up = degrees_of(shape->is_box ? shape->height_m / 2 : shape->radius_m);
    double along = degrees_of(shape->is_box ? shape->width_m / 2 : shape->radius_m) /
                   cos(shape->centre.latitude * M_PI / 180);
    struct geo_point point = {shape->centre.longitude + random_between(rng, -1.1, 1.1) * along,
                              shape->centre.latitude + random_between(rng, -1.1, 1.1) * up};
    point.longitude = remainder(point.longitude, 360);
    return geo_is_valid(point) && rng_below(rng, 8) ? point : random_point(rng);
}

static bool is_in_ranges(const struct geo_range *ranges, unsigned count, uint64_t cell)
{
    for (unsigned i = 0; i < count; i++)
        if (cell >= ranges[i].begin && cell < ranges[i].end)
            return true;
    return false;
}

/* G2 */
static void test_ranges_hold_the_shape(void **state)
{
    struct rng rng;
    unsigned inside = 0;
    rng_seed(&rng, 3);
    for (unsigned i = 0; i < 4000; i++) {
        struct geo_shape shape = random_shape(&rng);
        struct geo_range ranges[GEO_RANGES_MAX];
        unsigned count = geo_shape_ranges(&shape, ranges);
        assert_in_range(count, 1, GEO_RANGES_MAX);
        for (unsigned j = 0; j < count; j++) {
            assert_true(ranges[j].begin < ranges[j].end);
            assert_true(j == 0 || ranges[j - 1].end < ranges[j].begin);
        }
        for (unsigned j = 0; j < 60; j++) {
            uint64_t cell = geo_encode(point_around(&rng, &shape));
            double distance_m;
            if (!geo_shape_contains(&shape, geo_decode(cell), &distance_m))
                continue;
            inside++;
            assert_true(is_in_ranges(ranges, count, cell));
        }
    }
    assert_true(inside > 50000);
}

/* A small shape is found in a small part of the numbers: about its own share of the earth. */
static void test_ranges_are_narrow(void **state)
{
    struct rng rng;
    rng_seed(&rng, 4);
    for (unsigned i = 0; i < 1000; i++) {
        struct geo_shape shape = {.centre = {random_between(&rng, -179, 179), random_between(&rng, -60, 60)},
                                  .radius_m = 10000};
        struct geo_range ranges[GEO_RANGES_MAX];
        unsigned count = geo_shape_ranges(&shape, ranges);
        uint64_t cells = 0;
        for (unsigned j = 0; j < count; j++)
            cells += ranges[j].end - ranges[j].begin;
        assert_true(cells < UINT64_C(1) << 33); /* a half of a millionth: at most about 16 times the circle */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_places),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_scores_that_name_no_cell),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_distances),
        cmocka_unit_test(test_ranges_hold_the_shape),
        cmocka_unit_test(test_ranges_are_narrow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
