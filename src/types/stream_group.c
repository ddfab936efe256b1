/* Consumer groups. Entry: stream_groups_edit, stream_group_deliver, stream_groups_free_some. Threads and invariants: see
 * stream_group.h.
 *
 * A row of a pending tree has the first half of its id in the number column and the rest packed into one element: the
 * second half; and in the tree of a group also the slot, the number of deliveries, and how long after the id's own time
 * the last one was. Packed numbers are seven bits a byte, low ones first. */
#include "types/stream_group.h"

#include <limits.h>

#include "base/alloc.h"
#include "base/bug.h"

#define SLOTS_MIN          4
#define GROUPS_MIN         2
#define ROWS_A_PAGE        128 /* about: for telling how long freeing takes */
#define PACKED_NUMBER_MAX  10
#define PACKED_PENDING_MAX (4 * PACKED_NUMBER_MAX)

/* ---- Rows -------------------------------------------------------------------------------------------------- */

static size_t pack(uint8_t *bytes, uint64_t number)
{
    size_t size = 0;
    while (number >= 0x80) {
        bytes[size++] = (uint8_t)(number | 0x80);
        number >>= 7;
    }
    bytes[size++] = (uint8_t)number;
    return size;
}

static uint64_t unpack(const uint8_t **bytes)
{
    uint64_t number = 0;
    unsigned shift = 0;
    uint8_t byte;
    do {
        byte = *(*bytes)++;
        number |= (uint64_t)(byte & 0x7f) << shift;
        shift += 7;
    } while (byte & 0x80);
    return number;
}

static const uint8_t *packed_bytes(const struct page *page, unsigned row)
{
    return (const uint8_t *)page_element(page, row, 0).data;
}

static struct stream_id row_id(const struct page *page, unsigned row)
{
    const uint8_t *bytes = packed_bytes(page, row);
    return (struct stream_id){page_number(page, row), unpack(&bytes)};
}

static struct tree_order order_of(struct stream_id id)
{
    return (struct tree_order){id.ms, id.seq};
}

static struct tree_order row_order(const struct page *page, unsigned row, const void *context)
{
    (void)context;
    return order_of(row_id(page, row));
}

static const struct tree_type pending_tree = {.layout = PAGE_PENDING, .order = row_order};

static struct element packed_element(const uint8_t *bytes, size_t size)
{
    return (struct element){(const char *)bytes, (uint16_t)size, ELEMENT_BYTES};
}

static struct element pack_pending(uint8_t bytes[static PACKED_PENDING_MAX],
                                   const struct stream_pending *pending)
{
    int64_t delay_ms = (int64_t)((uint64_t)pending->delivered_ms - pending->id.ms);
    uint64_t sign_last = (uint64_t)delay_ms << 1 ^ (uint64_t)(delay_ms >> 63);
    size_t size = pack(bytes, pending->id.seq);
    size += pack(bytes + size, pending->slot);
    size += pack(bytes + size, pending->deliveries);
    size += pack(bytes + size, sign_last);
    return packed_element(bytes, size);
}

static void unpack_pending(const struct page *page, unsigned row, struct stream_pending *ret_pending)
{
    const uint8_t *bytes = packed_bytes(page, row);
    ret_pending->id.ms = page_number(page, row);
    ret_pending->id.seq = unpack(&bytes);
    ret_pending->slot = (uint32_t)unpack(&bytes);
    ret_pending->deliveries = unpack(&bytes);
    uint64_t sign_last = unpack(&bytes);
    ret_pending->delivered_ms = (int64_t)(ret_pending->id.ms + (sign_last >> 1 ^ -(sign_last & 1)));
}

static bool id_less(struct stream_id a, struct stream_id b)
{
    return stream_id_compare(a, b) < 0;
}

/* The row of an id, or where it would be. */
static bool seek_id(const struct tree *rows, struct stream_id id, struct tree_place *ret_place)
{
    struct tree_probe probe = {.order = order_of(id)};
    tree_seek(rows, &probe, ret_place);
    const struct page *page = ret_place->page;
    unsigned low = 0, high = page->count; /* the first row that is not less */
    while (low < high) {
        unsigned middle = (low + high) / 2;
        if (id_less(row_id(page, middle), id))
            low = middle + 1;
        else
            high = middle;
    }
    ret_place->row = low;
    return low < page->count && !id_less(id, row_id(page, low));
}

