/* Answers with rows. Entry: rows_reply, rows_choose. Threads: see rows.h.
 *
 * Rows are short: what each costs apart from its bytes decides. So the page's columns are read for several rows at once, and
 * short elements are written without a call. */
#include "exec/rows.h"

#include "base/bug.h"
#include "base/worker.h"
#include "exec/sliced.h"
#include "types/members.h"

#define STEP_ROWS 32 /* between two looks at the clock, and as many elements at once */

ALWAYS_INLINE void reply_element(struct reply *reply, struct element element)
{
    if (likely(element.kind == ELEMENT_BYTES && element.size <= REPLY_SHORT_MAX))
        reply_bulk_short(reply, element.data, element.size);
    else if (element.kind == ELEMENT_INT)
        reply_bulk_int(reply, element_int(element));
    else
        value_reply_element(reply, element);
}

/* At most STEP_ROWS rows. */
static void reply_some(struct reply *reply, const struct page *page, unsigned row, unsigned count,
                       bool reverse)
{
    struct element elements[STEP_ROWS];
    unsigned lowest = reverse ? row + 1 - count : row;
    for (unsigned i = 0; i < count; i++)
        elements[i] = page_element(page, lowest + i, 0);
    for (unsigned i = 0; i < count; i++)
        reply_element(reply, elements[reverse ? count - 1 - i : i]);
}

void rows_reply_page(struct reply *reply, const struct page *page, unsigned row, unsigned count, bool reverse)
{
    while (count > 0) {
        unsigned step = count < STEP_ROWS ? count : STEP_ROWS;
        reply_some(reply, page, row, step, reverse);
        row = reverse ? row - step : row + step;
        count -= step;
    }
}

bool rows_reply(struct call *call, const struct tree *rows, uint64_t first, uint64_t count, bool reverse)
{
    struct tree_place place;
    if (count == 0)
        return true;
    tree_at(rows, first, &place);
    for (;;) {
        unsigned here = reverse ? place.row + 1 : place.page->count - place.row;
        if (here > count)
            here = (unsigned)count;
        count -= here;
        while (here > 0) {
            unsigned step = here < STEP_ROWS ? here : STEP_ROWS;
            if (!sliced_pause(call, step))
                return false;
            reply_some(call->out, place.page, place.row, step, reverse);
            place.row = reverse ? place.row - step : place.row + step;
            here -= step;
        }
        if (count == 0)
            return true;
        if (!(reverse ? tree_previous_page(rows, &place) : tree_next_page(rows, &place)))
            BUG("fewer rows than were counted");
    }
}

uint64_t *rows_choose(struct call *call, const struct tree *rows, uint64_t count)
{
    struct members_choice choice;
    if (members_choice_init(&choice, tree_rows(rows), count) != ST_OK) {
        call_oom(call);
        return NULL;
    }
    while (!members_choose(&choice, &call->exec->rng, STEP_ROWS)) {
        if (!sliced_pause(call, STEP_ROWS)) {
            rows_choice_done(call, choice.positions);
            return NULL;
        }
    }
    return choice.positions;
}

void rows_choice_done(struct call *call, uint64_t *positions)
{
    worker_free(call->exec->workers, positions);
}
