/* Places on the earth. Entry: geo_encode, geo_decode, geo_distance, geo_shape_contains, geo_shape_ranges. Cells, threads and
 * invariants: see geo.h. */
#include "types/geo.h"

#include <math.h>
#include <stddef.h>

#include "base/macros.h"

#define STEP_BITS 26
#define STEPS     (UINT32_C(1) << STEP_BITS) /* of each coordinate */

#define EARTH_RADIUS_M 6372797.560856

/* ---- Cells ------------------------------------------------------------------------------------------------- */

/* The bits that are left when every other run of `width` bits is taken out: 0101…, 00110011…, and so on. */
static uint64_t runs(unsigned width)
{
    return width == 32 ? UINT32_MAX : UINT64_MAX / ((UINT64_C(1) << width) + 1);
}

/* Moves bit i to bit 2i. */
static uint64_t spread(uint32_t bits)
{
    uint64_t result = bits;
    for (unsigned width = 16; width > 0; width /= 2)
        result = (result | result << width) & runs(width);
    return result;
}

/* The other way round, of the even bits. */
static uint32_t gather(uint64_t bits)
{
    bits &= runs(1);
    for (unsigned width = 1; width <= 16; width *= 2)
        bits = (bits | bits >> width) & runs(2 * width);
    return (uint32_t)bits;
}

static uint64_t interleave(uint32_t longitude_step, uint32_t latitude_step)
{
    return spread(longitude_step) << 1 | spread(latitude_step);
}

/* The step in which a value of [-limit, limit] lies; STEPS for limit itself. */
static uint32_t step_of(double value, double limit)
{
    return (uint32_t)((value + limit) / (2 * limit) * STEPS);
}

/* The middle of a step, which may be greater than there are. */
static double middle_of(uint32_t step, double limit)
{
    double low = -limit + step * 1.0 / STEPS * (2 * limit);
    double high = -limit + (step + 1.0) / STEPS * (2 * limit);
    double middle = (low + high) / 2;
    return middle > limit ? limit : middle;
}

bool geo_is_valid(struct geo_point point)
{
    return fabs(point.longitude) <= GEO_LONGITUDE_MAX && fabs(point.latitude) <= GEO_LATITUDE_MAX;
}

uint64_t geo_encode(struct geo_point point)
{
    return interleave(step_of(point.longitude, GEO_LONGITUDE_MAX), step_of(point.latitude, GEO_LATITUDE_MAX));
}

struct geo_point geo_decode(uint64_t cell)
{
    return (struct geo_point){middle_of(gather(cell >> 1), GEO_LONGITUDE_MAX),
                              middle_of(gather(cell), GEO_LATITUDE_MAX)};
}

/* Redis converts scores to integers without a look at them; this is what the instructions of usual machines make of those
 * that do not fit. */
uint64_t geo_cell_of_score(double score)
{
    const double half = 0x1p63;
    if (score >= 2 * half)
        return 0;
    if (score >= 0)
        return (uint64_t)score;
    return score >= -half ? (uint64_t)(int64_t)score : UINT64_C(1) << 63;
}

void geo_text(struct geo_point point, char ret_text[static GEO_TEXT_SIZE])
{
    static const char digits[] = "0123456789bcdefghjkmnpqrstuvwxyz";
    const unsigned digit_bits = 5;
    /* Geohashes count latitudes up to the poles. */
    uint64_t cell = interleave(step_of(point.longitude, 180), step_of(point.latitude, 90));
    unsigned bits_left = 2 * STEP_BITS;
    for (size_t i = 0; i < GEO_TEXT_SIZE; i++) {
        bool is_whole = bits_left >= digit_bits; /* for the last digit there are too few: it is 0 */
        bits_left -= is_whole ? digit_bits : 0;
        ret_text[i] = digits[is_whole ? cell >> bits_left & 31 : 0];
    }
}

/* ---- Distances --------------------------------------------------------------------------------------------- */

static double radians(double degrees)
{
    return degrees * (M_PI / 180.0);
}

static double degrees(double radians)
{
    return radians * (180.0 / M_PI);
}

/* Along a meridian. */
static double latitude_distance(double a, double b)
{
    return EARTH_RADIUS_M * fabs(radians(b) - radians(a));
}

/* The haversine formula; places on one meridian without it, which is more exact. */
double geo_distance(struct geo_point a, struct geo_point b)
{
    double half_sine = sin((radians(b.longitude) - radians(a.longitude)) / 2);
    if (half_sine == 0.0)
        return latitude_distance(a.latitude, b.latitude);
    double a_latitude = radians(a.latitude), b_latitude = radians(b.latitude);
    double latitude_half_sine = sin((b_latitude - a_latitude) / 2);
    double haversine =
        latitude_half_sine * latitude_half_sine + cos(a_latitude) * cos(b_latitude) * half_sine * half_sine;
    return 2.0 * EARTH_RADIUS_M * asin(haversine < 1 ? sqrt(haversine) : 1); /* rounded up at the antipodes */
}

/* ---- Shapes ------------------------------------------------------------------------------------------------ */

bool geo_shape_contains(const struct geo_shape *shape, struct geo_point point, double *ret_distance_m)
{
    if (shape->is_box) {
        struct geo_point beside = {shape->centre.longitude, point.latitude};
        if (latitude_distance(point.latitude, shape->centre.latitude) > shape->height_m / 2 ||
            geo_distance(point, beside) > shape->width_m / 2)
            return false;
    }
    double distance_m = geo_distance(shape->centre, point);
    if (!shape->is_box && distance_m > shape->radius_m)
        return false;
    *ret_distance_m = distance_m;
    return true;
}