static void insert_row(struct tree *rows, struct tree_place *place, struct stream_id id,
                       struct element packed)
{
    struct row row = {.number = id.ms, .elements[0] = packed};
    tree_insert(rows, place, &row, order_of(id));
}

/* ---- Names ------------------------------------------------------------------------------------------------- */

static struct slice group_name_at(const void *set, uint32_t place)
{
    return stream_group_name(((const struct stream_groups *)set)->groups[place]);
}

static bool find_group(const struct stream_groups *set, struct slice name, uint32_t *ret_index)
{
    return slice_find(name, stream_groups_count(set), group_name_at, set, ret_index);
}

static struct slice consumer_name_at(const void *group, uint32_t place)
{
    return stream_consumer_name(stream_group_consumer_at(group, place));
}

static bool find_consumer(const struct stream_group *group, struct slice name, uint32_t *ret_index)
{
    return slice_find(name, group->consumer_count, consumer_name_at, group, ret_index);
}

/* ---- Memory ------------------------------------------------------------------------------------------------ */

/* For what is small, or not larger than what the client has built already. */
static void *allocate(struct heap *heap, size_t size)
{
    void *block = heap_alloc(heap, size);
    if (block == NULL)
        fatal("out of memory");
    return block;
}

static size_t set_size(uint32_t capacity)
{
    return sizeof(struct stream_groups) + capacity * sizeof(struct stream_group *);
}

static size_t slots_size(uint32_t slot_count)
{
    return slot_count * (sizeof(struct stream_consumer *) + sizeof(uint32_t));
}

/* One block for both arrays of a group, which has none, with room for `slot_count` consumers. */
static void allocate_slots(struct heap *heap, struct stream_group *group, uint32_t slot_count)
{
    group->slots = slot_count == 0 ? NULL : allocate(heap, slots_size(slot_count));
    group->by_name = slot_count == 0 ? NULL : (uint32_t *)(group->slots + slot_count);
    group->slot_count = slot_count;
}

static void release_slots(struct heap *heap, struct stream_consumer **slots, uint32_t slot_count)
{
    if (slot_count > 0)
        heap_release(heap, slots, slots_size(slot_count));
}

static void release_group(struct heap *heap, struct stream_group *group)
{
    release_slots(heap, group->slots, group->slot_count);
    blob_unref(group->name);
    heap_release(heap, group, sizeof *group);
}

static bool free_set_object(struct heap *heap, struct object *object, unsigned pages_max)
{
    return stream_groups_free_some(heap, (struct stream_groups *)object, pages_max);
}

static size_t set_object_memory(const struct object *object)
{
    return stream_groups_memory((const struct stream_groups *)object);
}

static void check_set_object(const struct object *object)
{
    stream_groups_check((const struct stream_groups *)object);
}

static const struct object_type set_object = {
    .free_some = free_set_object, .memory = set_object_memory, .check = check_set_object};

static struct stream_groups *set_new(struct heap *heap, uint32_t capacity)
{
    struct stream_groups *set = allocate(heap, set_size(capacity));
    *set = (struct stream_groups){.object = {.type = &set_object, .refs = 1}, .capacity = capacity};
    list_init(&set->object.node);
    return set;
}

/* Takes the name over. */
static struct stream_group *group_new(struct heap *heap, struct blob *name)
{
    struct stream_group *group = allocate(heap, sizeof *group);
    *group = (struct stream_group){.refs = 1, .name = name, .entries_read = STREAM_READ_UNKNOWN};
    allocate_slots(heap, group, 0);
    tree_init(&group->pending, &pending_tree, NULL, heap);
    return group;
}

/* ---- Copies of what others hold ---------------------------------------------------------------------------- */

static struct stream_consumer *clone_consumer(struct heap *heap, struct stream_consumer *shared)
{
    struct stream_consumer *copy = allocate(heap, sizeof *copy);
    *copy = *shared;
    copy->refs = 1;
    blob_ref(copy->name);
    tree_snapshot(&shared->pending, &copy->pending);
    shared->refs--;
    return copy;
}

static struct stream_group *clone_group(struct heap *heap, struct stream_group *shared)
{
    struct stream_group *copy = allocate(heap, sizeof *copy);
    *copy = *shared;
    copy->refs = 1;
    blob_ref(copy->name);
    tree_snapshot(&shared->pending, &copy->pending);
    allocate_slots(heap, copy, shared->slot_count);
    if (shared->slot_count > 0)
        memcpy(copy->slots, shared->slots, slots_size(shared->slot_count));
    for (uint32_t i = 0; i < copy->consumer_count; i++)
        copy->slots[copy->by_name[i]]->refs++;
    shared->refs--;
    return copy;
}

