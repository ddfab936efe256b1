/* Rows that are found by their first element. Entry: members_find, members_scan. Threads: see members.h. */
#include "types/members.h"

#include <string.h>

#include "base/alloc.h"
#include "base/bug.h"

/* Up to this part of all, positions are drawn at random: few are drawn twice. */
#define CHOICE_FEW_PART 4
/* Slots for each position that is drawn. */
#define CHOICE_SLOTS 2
/* Slots that are cleared at once. */
#define CLEAR_STEP 32

static uint64_t seed_of(const struct tree *rows)
{
    return *(const uint64_t *)rows->context;
}

static struct tree_order member_order(const struct page *page, unsigned row, const void *context)
{
    return (struct tree_order){element_hash(page_element(page, row, 0), *(const uint64_t *)context), 0};
}

static void member_hashes(const struct page *page, const void *context, uint64_t *ret_hashes)
{
    uint64_t seed = *(const uint64_t *)context;
    for (unsigned row = 0; row < page->count; row++)
        ret_hashes[row] = element_hash(page_element(page, row, 0), seed);
}

#define SCATTERED .order = member_order, .hashes = member_hashes, .scattered = true

const struct tree_type set_tree = {.layout = PAGE_SET, SCATTERED};
const struct tree_type zset_index_tree = {.layout = PAGE_INDEX, SCATTERED};
const struct tree_type hash_tree = {.layout = PAGE_HASH, SCATTERED};
const struct tree_type timed_hash_tree = {.layout = PAGE_TIMED_HASH, SCATTERED};

/* A text to be found, as an element where it is short enough; a long one has no element before it is stored. */
struct wanted {
    struct element element;
    struct slice text; /* data NULL: the element says it all */
};

static bool find_in_page(struct tree_place *place, const struct wanted *wanted)
{
    const struct page *page = place->page;
    place->row = unlikely(wanted->text.data != NULL) ? page_find_long(page, wanted->text)
                                                     : page_find(page, wanted->element);
    return place->row < page->count;
}

static bool find_below(const struct tree *rows, const struct wanted *wanted, uint64_t hash,
                       struct tree_place *ret_place)
{
    struct tree_probe probe = {.order = {hash, 0}};
    tree_seek(rows, &probe, ret_place);
    page_prefetch(ret_place->page);
    if (find_in_page(ret_place, wanted))
        return true;
    if (likely(ret_place->separator.major != hash))
        return false;
    /* Rows of the same hash may reach back over the leaves that begin with it. */
    struct tree_place before = *ret_place;
    while (before.separator.major == hash && tree_previous_page(rows, &before)) {
        if (find_in_page(&before, wanted)) {
            *ret_place = before;
            return true;
        }
    }
    return false;
}

/* A single page is looked through without a hash. */
static bool find_in_root(const struct tree *rows, const struct wanted *wanted, struct tree_place *ret_place)
{
    ret_place->page = rows->root.page;
    ret_place->separator = (struct tree_order){0, 0};
    return find_in_page(ret_place, wanted);
}

bool members_find(const struct tree *rows, struct element member, struct tree_place *ret_place,
                  uint64_t *ret_hash)
{
    struct wanted wanted = {.element = member};
    *ret_hash = 0;
    if (rows->depth == 0)
        return find_in_root(rows, &wanted, ret_place);
    *ret_hash = element_hash(member, seed_of(rows));
    return find_below(rows, &wanted, *ret_hash, ret_place);
}

/* A short text needs no memory: its element is in `scratch` or in the text. */
ALWAYS_INLINE void wanted_init(struct wanted *wanted, struct slice text, element_scratch scratch)
{
    if (unlikely(text.size > ELEMENT_BYTES_MAX)) {
        wanted->text = text;
        return;
    }
    element_make(text, scratch, &wanted->element);
    wanted->text.data = NULL;
}

static uint64_t hash_of(const struct tree *rows, const struct wanted *wanted)
{
    return wanted->text.data != NULL ? hash_slice(wanted->text, seed_of(rows))
                                     : element_hash(wanted->element, seed_of(rows));
}

bool members_locate(const struct tree *rows, struct slice text, struct tree_place *ret_place)
{
    element_scratch scratch;
    struct wanted wanted;
    wanted_init(&wanted, text, scratch);
    if (rows->depth == 0)
        return find_in_root(rows, &wanted, ret_place);
    return find_below(rows, &wanted, hash_of(rows, &wanted), ret_place);
}

static uint8_t tag_of(const struct wanted *wanted)
{
    return wanted->text.data != NULL ? element_tag_long(wanted->text) : element_tag(wanted->element);
}