/* How many degrees a shape reaches from its centre to the north and to the south. */
static double reach_of_latitude(const struct geo_shape *shape)
{
    return degrees((shape->is_box ? shape->height_m / 2 : shape->radius_m) / EARTH_RADIUS_M);
}

/* How many degrees it reaches to the east and to the west. `latitude`: the greatest it reaches, without its sign. */
static double reach_of_longitude(const struct geo_shape *shape, double latitude)
{
    double angle, sine, widest = fabs(shape->centre.latitude);
    if (shape->is_box) {
        /* Two places of one latitude, as far apart as the width allows: sin(d / 2R) = cos(latitude) sin(difference / 2). */
        angle = shape->width_m / 2 / EARTH_RADIUS_M / 2;
        widest = latitude;
    } else {
        /* The meridian touches the circle: sin(r / R) = cos(latitude of the centre) sin(difference). */
        angle = shape->radius_m / EARTH_RADIUS_M;
    }
    if (angle >= M_PI / 2 || latitude >= 90)
        return GEO_LONGITUDE_MAX;
    sine = sin(angle) / cos(radians(widest));
    if (sine >= 1)
        return GEO_LONGITUDE_MAX;
    return degrees(asin(sine)) * (shape->is_box ? 2 : 1);
}

/* Steps [first, last] of a coordinate. */
struct span {
    uint32_t first;
    uint32_t last;
};

static struct span span_between(double low, double high, double limit)
{
    return (struct span){step_of(low < -limit ? -limit : low, limit),
                         step_of(high > limit ? limit : high, limit)};
}

/* The columns of a shape: two spans when it reaches over the meridian where longitudes begin again. */
static unsigned columns_of(double longitude, double reach, struct span ret_columns[static 2])
{
    const double limit = GEO_LONGITUDE_MAX;
    ret_columns[0] = span_between(longitude - reach, longitude + reach, limit);
    if (reach >= limit) {
        ret_columns[0] = span_between(-limit, limit, limit);
        return 1;
    }
    if (longitude - reach <= -limit)
        ret_columns[1] = span_between(longitude - reach + 2 * limit, limit, limit);
    else if (longitude + reach >= limit)
        ret_columns[1] = span_between(-limit, longitude + reach - 2 * limit, limit);
    else
        return 1;
    return 2;
}

static uint64_t cells_across(struct span span, unsigned shift)
{
    return (uint64_t)(span.last >> shift) - (span.first >> shift) + 1;
}

/* How many low bits of step numbers are left out, so that there are at most GEO_RANGES_MAX cells. */
static unsigned choose_shift(struct span rows, const struct span *columns, unsigned column_spans)
{
    unsigned shift = 0;
    for (;; shift++) {
        uint64_t across = 0;
        for (unsigned i = 0; i < column_spans; i++)
            across += cells_across(columns[i], shift);
        if (across <= GEO_RANGES_MAX && across * cells_across(rows, shift) <= GEO_RANGES_MAX)
            return shift;
    }
}

/* Puts a range into its place among the ascending ones, and makes one of what touches or overlaps. */
static unsigned add_range(struct geo_range *ranges, unsigned count, struct geo_range range)
{
    unsigned at = count, behind;
    while (at > 0 && ranges[at - 1].end >= range.begin)
        at--;
    for (behind = at; behind < count && ranges[behind].begin <= range.end; behind++) {
        range.begin = range.begin < ranges[behind].begin ? range.begin : ranges[behind].begin;
        range.end = range.end > ranges[behind].end ? range.end : ranges[behind].end;
    }
    unsigned joined = behind - at;
    if (joined == 0)
        for (unsigned i = count; i > at; i--)
            ranges[i] = ranges[i - 1];
    for (unsigned i = behind; joined > 1 && i < count; i++)
        ranges[i - joined + 1] = ranges[i];
    ranges[at] = range;
    return count + 1 - joined;
}

unsigned geo_shape_ranges(const struct geo_shape *shape, struct geo_range ret_ranges[static GEO_RANGES_MAX])
{
    /* Distances are computed with rounding: a centimetre more than there is room for that. */
    const double slack = 1e-7;
    const struct geo_point centre = shape->centre;
    double reach = reach_of_latitude(shape) + slack;
    double latitude = fabs(centre.latitude) + reach;
    struct span rows = span_between(centre.latitude - reach, centre.latitude + reach, GEO_LATITUDE_MAX);
    struct span columns[2];
    /* No place is farther north or south than cells are. */
    double reached = shape->is_box && latitude > GEO_LATITUDE_MAX ? GEO_LATITUDE_MAX : latitude;
    unsigned column_spans = columns_of(centre.longitude, reach_of_longitude(shape, reached) + slack, columns);
    unsigned shift = choose_shift(rows, columns, column_spans), count = 0;
    for (unsigned i = 0; i < column_spans; i++)
        for (uint32_t column = columns[i].first >> shift; column <= columns[i].last >> shift; column++)
            for (uint32_t row = rows.first >> shift; row <= rows.last >> shift; row++) {
                uint64_t cell = interleave(column, row);
                count = add_range(ret_ranges, count,
                                  (struct geo_range){cell << 2 * shift, (cell + 1) << 2 * shift});
            }
    return count;
}
