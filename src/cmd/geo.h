/* What the commands of places share. Executor only. */
#ifndef SKUA_CMD_GEO_H
#define SKUA_CMD_GEO_H

#include "exec/call.h"
#include "types/geo.h"

/* Metres in each unit, by the numbers that the declarations give units: none, M, KM, FT, MI. */
extern const double geo_unit_m[];

/* The metres of the unit that a word names. False after an answer. */
bool geo_read_unit(struct call *call, struct slice word, double *ret_unit_m);

/* Reads longitude and latitude from words[0] and words[1]; or checks what was read. False after an answer. */
bool geo_read_point(struct call *call, const struct slice *words, struct geo_point *ret_point);
bool geo_check_point(struct call *call, struct geo_point point);

/* Where a member of an opened sorted set is. False: it is not there, or there is no set (rows == NULL). */
bool geo_find_member(const struct collection_view *zset, struct slice member, struct geo_point *ret_point);

/* A distance with four decimals; an array of longitude and latitude. */
void geo_reply_distance(struct call *call, double distance);
void geo_reply_point(struct call *call, struct geo_point point);

#endif