/* Makes the set ours alone, with room for `more` groups. */
static void own_set(struct heap *heap, struct stream_groups **set, uint32_t more)
{
    struct stream_groups *old = *set;
    uint32_t needed = stream_groups_count(old) + more;
    if (old != NULL && old->object.refs == 1 && needed <= old->capacity)
        return;
    uint32_t capacity = old == NULL ? GROUPS_MIN : needed > old->capacity ? 2 * needed : old->capacity;
    struct stream_groups *fresh = set_new(heap, capacity);
    *set = fresh;
    if (old == NULL)
        return;
    fresh->count = old->count;
    memcpy(fresh->groups, old->groups, old->count * sizeof *old->groups);
    if (old->object.refs == 1) {
        heap_release(heap, old, set_size(old->capacity));
        return;
    }
    for (uint32_t i = 0; i < fresh->count; i++)
        fresh->groups[i]->refs++;
    old->object.refs--;
}

/* ---- The set ----------------------------------------------------------------------------------------------- */

const struct stream_group *stream_groups_find(const struct stream_groups *set, struct slice name)
{
    uint32_t index;
    return find_group(set, name, &index) ? set->groups[index] : NULL;
}

struct stream_group *stream_groups_edit(struct heap *heap, struct stream_groups **set, struct slice name)
{
    uint32_t index;
    if (!find_group(*set, name, &index))
        return NULL;
    own_set(heap, set, 0);
    struct stream_group **group = &(*set)->groups[index];
    if ((*group)->refs > 1)
        *group = clone_group(heap, *group);
    return *group;
}

struct stream_group *stream_groups_add(struct heap *heap, struct stream_groups **set, struct slice name,
                                       struct stream_id last_id, int64_t entries_read)
{
    uint32_t index;
    struct blob *blob = blob_new(name);
    if (blob == NULL)
        return NULL;
    if (find_group(*set, name, &index))
        BUG("a group is created twice");
    struct stream_group *group = group_new(heap, blob);
    group->last_id = last_id;
    group->entries_read = entries_read;
    own_set(heap, set, 1);
    struct stream_group **place = (*set)->groups + index;
    memmove(place + 1, place, ((*set)->count - index) * sizeof *place);
    *place = group;
    (*set)->count++;
    return group;
}

struct stream_groups *stream_groups_take(struct heap *heap, struct stream_groups **set, struct slice name)
{
    uint32_t index;
    if (!find_group(*set, name, &index))
        return NULL;
    own_set(heap, set, 0);
    struct stream_groups *taken = set_new(heap, 1);
    struct stream_group **place = (*set)->groups + index;
    taken->groups[0] = *place;
    taken->count = 1;
    (*set)->count--;
    memmove(place, place + 1, ((*set)->count - index) * sizeof *place);
    if ((*set)->count == 0) {
        heap_release(heap, *set, set_size((*set)->capacity));
        *set = NULL;
    }
    return taken;
}

struct stream_groups *stream_groups_ref(struct stream_groups *set)
{
    if (set != NULL)
        set->object.refs++;
    return set;
}

/* ---- Freeing ----------------------------------------------------------------------------------------------- */

/* Frees at most about `*pages_left` pages of a tree and counts them off. True: all is gone. */
static bool free_tree(struct tree *rows, unsigned *pages_left)
{
    uint64_t pages = 1 + tree_rows(rows) / ROWS_A_PAGE;
    if (*pages_left == 0 || !tree_free_some(rows, *pages_left)) {
        *pages_left = 0;
        return false;
    }
    *pages_left = pages < *pages_left ? *pages_left - (unsigned)pages : 0;
    return true;
}

static bool free_consumer(struct heap *heap, struct stream_consumer *consumer, unsigned *pages_left)
{
    if (consumer->refs > 1) {
        consumer->refs--;
        return true;
    }
    if (!free_tree(&consumer->pending, pages_left))
        return false;
    blob_unref(consumer->name);
    heap_release(heap, consumer, sizeof *consumer);
    return true;
}