static void fetch_add(struct members_fetch *fetch, const struct wanted *wanted, struct slice text, bool adds)
{
    fetch->texts[fetch->count] = text;
    struct page_fetch *in_leaf = &fetch->in_leaves[fetch->count++];
    in_leaf->adds = adds;
    in_leaf->tag = tag_of(wanted);
}

void members_fetch_add(struct members_fetch *fetch, const struct tree *rows, struct slice text, bool adds)
{
    element_scratch scratch;
    struct wanted wanted;
    wanted_init(&wanted, text, scratch);
    unsigned descent = fetch->descent_count++;
    fetch->descending[descent] = (uint8_t)fetch->count;
    tree_descent_begin(&fetch->descents[descent], rows, hash_of(rows, &wanted));
    fetch_add(fetch, &wanted, text, adds);
}

void members_fetch_add_page(struct members_fetch *fetch, const struct page *page, struct slice text,
                            bool adds)
{
    element_scratch scratch;
    struct wanted wanted;
    wanted_init(&wanted, text, scratch);
    fetch->leaves[fetch->count] = page;
    fetch_add(fetch, &wanted, text, adds);
}

void members_fetch_all(struct members_fetch *fetch)
{
    tree_descend_together(fetch->descents, fetch->descent_count);
    for (unsigned i = 0; i < fetch->descent_count; i++)
        fetch->leaves[fetch->descending[i]] = fetch->descents[i].child->page;
    for (unsigned i = 0; i < fetch->count; i++)
        page_fetch_tags(fetch->leaves[i], &fetch->in_leaves[i]);
    for (unsigned i = 0; i < fetch->count; i++)
        page_fetch_ends(fetch->leaves[i], &fetch->in_leaves[i]);
    for (unsigned i = 0; i < fetch->count; i++)
        page_fetch_rows(fetch->leaves[i], &fetch->in_leaves[i]);
    for (unsigned i = 0; i < fetch->count; i++)
        page_fetch_places(&fetch->in_leaves[i]);
}

struct members_seen members_seen_of(struct members_fetch *fetch, struct slice text)
{
    for (unsigned i = fetch->asked; i < fetch->descent_count; i++) {
        unsigned member = fetch->descending[i];
        if (fetch->texts[member].data == text.data && fetch->texts[member].size == text.size) {
            fetch->asked = i;
            return (struct members_seen){&fetch->descents[i], &fetch->in_leaves[member]};
        }
    }
    return (struct members_seen){NULL, NULL};
}

/* In the leaf that tree_descent_place has told. */
static bool find_in_seen_leaf(const struct tree *rows, struct element member, struct members_seen seen,
                              struct tree_place *place)
{
    DEBUG_ASSERT(seen.descent->hash == element_hash(member, seed_of(rows)));
    place->row =
        page_find_fetched(place->page, member, seen.in_leaf, tree_descent_rows_hold(rows, seen.descent));
    DEBUG_ASSERT(place->row == page_find(place->page, member));
    return place->row < place->page->count;
}

bool members_find_seen(const struct tree *rows, struct element member, struct members_seen seen,
                       struct tree_place *ret_place, uint64_t *ret_hash)
{
    if (seen.descent == NULL || unlikely(!tree_descent_place(rows, seen.descent, ret_place)))
        return members_find(rows, member, ret_place, ret_hash);
    *ret_hash = seen.descent->hash;
    return find_in_seen_leaf(rows, member, seen, ret_place);
}

bool members_locate_seen(const struct tree *rows, struct slice text, struct members_seen seen,
                         struct tree_place *ret_place)
{
    element_scratch scratch;
    struct element member;
    if (seen.descent == NULL || text.size > ELEMENT_BYTES_MAX ||
        unlikely(!tree_descent_place(rows, seen.descent, ret_place)))
        return members_locate(rows, text, ret_place);
    element_make(text, scratch, &member);
    return find_in_seen_leaf(rows, member, seen, ret_place);
}

void members_add(struct tree *rows, struct tree_place *place, uint64_t hash, struct row *row)
{
    if (rows->depth == 0)
        hash = element_hash(row->elements[0], seed_of(rows));
    place->row = place->page->count;
    tree_insert(rows, place, row, (struct tree_order){hash, 0});
}

/* ---- Chance ------------------------------------------------------------------------------------------------ */

void members_random(const struct tree *rows, struct rng *rng, struct tree_place *ret_place)
{
    tree_at(rows, rng_below(rng, tree_rows(rows)), ret_place);
}

/* In the worst case all stand behind the last slot that any is meant for. */
static uint64_t slots_of(uint64_t count)
{
    return (CHOICE_SLOTS + 1) * count;
}

