/* The text of an aclfile: a line `user NAME rule…` for each user.
 * Threads: one owner; what reads and writes the file itself is elsewhere (exec/permit.c, cmd/acl_file.c). */
#ifndef SKUA_ACL_FILE_H
#define SKUA_ACL_FILE_H

#include "acl/acl.h"

#define ACL_FILE_SIZE_MAX ((size_t)64 << 20)

/* Reads all users of a text. False: *ret_error has every mistake with its line, in the words of Redis; `path` stands in them.
 * acl_set_done in any case. */
bool acl_file_parse(const struct acl_terms *terms, const char *path, struct slice text,
                    struct acl_user_set *ret_set, struct buf *ret_error);

/* The text of these users. */
void acl_file_format(const struct acl_user_set *set, struct buf *ret_text);

#endif