static bool free_group(struct heap *heap, struct stream_group *group, unsigned *pages_left)
{
    if (group->refs > 1) {
        group->refs--;
        return true;
    }
    while (group->consumer_count > 0) {
        struct stream_consumer **last = &group->slots[group->by_name[group->consumer_count - 1]];
        if (!free_consumer(heap, *last, pages_left))
            return false;
        *last = NULL;
        group->consumer_count--;
    }
    if (!free_tree(&group->pending, pages_left))
        return false;
    release_group(heap, group);
    return true;
}

bool stream_groups_free_some(struct heap *heap, struct stream_groups *set, unsigned pages_max)
{
    if (set == NULL)
        return true;
    if (set->object.refs > 1) {
        set->object.refs--;
        return true;
    }
    while (set->count > 0) {
        if (!free_group(heap, set->groups[set->count - 1], &pages_max))
            return false;
        set->count--;
    }
    heap_release(heap, set, set_size(set->capacity));
    return true;
}

/* ---- Consumers --------------------------------------------------------------------------------------------- */

const struct stream_consumer *stream_group_find_consumer(const struct stream_group *group, struct slice name)
{
    uint32_t index;
    return find_consumer(group, name, &index) ? stream_group_consumer_at(group, index) : NULL;
}

const struct stream_consumer *stream_group_consumer_at(const struct stream_group *group, uint32_t index)
{
    return group->slots[group->by_name[index]];
}

struct stream_consumer *stream_group_edit_consumer(struct heap *heap, struct stream_group *group,
                                                   uint32_t slot)
{
    DEBUG_ASSERT(group->refs == 1);
    struct stream_consumer **consumer = &group->slots[slot];
    if ((*consumer)->refs > 1)
        *consumer = clone_consumer(heap, *consumer);
    return *consumer;
}

/* Twice as many slots. */
static void grow_slots(struct heap *heap, struct stream_group *group)
{
    struct stream_consumer **old = group->slots;
    uint32_t *old_by_name = group->by_name, old_count = group->slot_count;
    allocate_slots(heap, group, old_count == 0 ? SLOTS_MIN : 2 * old_count);
    if (old_count > 0) {
        memcpy(group->slots, old, old_count * sizeof *old);
        memcpy(group->by_name, old_by_name, group->consumer_count * sizeof *old_by_name);
    }
    for (uint32_t slot = old_count; slot < group->slot_count; slot++)
        group->slots[slot] = NULL;
    release_slots(heap, old, old_count);
}

/* A slot without a consumer. */
static uint32_t free_slot(struct heap *heap, struct stream_group *group)
{
    if (group->consumer_count == group->slot_count)
        grow_slots(heap, group);
    while (group->slots[group->free_from] != NULL)
        group->free_from++;
    return group->free_from++;
}

struct stream_consumer *stream_group_add_consumer(struct heap *heap, struct stream_group *group,
                                                  struct slice name, int64_t now_ms)
{
    uint32_t index;
    struct blob *blob = blob_new(name);
    if (blob == NULL)
        return NULL;
    DEBUG_ASSERT(group->refs == 1);
    if (find_consumer(group, name, &index))
        BUG("a consumer is created twice");
    struct stream_consumer *consumer = allocate(heap, sizeof *consumer);
    *consumer = (struct stream_consumer){
        .refs = 1, .name = blob, .seen_ms = now_ms, .active_ms = STREAM_NEVER_ACTIVE};
    tree_init(&consumer->pending, &pending_tree, NULL, heap);
    consumer->slot = free_slot(heap, group);
    group->slots[consumer->slot] = consumer;
    uint32_t *place = group->by_name + index;
    memmove(place + 1, place, (group->consumer_count - index) * sizeof *place);
    *place = consumer->slot;
    group->consumer_count++;
    return consumer;
}

/* Takes the entries of a page of a consumer's tree out of the group's: where several of them lie side by side, at once. */
static void settle_page(struct stream_group *group, const struct page *page)
{
    struct tree_place place;
    for (unsigned row = 0; row < page->count;) {
        if (!seek_id(&group->pending, row_id(page, row), &place))
            BUG("a consumer holds an entry that its group does not know");
        /* As long as the group's next row is the consumer's next one, too. */
        unsigned count = 1;
        while (row + count < page->count && place.row + count < place.page->count &&
               stream_id_equal(row_id(page, row + count), row_id(place.page, place.row + count)))
            count++;
        tree_remove(&group->pending, &place, count);
        row += count;
    }
}