enum status members_choice_init(struct members_choice *choice, uint64_t size, uint64_t count)
{
    DEBUG_ASSERT(count > 0 && count <= size);
    bool are_few = count <= size / CHOICE_FEW_PART;
    *choice = (struct members_choice){
        .size = size, .count = count, .state = are_few ? CHOICE_CLEARS : CHOICE_PASSES};
    uint64_t slots = are_few ? slots_of(count) : count;
    if (slots > MEM_SIZE_MAX / sizeof *choice->positions)
        return ST_NOMEM;
    choice->positions = mem_try_alloc(slots * sizeof *choice->positions);
    return choice->positions == NULL ? ST_NOMEM : ST_OK;
}

static void clear_some(struct members_choice *choice)
{
    uint64_t left = slots_of(choice->count) - choice->at, count = left < CLEAR_STEP ? left : CLEAR_STEP;
    memset(choice->positions + choice->at, 0, count * sizeof *choice->positions);
    choice->at += count;
    if (count == left) {
        choice->at = 0;
        choice->state = CHOICE_DRAWS;
    }
}

/* Draws a position and puts it where it belongs; larger ones move on. */
static void draw_one(struct members_choice *choice, struct rng *rng)
{
    uint64_t position = rng_below(rng, choice->size), mark = position + 1;
    uint64_t *slot = choice->positions +
                     (uint64_t)((unsigned __int128)position * (CHOICE_SLOTS * choice->count) / choice->size);
    while (*slot != 0 && *slot < mark)
        slot++;
    if (*slot == mark)
        return; /* again */
    for (uint64_t moved; mark != 0; mark = moved) {
        moved = *slot;
        *slot++ = mark;
    }
    if (++choice->chosen == choice->count) {
        choice->chosen = 0;
        choice->state = CHOICE_CLOSES;
    }
}

static void close_gap(struct members_choice *choice)
{
    uint64_t mark = choice->positions[choice->at++];
    if (mark != 0)
        choice->positions[choice->chosen++] = mark - 1;
    if (choice->chosen == choice->count)
        choice->state = CHOICE_READY;
}

static void pass_one(struct members_choice *choice, struct rng *rng)
{
    uint64_t position = choice->at++;
    if (rng_below(rng, choice->size - position) < choice->count - choice->chosen)
        choice->positions[choice->chosen++] = position;
    if (choice->chosen == choice->count)
        choice->state = CHOICE_READY;
}

bool members_choose(struct members_choice *choice, struct rng *rng, uint64_t steps)
{
    for (; steps > 0 && choice->state != CHOICE_READY; steps--) {
        switch (choice->state) {
        case CHOICE_CLEARS: clear_some(choice); break;
        case CHOICE_DRAWS: draw_one(choice, rng); break;
        case CHOICE_CLOSES: close_gap(choice); break;
        case CHOICE_PASSES: pass_one(choice, rng); break;
        case CHOICE_READY: break;
        }
    }
    return choice->state == CHOICE_READY;
}

/* ---- Walking ----------------------------------------------------------------------------------------------- */

uint64_t members_scan(const struct tree *rows, uint64_t cursor, uint64_t count, members_visit_fn *visit,
                      void *context)
{
    struct tree_probe probe = {.order = {cursor, 0}};
    struct tree_place place;
    uint64_t visited = 0;
    tree_seek(rows, &probe, &place);
    /* The rows of this very hash may begin further to the left. */
    while (place.separator.major == cursor && cursor > 0 && tree_previous_page(rows, &place))
        ;
    for (;;) {
        for (unsigned row = 0; row < place.page->count; row++) {
            if (rows->depth > 0 && cursor > 0 && member_order(place.page, row, rows->context).major < cursor)
                continue;
            if (visit != NULL)
                visit(context, place.page, row);
            visited++;
        }
        if (!tree_next_page(rows, &place))
            return 0;
        /* A leaf that begins with the hash of the last one's end cannot be told from it by the cursor. */
        if (visited >= count && place.separator.major > cursor)
            return place.separator.major;
    }
}

/* ---- Check ------------------------------------------------------------------------------------------------- */

void members_check(const struct tree *rows, uint64_t first, uint64_t count)
{
    struct tree_place place, found;
    for (uint64_t i = 0; i < count; i++) {
        if (i == 0)
            tree_at(rows, first, &place);
        else if (++place.row == place.page->count)
            ASSERT(tree_next_page(rows, &place));
        struct element member = page_element(place.page, place.row, 0);
        element_scratch scratch;
        ASSERT(members_locate(rows, element_text(member, scratch), &found));
        ASSERT(found.page == place.page && found.row == place.row);
    }
}
