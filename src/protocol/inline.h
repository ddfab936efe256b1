/* Splits the line of an inline command into arguments, as a person types them into telnet.
 *
 * Principal entry points: inline_split. For parser.c only: others see the result through parser_next.
 * Threads: the owner of the connection. The bytes are not trusted. */
#ifndef SKUA_PROTOCOL_INLINE_H
#define SKUA_PROTOCOL_INLINE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"
#include "protocol/parser.h"

/* Adds the arguments of line[0 .. size) (no line end) to the parser; escapes and quotes are resolved in
 * place, the offsets are relative to `line`. ST_INVALID: a quote is not closed, or not followed by a space.
 */
enum status inline_split(struct parser *parser, char *line, size_t size);

/* Adds one argument. False when memory is refused. */
bool parser_push_arg(struct parser *parser, size_t offset, size_t size);

#endif
