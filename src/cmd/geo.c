/* Places in sorted sets: GEOADD, GEODIST, GEOHASH, GEOPOS. Searching is in geo_search.c.
 *
 * Threads: executor only. */
#include "cmd/geo.h"

#include <stdio.h>

#include "base/alloc.h"
#include "cmd/zset.h"
#include "gen/args.h"

const double geo_unit_m[] = {1, 1, 1000, 0.3048, 1609.34};
_Static_assert(ARGS_GEODIST_UNIT_M == 1 && ARGS_GEODIST_UNIT_MI == 4,
               "units have the numbers of their metres");

/* ---- Shared ------------------------------------------------------------------------------------------------ */

bool geo_read_unit(struct call *call, struct slice word, double *ret_unit_m)
{
    static const char *const names[] = {"m", "km", "ft", "mi"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        if (slice_equal_nocase(word, names[i])) {
            *ret_unit_m = geo_unit_m[i + 1];
            return true;
        }
    }
    reply_error(call->out, "ERR unsupported unit provided. please use M, KM, FT, MI");
    return false;
}

bool geo_check_point(struct call *call, struct geo_point point)
{
    if (geo_is_valid(point))
        return true;
    reply_error(call->out, "ERR invalid longitude,latitude pair %f,%f", point.longitude, point.latitude);
    return false;
}

bool geo_read_point(struct call *call, const struct slice *words, struct geo_point *ret_point)
{
    if (!num_parse_double(words[0], &ret_point->longitude) ||
        !num_parse_double(words[1], &ret_point->latitude)) {
        call_not_float(call);
        return false;
    }
    return geo_check_point(call, *ret_point);
}

bool geo_find_member(const struct collection_view *zset, struct slice member, struct geo_point *ret_point)
{
    double score;
    if (zset->rows == NULL || !zset_score(zset, member, &score))
        return false;
    *ret_point = geo_decode(geo_cell_of_score(score));
    return true;
}

void geo_reply_distance(struct call *call, double distance)
{
    char text[NUM_LONG_DOUBLE_TEXT_MAX];
    reply_bulk(call->out, slice_make(text, (size_t)snprintf(text, sizeof text, "%.4f", distance)));
}

void geo_reply_point(struct call *call, struct geo_point point)
{
    reply_array(call->out, 2);
    reply_long_double(call->out, point.longitude);
    reply_long_double(call->out, point.latitude);
}

/* ---- Adding ------------------------------------------------------------------------------------------------ */

/* Reads the options at the front of words[0 .. count). Returns how many there are. */
static uint32_t read_options(struct zset_addition *addition, const struct slice *words, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (slice_equal_nocase(words[i], "nx"))
            addition->nx = true;
        else if (slice_equal_nocase(words[i], "xx"))
            addition->xx = true;
        else if (slice_equal_nocase(words[i], "ch"))
            addition->ch = true;
        else
            return i;
    }
    return count;
}

/* Longitude, latitude and member take turns. False after an answer. */
static bool read_places(struct call *call, const struct slice *words, uint32_t count, struct zset_row *rows)
{
    for (uint32_t i = 0; i < count; i++, words += 3) {
        struct geo_point point;
        if (!geo_read_point(call, words, &point))
            return false;
        rows[i].score = (double)geo_encode(point);
        rows[i].text = words[2];
    }
    return true;
}

/* GEOADD is written as what it does: ZADD with the same options, in lower case as Redis writes it. */
static void propagate_places(struct call *call, const struct args_geoadd *args, uint32_t options,
                             const struct zset_row *rows, uint32_t count)
{
    struct buf digits = {0};
    struct slice *words = mem_alloc((2 + options + 2 * (size_t)count) * sizeof *words);
    uint32_t at = 0;
    buf_reserve(&digits, (size_t)count * NUM_I64_TEXT_MAX);
    words[at++] = SLICE("zadd");
    words[at++] = args->key;
    for (uint32_t i = 0; i < options; i++)
        words[at++] = args->data[i];
    for (uint32_t i = 0; i < count; i++) {
        words[at] = propagate_number((int64_t)rows[i].score, digits.data + digits.size);
        digits.size += words[at++].size;
        words[at++] = rows[i].text;
    }
    call_propagate(call, words, at);
    mem_free(words);
    buf_done(&digits);
}

void cmd_geoadd(struct call *call, const struct args_geoadd *args)
{
    struct zset_addition addition = {0};
    uint32_t options = read_options(&addition, args->data, args->data_count);
    uint32_t words = args->data_count - options, count = words / 3;
    if (words == 0 || words % 3 != 0 || (addition.nx && addition.xx)) {
        call_syntax_error(call);
        return;
    }
    struct zset_row few[ZSET_ROWS_FEW], *rows = zset_rows_new(call, count, few);
    if (rows == NULL)
        return;
    if (read_places(call, args->data + options, count, rows) &&
        zset_put(call, args->key, &addition, rows, count)) {
        if (call->has_changed && propagate_is_on(call->exec))
            propagate_places(call, args, options, rows, count);
        reply_int(call->out, (int64_t)(addition.added + (addition.ch ? addition.updated : 0)));
    }
    zset_rows_free(call, rows, few);
}

/* ---- Telling ----------------------------------------------------------------------------------------------- */

void cmd_geodist(struct call *call, const struct args_geodist *args)
{
    struct collection_view zset;
    struct geo_point a, b;
    if (!zset_read(call, args->key, &zset))
        return;
    if (geo_find_member(&zset, args->member1, &a) && geo_find_member(&zset, args->member2, &b))
        geo_reply_distance(call, geo_distance(a, b) / geo_unit_m[args->unit]);
    else
        reply_null(call->out);
}

void cmd_geohash(struct call *call, const struct args_geohash *args)
{
    struct collection_view zset;
    struct geo_point point;
    if (!zset_read(call, args->key, &zset))
        return;
    reply_array(call->out, args->member_count);
    for (uint32_t i = 0; i < args->member_count; i++) {
        char text[GEO_TEXT_SIZE];
        if (geo_find_member(&zset, args->member[i], &point)) {
            geo_text(point, text);
            reply_bulk(call->out, slice_make(text, sizeof text));
        } else {
            reply_null(call->out);
        }
    }
}

void cmd_geopos(struct call *call, const struct args_geopos *args)
{
    struct collection_view zset;
    struct geo_point point;
    if (!zset_read(call, args->key, &zset))
        return;
    reply_array(call->out, args->member_count);
    for (uint32_t i = 0; i < args->member_count; i++) {
        if (geo_find_member(&zset, args->member[i], &point))
            geo_reply_point(call, point);
        else
            reply_null_array(call->out);
    }
}
