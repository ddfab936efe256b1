/* Rows that are found by their first element: members of sets, fields of hashes.
 *
 * Principal entry points: members_find, members_add, members_random, members_choose, members_scan.
 * The rows lie in a scattered tree: leaves in the order of the members' hashes, rows within a leaf in no order, found by
 * their tags (ds/page.h). The tree's context is the seed of the hash (uint64_t).
 * Knows trees and elements, nothing of clients, commands and replies.
 * Threads: the executor; reading a snapshot, any. */
#ifndef SKUA_TYPES_MEMBERS_H
#define SKUA_TYPES_MEMBERS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/rng.h"
#include "base/status.h"
#include "ds/tree.h"

extern const struct tree_type set_tree;
extern const struct tree_type zset_index_tree; /* members and their scores: types/zset.h */
extern const struct tree_type hash_tree;
extern const struct tree_type timed_hash_tree; /* fields that may expire: types/hash.h */

/* Finds the row of a member. False: there is none, and the place is where members_add puts it, with what *ret_hash says:
 * the member's hash where it was needed. */
bool members_find(const struct tree *rows, struct element member, struct tree_place *ret_place,
                  uint64_t *ret_hash);

/* Adds a row at the place that members_find gave, with its hash. Takes over the blobs. */
void members_add(struct tree *rows, struct tree_place *place, uint64_t hash, struct row *row);

/* Finds the row of a member by its text, which needs no memory: a long one is compared where it is. False: there is
 * none. */
bool members_locate(const struct tree *rows, struct slice text, struct tree_place *ret_place);

ALWAYS_INLINE bool members_contain(const struct tree *rows, struct slice text)
{
    struct tree_place place;
    return members_locate(rows, text, &place);
}

/* Asks ahead for what members_locate will read, and members_add write, of several members at once: each stage goes through
 * all of them, and asks for what the next one reads. Good until the rows change; what it has found out, as members_seen_of
 * says. */
#define MEMBERS_FETCH_MAX 32
struct members_fetch {
    unsigned count; /* members */
    struct slice texts[MEMBERS_FETCH_MAX];
    const struct page *leaves[MEMBERS_FETCH_MAX];
    struct page_fetch in_leaves[MEMBERS_FETCH_MAX];
    unsigned descent_count;                          /* members that are looked up in trees */
    unsigned asked;                                  /* of these: members_seen_of goes on from here */
    uint8_t descending[MEMBERS_FETCH_MAX];           /* which ones these are */
    struct tree_descent descents[MEMBERS_FETCH_MAX]; /* and where they have come to */
};

ALWAYS_INLINE void members_fetch_begin(struct members_fetch *fetch)
{
    fetch->count = 0;
    fetch->descent_count = 0;
    fetch->asked = 0;
}

/* One more, of at most MEMBERS_FETCH_MAX. `adds`: the member may be added if it is not there. */
void members_fetch_add(struct members_fetch *fetch, const struct tree *rows, struct slice text, bool adds);
/* The same of a page, which is asked for. */
void members_fetch_add_page(struct members_fetch *fetch, const struct page *page, struct slice text,
                            bool adds);
void members_fetch_all(struct members_fetch *fetch);

/* What members_fetch_all has seen of a member; descent NULL: nothing. */
struct members_seen {
    const struct tree_descent *descent;
    const struct page_fetch *in_leaf;
};

/* That of the member whose text is this one: not an equal one, but the same bytes in memory, which must not have changed. Quick
 * in the order of members_fetch_add. Good until members_fetch_begin, whatever happens to the rows. */
struct members_seen members_seen_of(struct members_fetch *fetch, struct slice text);

/* As members_find and members_locate, quickly if the rows are as they were seen. */
bool members_find_seen(const struct tree *rows, struct element member, struct members_seen seen,
                       struct tree_place *ret_place, uint64_t *ret_hash);
bool members_locate_seen(const struct tree *rows, struct slice text, struct members_seen seen,
                         struct tree_place *ret_place);
#define MEMBERS_NOT_SEEN ((struct members_seen){NULL, NULL})

/* Some row of a tree that has any, each with the same probability. */
void members_random(const struct tree *rows, struct rng *rng, struct tree_place *ret_place);

/* Choosing different positions in steps.
 *
 * Of few among many, positions are drawn, and drawn again where they were before. They are put into slots, each as far along
 * the slots as it is along the rows, or behind that where others are: so what stands in the slots always ascends, and the gaps
 * are closed at the end. Of many, all positions are gone through, and each is taken with the probability that as many are
 * still wanted as are left.
 *
 * | state          | what is being done                                    | leads to      |
 * |----------------|-------------------------------------------------------|---------------|
 * | CHOICE_CLEARS  | clear_some: slots before `at` are empty                | CHOICE_DRAWS  |
 * | CHOICE_DRAWS   | draw_one: position + 1 is put into a slot; 0 is empty | CHOICE_CLOSES |
 * | CHOICE_CLOSES  | close_gap: slots before `at` have been looked at      | CHOICE_READY  |
 * | CHOICE_PASSES  | pass_one: positions before `at` have been looked at   | CHOICE_READY  |
 * | CHOICE_READY   | nothing                                               |               |
 *
 * chosen <= count. From CHOICE_CLOSES on, positions[0 .. chosen) ascend and are final. */
struct members_choice {
    uint64_t *positions; /* the slots, then what was chosen */
    uint64_t size;       /* to choose from */
    uint64_t count;
    uint64_t chosen;
    uint64_t at;
    enum { CHOICE_CLEARS, CHOICE_DRAWS, CHOICE_CLOSES, CHOICE_PASSES, CHOICE_READY } state;
};

/* `count` positions below `size`, 0 < count <= size. ST_NOMEM: there is nothing to free. */
enum status members_choice_init(struct members_choice *choice, uint64_t size, uint64_t count);

/* Goes on for so many steps. True: choice->positions are `count` different ones in ascending order, and the caller's to
 * free; each choice is as likely as any other. */
bool members_choose(struct members_choice *choice, struct rng *rng, uint64_t steps);

typedef void members_visit_fn(void *context, const struct page *page, unsigned row);

/* One step of a walk that begins with cursor 0 and is over when it returns 0: visits about `count` rows, a whole leaf at
 * the least. Rows that are there from the beginning to the end of the walk are visited at least once, whatever changes
 * meanwhile. A tree of one page is visited in one step. `visit` NULL: only the next cursor is wanted. */
uint64_t members_scan(const struct tree *rows, uint64_t cursor, uint64_t count, members_visit_fn *visit,
                      void *context);

/* Asserts of `count` rows from position `first` on that they are found where they are, and so are there once. */
void members_check(const struct tree *rows, uint64_t first, uint64_t count);

#endif