unsigned stream_group_settle_some(struct heap *heap, struct stream_group *group, uint32_t slot)
{
    struct stream_consumer *consumer = stream_group_edit_consumer(heap, group, slot);
    struct tree_place held;
    if (tree_rows(&consumer->pending) == 0)
        return 0;
    tree_first_page(&consumer->pending, &held);
    unsigned count = held.page->count;
    settle_page(group, held.page);
    tree_remove_page(&consumer->pending, &held);
    return count;
}

/* All that a consumer holds, of which its own tree stays as it is. */
static void settle_all(struct stream_group *group, const struct stream_consumer *consumer)
{
    struct tree_place held;
    tree_at(&consumer->pending, 0, &held);
    do
        settle_page(group, held.page);
    while (tree_next_page(&consumer->pending, &held));
}

struct stream_groups *stream_group_take_consumer(struct heap *heap, struct stream_group *group, uint32_t slot)
{
    struct stream_consumer *consumer = group->slots[slot];
    uint32_t index;
    DEBUG_ASSERT(group->refs == 1);
    if (tree_rows(&consumer->pending) > 0)
        settle_all(group, consumer);
    find_consumer(group, stream_consumer_name(consumer), &index);
    group->consumer_count--;
    memmove(group->by_name + index, group->by_name + index + 1,
            (group->consumer_count - index) * sizeof *group->by_name);
    group->slots[slot] = NULL;
    if (slot < group->free_from)
        group->free_from = slot;
    if (consumer->pending.depth == 0) {
        unsigned pages_left = UINT_MAX;
        free_consumer(heap, consumer, &pages_left);
        return NULL;
    }
    /* A set with nothing but this consumer. */
    struct stream_groups *taken = set_new(heap, 1);
    struct stream_group *husk = group_new(heap, blob_ref(group->name));
    allocate_slots(heap, husk, 1);
    husk->slots[0] = consumer;
    husk->by_name[0] = 0;
    husk->consumer_count = 1;
    taken->groups[taken->count++] = husk;
    return taken;
}

/* ---- Pending entries --------------------------------------------------------------------------------------- */

bool stream_group_find_pending(const struct stream_group *group, struct stream_id id,
                               struct stream_pending *ret_pending)
{
    struct tree_place place;
    if (!seek_id(&group->pending, id, &place))
        return false;
    unpack_pending(place.page, place.row, ret_pending);
    return true;
}

static void take_from_consumer(struct heap *heap, struct stream_group *group, uint32_t slot,
                               struct stream_id id)
{
    struct tree_place place;
    struct tree *held = &stream_group_edit_consumer(heap, group, slot)->pending;
    if (!seek_id(held, id, &place))
        BUG("a pending entry is missing at its consumer");
    tree_remove(held, &place, 1);
}

static void give_to_consumer(struct heap *heap, struct stream_group *group, uint32_t slot,
                             struct stream_id id)
{
    struct tree_place place;
    uint8_t bytes[PACKED_NUMBER_MAX];
    struct tree *held = &stream_group_edit_consumer(heap, group, slot)->pending;
    if (seek_id(held, id, &place))
        BUG("a consumer holds an entry twice");
    insert_row(held, &place, id, packed_element(bytes, pack(bytes, id.seq)));
}

void stream_group_deliver(struct heap *heap, struct stream_group *group, const struct stream_pending *pending)
{
    struct tree_place place;
    uint8_t bytes[PACKED_PENDING_MAX];
    struct element packed = pack_pending(bytes, pending);
    DEBUG_ASSERT(group->refs == 1);
    if (!seek_id(&group->pending, pending->id, &place)) {
        insert_row(&group->pending, &place, pending->id, packed);
    } else {
        struct stream_pending before;
        unpack_pending(place.page, place.row, &before);
        tree_replace(&group->pending, &place, 0, packed);
        if (before.slot == pending->slot)
            return;
        take_from_consumer(heap, group, before.slot, pending->id);
    }
    give_to_consumer(heap, group, pending->slot, pending->id);
}

bool stream_group_settle(struct heap *heap, struct stream_group *group, struct stream_id id)
{
    struct tree_place place;
    struct stream_pending pending;
    DEBUG_ASSERT(group->refs == 1);
    if (!seek_id(&group->pending, id, &place))
        return false;
    unpack_pending(place.page, place.row, &pending);
    tree_remove(&group->pending, &place, 1);
    take_from_consumer(heap, group, pending.slot, id);
    return true;
}

struct stream_id stream_group_pending_end(const struct stream_group *group, bool last)
{
    struct tree_place place;
    tree_at(&group->pending, last ? tree_rows(&group->pending) - 1 : 0, &place);
    return row_id(place.page, place.row);
}

