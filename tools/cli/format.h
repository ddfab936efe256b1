/* Replies as text: for people, raw, CSV and JSON, in the forms that scripts know from redis-cli.
 *
 * Principal entry points: format_reply.
 *
 * | type        | for people                              | raw              | CSV           | JSON                |
 * |-------------|-----------------------------------------|------------------|---------------|---------------------|
 * | string      | "quoted"                                | its bytes        | "quoted"      | "string"            |
 * | status      | as it is                                | as it is         | "quoted"      | "string"            |
 * | error       | (error) text                            | text, a line end | ERROR,"text"  | {"error":"text"}    |
 * | integer     | (integer) 1                             | 1                | 1             | 1                   |
 * | double      | (double) 1.5, the server's digits       | 1.5              | 1.5           | 1.5, or "inf"       |
 * | big number  | (big number) 12                         | 12               | 12            | 12                  |
 * | null, bool  | (nil), (true)                           | nothing, (true)  | NULL, true    | null, true          |
 * | verbatim    | its bytes                               | its bytes        | "quoted"      | "string"            |
 * | array, push | "1) " before each element               | by the delimiter | by commas     | []                  |
 * | set, map    | "1~ ", "1# key => value"                | "key value"      | by commas     | [], {}              |
 * | attributes  | lines "1| key => value" before          | left out         | left out      | left out            |
 *
 * Threads: any. */
#ifndef SKUA_CLI_FORMAT_H
#define SKUA_CLI_FORMAT_H

#include <stdbool.h>

#include <skua/reply.h>

#include "base/buf.h"
#include "cli/options.h"

struct format {
    enum cli_output output; /* not CLI_OUTPUT_AUTO */
    const char *delimiter;  /* between the elements of a raw reply */
    bool colours;           /* for people only */
};

/* Appends the reply; those for people, CSV and JSON end with a line end, raw ones with nothing. */
void format_reply(struct buf *text, const struct skua_reply *reply, const struct format *format);

/* The same for a push that came out of order: for people, an invalidation is one line, "-> invalidate: 'key'". */
void format_push(struct buf *text, const struct skua_reply *push, const struct format *format);

/* Escape sequences that the parts of skua-cli share; all are empty without colours. */
#define FORMAT_DIM    "\033[90m"
#define FORMAT_RED    "\033[31m"
#define FORMAT_GREEN  "\033[32m"
#define FORMAT_YELLOW "\033[33m"
#define FORMAT_CYAN   "\033[36m"
#define FORMAT_BOLD   "\033[1m"
#define FORMAT_PLAIN  "\033[0m"

#endif
