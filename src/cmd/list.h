/* What the commands of lists share with those that wait for lists, and with direct reads. Executor only, unless said. */
#ifndef SKUA_CMD_LIST_H
#define SKUA_CMD_LIST_H

#include "exec/call.h"

/* Answers with the element at one end of a list that is there, and takes it. */
void list_pop_one(struct call *call, struct key *key, struct collection_view *list, bool at_head);

/* Answers with an array of at most `count_max` elements from one end of a list that is there, in the order in which they
 * are taken, and takes them. Returns how many; 0 also when the command has been told to end. */
uint64_t list_pop_some(struct call *call, struct key *key, struct collection_view *list, bool at_head,
                       int64_t count_max);

/* Has LPOP or RPOP written in place of the call's words, with a count or without. */
void list_propagate_pop(struct call *call, struct slice name, bool at_head, bool has_count, uint64_t count);

/* Takes an element from one end of a list, puts it at one end of another, and answers with it; or answers with an
 * error. False, without an answer, when the source does not exist. */
bool list_move(struct call *call, struct slice source, struct slice destination, bool from_head,
               bool to_head);

/* The position that an index means, negative ones counting from the end. False: outside of the list. Any thread. */
bool list_resolve_index(const struct tree *rows, int64_t index, uint64_t *ret_position);

/* The positions from `start` to `stop`, both included, as far as they exist: *ret_count from *ret_first on. Any thread. */
void list_resolve_range(uint64_t size, int64_t start, int64_t stop, uint64_t *ret_first, uint64_t *ret_count);

#endif
