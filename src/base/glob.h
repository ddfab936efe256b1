/* Glob patterns as KEYS, SCAN MATCH, PSUBSCRIBE and CONFIG GET use them: * ? [abc] [^a] [a-z] and \x.
 * Works in time proportional to pattern x text at worst (no exponential backtracking). */
#ifndef SKUA_BASE_GLOB_H
#define SKUA_BASE_GLOB_H

#include <stdbool.h>

#include "base/slice.h"

bool glob_match(struct slice pattern, struct slice text);
bool glob_match_nocase(struct slice pattern, struct slice text);

#endif
