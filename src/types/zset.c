/* Sorted sets. Entry: zset_find, zset_add, zset_count_below. Threads and invariants: see zset.h. */
#include "types/zset.h"

#include <string.h>

#include "base/bug.h"

uint64_t zset_bits(double score)
{
    return number_of_double(score);
}

double zset_score_of(uint64_t bits)
{
    return number_to_double(bits);
}

static struct slice member_text(const struct page *page, unsigned row, element_scratch scratch)
{
    return element_text(page_element(page, row, 0), scratch);
}

static struct tree_order row_order(const struct page *page, unsigned row, const void *context)
{
    element_scratch scratch;
    return (struct tree_order){page_number(page, row), slice_prefix(member_text(page, row, scratch))};
}

const struct tree_type zset_tree = {.layout = PAGE_SORTED, .order = row_order};

/* ---- The place of a row ------------------------------------------------------------------------------------ */

struct zset_probe {
    struct tree_probe probe;
    uint64_t bits;
    struct slice member;
};

/* <0, 0, >0: the probe stands before, at, behind the row. */
static int compare_row(const struct zset_probe *probe, const struct page *page, unsigned row)
{
    uint64_t bits = page_number(page, row);
    if (probe->bits != bits)
        return probe->bits < bits ? -1 : 1;
    element_scratch scratch;
    return slice_compare(probe->member, member_text(page, row, scratch));
}

static int compare_first(const struct tree_probe *probe, const struct page *page)
{
    return compare_row((const struct zset_probe *)probe, page, 0);
}

/* The row of a score and a member, or where it would be. */
static bool seek_row(const struct tree *rows, uint64_t bits, struct slice member,
                     struct tree_place *ret_place)
{
    struct zset_probe probe = {.probe = {.order = {bits, slice_prefix(member)}, .compare = compare_first},
                               .bits = bits,
                               .member = member};
    tree_seek(rows, &probe.probe, ret_place);
    const struct page *page = ret_place->page;
    struct page_scores scores = page_scores(page);
    unsigned low = 0, high = page->count;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        uint64_t found = page_score(&scores, middle);
        int order = bits < found ? -1 : 1;
        if (bits == found) {
            element_scratch scratch;
            order = slice_compare(member, member_text(page, middle, scratch));
        }
        if (order == 0) {
            ret_place->row = middle;
            return true;
        }
        if (order > 0)
            low = middle + 1;
        else
            high = middle;
    }
    ret_place->row = low;
    return false;
}

static void locate_row(const struct tree *rows, struct slice member, uint64_t bits,
                       struct tree_place *ret_place)
{
    if (!seek_row(rows, bits, member, ret_place))
        BUG("a member of a sorted set is not where its score says");
}

/* ---- The index --------------------------------------------------------------------------------------------- */

/* Adds a member that is not there, with another reference of its blob. */
static void index_add(struct tree *index, struct element member, uint64_t bits)
{
    struct tree_place place;
    uint64_t hash;
    struct row row = {.number = bits, .elements[0] = member};
    if (members_find(index, member, &place, &hash))
        BUG("a member of a sorted set is in its index twice");
    element_ref(member);
    members_add(index, &place, hash, &row);
}

static void index_locate(const struct tree *index, struct slice member, struct tree_place *ret_place)
{
    if (!members_locate(index, member, ret_place))
        BUG("a member of a sorted set is missing in its index");
}

static void index_build(struct tree *ret_index, const struct tree *rows)
{
    struct tree_place place;
    tree_init(ret_index, &zset_index_tree, rows->context, rows->heap);
    tree_at(rows, 0, &place);
    do {
        for (unsigned row = 0; row < place.page->count; row++)
            index_add(ret_index, page_element(place.page, row, 0), page_number(place.page, row));
    } while (tree_next_page(rows, &place));
}

/* ---- Finding ----------------------------------------------------------------------------------------------- */

bool zset_find(const struct collection_view *zset, struct slice member, struct zset_found *ret_found)
{
    const struct tree *rows = zset->index != NULL ? zset->index : zset->rows;
    if (!members_locate(rows, member, &ret_found->place))
        return false;
    ret_found->bits = page_number(ret_found->place.page, ret_found->place.row);
    return true;
}

bool zset_score(const struct collection_view *zset, struct slice member, double *ret_score)
{
    struct zset_found found;
    if (!zset_find(zset, member, &found))
        return false;
    *ret_score = zset_score_of(found.bits);
    return true;
}

void zset_locate(const struct collection_view *zset, struct slice member, const struct zset_found *found,
                 struct tree_place *ret_place)
{
    if (zset->index == NULL)
        *ret_place = found->place;
    else
        locate_row(zset->rows, member, found->bits, ret_place);
}

const struct page *zset_likely_leaf(const struct tree *rows, double score, struct slice member)
{
    struct tree_probe probe = {.order = {zset_bits(score), slice_prefix(member)}};
    struct tree_place place;
    tree_seek(rows, &probe, &place);
    return place.page;
}

/* ---- Changing ---------------------------------------------------------------------------------------------- */

static void insert_row(struct tree *rows, struct element member, uint64_t bits)
{
    struct tree_place place;
    element_scratch scratch;
    struct row row = {.number = bits, .elements[0] = member};
    struct slice text = element_text(member, scratch);
    seek_row(rows, bits, text, &place);
    tree_insert(rows, &place, &row, (struct tree_order){bits, slice_prefix(text)});
}

/* Rows that have just grown out of one page get their index at once: the command may go on adding. It lies in the view
 * until collection_close. */
static void keep_index(struct collection_view *zset)
{
    if (zset->index == NULL && zset->rows->depth > 0) {
        index_build(&zset->new_index, zset->rows);
        zset->index = &zset->new_index;
    }
}

