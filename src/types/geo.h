/* Places on the earth: as numbers, as geohashes, how far apart they are, and where to look for those within a shape.
 *
 * Principal entry points: geo_encode, geo_decode, geo_distance, geo_shape_contains, geo_shape_ranges.
 * A place is the number of a cell: longitude and latitude are each divided into 2^26 equal steps, and the bits of the two
 * step numbers take turns, longitude first. The upper 2n bits of the number are then the number of a larger cell, and all
 * places of that cell lie in one range of numbers. These numbers are what Redis stores as scores of sorted sets.
 * Knows only numbers. Threads: any; no state.
 *
 * G1  geo_encode(geo_decode(cell)) == cell for each cell below 2^52.
 * G2  A place within a shape lies in one of its ranges; ranges ascend, do not touch, and are at most GEO_RANGES_MAX. */
#ifndef SKUA_TYPES_GEO_H
#define SKUA_TYPES_GEO_H

#include <stdbool.h>
#include <stdint.h>

#define GEO_LONGITUDE_MAX 180.0
#define GEO_LATITUDE_MAX  85.05112878 /* where a map of Mercator's projection is as high as wide */

/* Degrees. */
struct geo_point {
    double longitude;
    double latitude;
};

/* Whether both lie within what a cell can name. */
bool geo_is_valid(struct geo_point point);

/* The number of the cell of a valid point: below 2^52 unless the point lies on the last meridian or parallel. */
uint64_t geo_encode(struct geo_point point);
/* The middle of a cell. Numbers that are no cell's name some valid point, too. */
struct geo_point geo_decode(uint64_t cell);

/* The cell that a score names. Also for a score that no cell has: the number then is what Redis makes of it. */
uint64_t geo_cell_of_score(double score);

#define GEO_TEXT_SIZE 11
/* The geohash of a point as other systems write it, without an end mark. */
void geo_text(struct geo_point point, char ret_text[static GEO_TEXT_SIZE]);

/* Metres along a great circle. */
double geo_distance(struct geo_point a, struct geo_point b);

/* A circle, or a box whose height is measured along the meridian of its centre, and whose width along the parallel of the
 * place that is looked at. */
struct geo_shape {
    struct geo_point centre; /* valid */
    bool is_box;
    double radius_m;
    double width_m; /* of a box */
    double height_m;
};

/* Whether a point lies within a shape; *ret_distance_m is its distance from the centre then. */
bool geo_shape_contains(const struct geo_shape *shape, struct geo_point point, double *ret_distance_m);

/* Cells [begin, end). */
struct geo_range {
    uint64_t begin;
    uint64_t end;
};

#define GEO_RANGES_MAX 32

/* Ranges that hold every cell whose middle lies within the shape (G2). Returns how many. */
unsigned geo_shape_ranges(const struct geo_shape *shape, struct geo_range ret_ranges[static GEO_RANGES_MAX]);

#endif