void stream_pending_from(struct stream_pending_walk *walk, const struct stream_group *group,
                         const struct stream_consumer *consumer, struct stream_id from)
{
    *walk = (struct stream_pending_walk){.group = group, .consumer = consumer};
    const struct tree *rows = consumer != NULL ? &consumer->pending : &group->pending;
    seek_id(rows, from, &walk->place);
}

bool stream_pending_next(struct stream_pending_walk *walk, struct stream_pending *ret_pending)
{
    const struct tree *rows = walk->consumer != NULL ? &walk->consumer->pending : &walk->group->pending;
    if (walk->place.row == walk->place.page->count && !tree_next_page(rows, &walk->place))
        return false;
    const struct page *page = walk->place.page;
    unsigned row = walk->place.row++;
    if (walk->consumer == NULL)
        unpack_pending(page, row, ret_pending);
    else if (!stream_group_find_pending(walk->group, row_id(page, row), ret_pending))
        BUG("a consumer holds an entry that its group does not know");
    return true;
}

/* ---- Looking at the whole ----------------------------------------------------------------------------------- */

static size_t block_memory(size_t size)
{
    return size == 0 ? 0 : heap_block_size(size);
}

size_t stream_groups_own_memory(const struct stream_groups *set)
{
    return set == NULL ? 0 : block_memory(set_size(set->capacity));
}

size_t stream_group_own_memory(const struct stream_group *group)
{
    return block_memory(sizeof *group) + block_memory(slots_size(group->slot_count)) +
           mem_usable_size(group->name);
}

size_t stream_consumer_own_memory(const struct stream_consumer *consumer)
{
    return block_memory(sizeof *consumer) + mem_usable_size(consumer->name);
}

static size_t group_memory(const struct stream_group *group)
{
    size_t bytes = stream_group_own_memory(group) + tree_memory(&group->pending);
    for (uint32_t i = 0; i < group->consumer_count; i++) {
        const struct stream_consumer *consumer = stream_group_consumer_at(group, i);
        bytes += stream_consumer_own_memory(consumer) + tree_memory(&consumer->pending);
    }
    return bytes;
}

size_t stream_groups_memory(const struct stream_groups *set)
{
    size_t bytes = stream_groups_own_memory(set);
    for (uint32_t i = 0; i < stream_groups_count(set); i++)
        bytes += group_memory(set->groups[i]);
    return bytes;
}

/* G2, seen from the consumer, and G3. Returns the number of entries it holds. */
static uint64_t check_consumer(const struct stream_group *group, uint32_t index)
{
    uint32_t slot = group->by_name[index];
    ASSERT(slot < group->slot_count);
    const struct stream_consumer *consumer = group->slots[slot];
    ASSERT(consumer != NULL && consumer->slot == slot && consumer->refs > 0);
    if (index > 0) /* G1 */
        ASSERT(slice_compare(stream_consumer_name(stream_group_consumer_at(group, index - 1)),
                             stream_consumer_name(consumer)) < 0);
    tree_check(&consumer->pending);
    struct stream_pending_walk walk;
    struct stream_pending pending;
    stream_pending_from(&walk, group, consumer, STREAM_ID_MIN);
    while (stream_pending_next(&walk, &pending))
        ASSERT(pending.slot == slot);
    return tree_rows(&consumer->pending);
}

void stream_groups_check(const struct stream_groups *set)
{
    ASSERT(set == NULL || (set->count > 0 && set->count <= set->capacity));
    for (uint32_t i = 0; i < stream_groups_count(set); i++) {
        const struct stream_group *group = set->groups[i];
        uint64_t held = 0;
        uint32_t used = 0;
        ASSERT(group->refs > 0);
        if (i > 0) /* G1 */
            ASSERT(slice_compare(stream_group_name(set->groups[i - 1]), stream_group_name(group)) < 0);
        tree_check(&group->pending);
        for (uint32_t index = 0; index < group->consumer_count; index++)
            held += check_consumer(group, index);
        ASSERT(held == tree_rows(&group->pending)); /* each consumer's are there, so there are no others */
        for (uint32_t slot = 0; slot < group->slot_count; slot++) {
            used += group->slots[slot] != NULL;
            ASSERT(group->slots[slot] != NULL || slot >= group->free_from);
        }
        ASSERT(used == group->consumer_count);
    }
}