void zset_add(struct collection_view *zset, struct element member, double score)
{
    uint64_t bits = zset_bits(score);
    if (zset->index != NULL)
        index_add(zset->index, member, bits);
    insert_row(zset->rows, member, bits);
    keep_index(zset);
}

/* The row of a member whose score is about to go; of a large set, `elsewhere` is where it is put. */
static struct tree_place *row_of(const struct collection_view *zset, struct slice member,
                                 struct zset_found *found, struct tree_place *elsewhere)
{
    if (zset->index == NULL)
        return &found->place;
    locate_row(zset->rows, member, found->bits, elsewhere);
    return elsewhere;
}

/* Gives a row of a single page another score, in place. False: the page's column cannot take it. */
static bool move_row(struct tree *rows, struct slice member, struct tree_place *place, uint64_t bits)
{
    struct tree_place target;
    unsigned row = place->row;
    seek_row(rows, bits, member, &target); /* among all rows, the one that goes included */
    struct page **page = tree_edit_page(rows, place);
    return page_move(*page, row, target.row > row ? target.row - 1 : target.row, bits);
}

void zset_change(struct collection_view *zset, struct slice member, struct zset_found *found, double score)
{
    uint64_t bits = zset_bits(score);
    struct tree_place elsewhere;
    if (bits == found->bits)
        return;
    if (zset->index == NULL && move_row(zset->rows, member, &found->place, bits))
        return;
    struct tree_place *place = row_of(zset, member, found, &elsewhere);
    if (zset->index != NULL)
        tree_set_number(zset->index, &found->place, bits);
    /* The row's bytes go with it: a copy of a short element, a reference of a long one. */
    struct element element = page_element(place->page, place->row, 0);
    char bytes[ELEMENT_BYTES_MAX];
    memcpy(bytes, element.data, element.size);
    element.data = bytes;
    element_ref(element);
    tree_remove(zset->rows, place, 1);
    insert_row(zset->rows, element, bits);
    keep_index(zset);
}

void zset_remove(struct collection_view *zset, struct slice member, struct zset_found *found)
{
    struct tree_place elsewhere, *place = row_of(zset, member, found, &elsewhere);
    if (zset->index != NULL)
        tree_remove(zset->index, &found->place, 1);
    tree_remove(zset->rows, place, 1);
}

void zset_remove_range(struct collection_view *zset, uint64_t first, uint64_t count)
{
    while (count > 0) {
        struct tree_place place, entry;
        element_scratch scratch;
        tree_at(zset->rows, first, &place);
        unsigned here = place.page->count - place.row;
        if (here > count)
            here = (unsigned)count;
        for (unsigned row = place.row; zset->index != NULL && row < place.row + here; row++) {
            index_locate(zset->index, member_text(place.page, row, scratch), &entry);
            tree_remove(zset->index, &entry, 1);
        }
        tree_remove(zset->rows, &place, here);
        count -= here;
    }
}

/* ---- Counting ---------------------------------------------------------------------------------------------- */

/* Before any member of a score: no member is less than the empty one. */
uint64_t zset_count_below(const struct tree *rows, double score, bool inclusive)
{
    uint64_t bits = zset_bits(score);
    struct tree_place place;
    if (inclusive && bits == UINT64_MAX)
        return tree_rows(rows);
    seek_row(rows, inclusive ? bits + 1 : bits, slice_make("", 0), &place);
    return tree_position(rows, &place);
}

uint64_t zset_count_before(const struct tree *rows, struct slice member, bool inclusive)
{
    struct tree_place place;
    if (tree_rows(rows) == 0)
        return 0;
    tree_at(rows, 0, &place);
    bool found = seek_row(rows, page_number(place.page, 0), member, &place);
    return tree_position(rows, &place) + (found && inclusive);
}

bool zset_has_one_score(const struct tree *rows)
{
    struct tree_place first, last;
    tree_at(rows, 0, &first);
    tree_at(rows, tree_rows(rows) - 1, &last);
    return page_number(first.page, first.row) == page_number(last.page, last.row);
}

/* ---- Check ------------------------------------------------------------------------------------------------- */

void zset_check_rows(const struct collection_view *zset, uint64_t first, uint64_t count)
{
    struct tree_place place, entry;
    struct zset_probe last = {0};
    element_scratch scratch, last_scratch;
    tree_at(zset->rows, first, &place);
    for (uint64_t i = 0; i < count; i++) {
        if (i > 0 && ++place.row == place.page->count)
            ASSERT(tree_next_page(zset->rows, &place));
        if (last.member.data != NULL)
            ASSERT(compare_row(&last, place.page, place.row) < 0);
        last.bits = page_number(place.page, place.row);
        last.member = member_text(place.page, place.row, scratch);
        ASSERT(zset_score_of(last.bits) == zset_score_of(last.bits)); /* not NaN */
        if (zset->index != NULL) {
            index_locate(zset->index, last.member, &entry);
            ASSERT(page_number(entry.page, entry.row) == last.bits);
        }
        if (last.member.data == scratch) {
            memcpy(last_scratch, scratch, sizeof scratch);
            last.member.data = last_scratch;
        }
    }
}

void zset_check(const struct collection_view *zset)
{
    const struct tree *rows = zset->rows;
    tree_check(rows);
    ASSERT(zset->index != NULL || rows->depth == 0);
    if (zset->index != NULL) {
        tree_check(zset->index);
        ASSERT(tree_rows(zset->index) == tree_rows(rows));
    }
    if (tree_rows(rows) > 0)
        zset_check_rows(zset, 0, tree_rows(rows));
}
