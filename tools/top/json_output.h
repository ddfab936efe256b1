/* A reading as JSON. Entry: json_output. Threads: one at a time for a model. */
#ifndef SKUA_TOP_JSON_OUTPUT_H
#define SKUA_TOP_JSON_OUTPUT_H

#include "base/buf.h"
#include "top/model.h"

/* Appends one object without a line end: figures and rates under INFO's names, and the lists. What the server does not
 * report, and rates that cannot be known, are left out. Texts that are no UTF-8 have U+FFFD in place of each byte. */
void json_output(const struct model *model, const char *address, struct buf *out);

#endif
