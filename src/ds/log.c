/* Log pages. Entry: log_append, log_next, log_kill. Layout, threads and invariants: see log.h. */
#include "ds/log.h"

#include <stdatomic.h>

#include "base/alloc.h"
#include "base/bug.h"
#include "base/macros.h"

#define LOG_ROOM_SHARE 8 /* a page that grows gets an eighth more than it needs */
#define LOG_ROOM_MIN   8
#define LOG_DEAD_MIN   16 /* dead entries from which on it is worth while to take them out */
#define VARINT_MAX     10
#define HEAD_MAX       (1 + 2 * VARINT_MAX)
#define ADDRESS_SIZE   8

enum id_form {
    ID_NEXT,   /* same ms, seq + 1 */
    ID_SEQ,    /* same ms, step of seq */
    ID_MS,     /* step of ms, seq 0 */
    ID_MS_SEQ, /* step of ms, seq */
};

enum entry_flag_bit {
    FLAG_ID = 3,
    FLAG_SAME_NAMES = 1 << 2,
    FLAG_OUTSIDE = 1 << 3,
    FLAG_DEAD = 1 << 4,
};

static struct log *log_edit(struct page *page)
{
    return (struct log *)page;
}

static uint8_t *bytes_at(const struct log *log, unsigned offset)
{
    return (uint8_t *)log + offset;
}

/* ---- Numbers and strings ------------------------------------------------------------------------------------ */

static uint8_t *write_varint(uint8_t *to, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        *to++ = (uint8_t)(value | 0x80);
    *to++ = (uint8_t)value;
    return to;
}

ALWAYS_INLINE const uint8_t *read_varint(const uint8_t *from, uint64_t *ret_value)
{
    uint64_t value = *from++;
    if (unlikely(value >= 0x80)) {
        value &= 0x7f;
        for (unsigned shift = 7;; shift += 7) {
            uint64_t byte = *from++;
            value |= (byte & 0x7f) << shift;
            if (byte < 0x80)
                break;
        }
    }
    *ret_value = value;
    return from;
}

static size_t varint_size(uint64_t value)
{
    return value == 0 ? 1 : (70 - (size_t)__builtin_clzll(value)) / 7;
}

static size_t plain_string_size(struct slice text)
{
    return varint_size(2 * (uint64_t)text.size) + text.size;
}

static uint8_t *write_plain_string(uint8_t *to, struct slice text)
{
    to = write_varint(to, 2 * (uint64_t)text.size);
    if (text.size > 0)
        memcpy(to, text.data, text.size);
    return to + text.size;
}

/* A value, as an integer where it is one. Needs at most plain_string_size. */
static uint8_t *write_value(uint8_t *to, struct slice text)
{
    element_scratch scratch;
    struct element element = {.kind = ELEMENT_BYTES};
    if (text.size < NUM_I64_TEXT_MAX)
        (void)element_make(text, scratch, &element); /* needs no memory for so short a text */
    if (element.kind != ELEMENT_INT)
        return write_plain_string(to, text);
    *to++ = (uint8_t)(element.size << 1 | 1);
    memcpy(to, element.data, element.size);
    return to + element.size;
}

static const uint8_t *skip_strings(const uint8_t *from, uint64_t count)
{
    for (uint64_t size; count > 0; count--) {
        from = read_varint(from, &size);
        from += size >> 1;
    }
    return from;
}

static const uint8_t *read_string(const uint8_t *from, element_scratch scratch, struct slice *ret_text)
{
    uint64_t size;
    from = read_varint(from, &size);
    bool is_int = size & 1;
    size >>= 1;
    *ret_text = slice_make((const char *)from, size);
    if (is_int)
        *ret_text = element_text((struct element){(const char *)from, (uint16_t)size, ELEMENT_INT}, scratch);
    return from + size;
}

/* ---- Blocks ------------------------------------------------------------------------------------------------ */

static struct page *allocate(struct heap *heap, size_t size)
{
    size = heap_block_size(size);
    struct log *log = heap_alloc(heap, size < PAGE_SIZE_MAX ? size : PAGE_SIZE_MAX);
    if (log == NULL)
        fatal("out of memory");
    *log = (struct log){.page.layout = PAGE_LOG,
                        .page.size = (uint16_t)(size < PAGE_SIZE_MAX ? size : PAGE_SIZE_MAX),
                        .first = sizeof *log,
                        .end = sizeof *log};
    atomic_init(&log->page.refs, 1);
    return &log->page;
}

static void release(struct heap *heap, struct page *page)
{
    heap_release(heap, page, page->size);
}

struct page *log_new(struct heap *heap)
{
    return allocate(heap, sizeof(struct log));
}

/* A block of `size` bytes with everything that the page has; references of blobs are neither taken nor given up. */
static struct page *copy_to(struct heap *heap, const struct page *page, size_t size)
{
    const struct log *old = log_of(page);
    struct page *fresh = allocate(heap, size);
    size_t skipped = sizeof fresh->refs, block = fresh->size;
    memcpy((char *)fresh + skipped, (const char *)page + skipped, old->end - skipped);
    fresh->size = (uint16_t)block;
    return fresh;
}

static void resize(struct heap *heap, struct page **page, size_t size)
{
    struct page *old = *page;
    *page = copy_to(heap, old, size);
    release(heap, old);
}

void log_fit(struct heap *heap, struct page **page)
{
    if (heap_block_size(log_of(*page)->end) < (*page)->size)
        resize(heap, page, log_of(*page)->end);
}

/* ---- Reading ------------------------------------------------------------------------------------------------- */

/* The entry at `offset`, dead or alive, whose id follows from the one before. */
static void decode(const struct log *log, unsigned offset, struct stream_id before,
                   struct log_entry *ret_entry)
{
    const uint8_t *from = bytes_at(log, offset);
    uint8_t flags = *from++;
    uint64_t step = 0;
    struct stream_id id = before;
    switch ((enum id_form)(flags & FLAG_ID)) {
    case ID_NEXT: id.seq++; break;
    case ID_SEQ:
        from = read_varint(from, &step);
        id.seq += step;
        break;
    case ID_MS:
        from = read_varint(from, &step);
        id = (struct stream_id){before.ms + step, 0};
        break;
    case ID_MS_SEQ:
        from = read_varint(from, &step);
        from = read_varint(from, &id.seq);
        id.ms = before.ms + step;
        break;
    }
    ret_entry->log = log;
    ret_entry->id = id;
    ret_entry->flags = flags;
    ret_entry->offset = (uint16_t)offset;
    ret_entry->body = (uint16_t)(from - bytes_at(log, 0));
    if (unlikely(flags & FLAG_OUTSIDE)) {
        from += ADDRESS_SIZE;
    } else if (likely(flags & FLAG_SAME_NAMES)) {
        from = skip_strings(from, log->field_count);
    } else {
        from = read_varint(from, &step);
        from = skip_strings(from, 2 * step);
    }
    ret_entry->next = (uint16_t)(from - bytes_at(log, 0));
}

bool log_first(const struct page *page, struct log_entry *ret_entry)
{
    const struct log *log = log_of(page);
    if (page->count == 0)
        return false;
    decode(log, log->first, log->first_id, ret_entry);
    ret_entry->id = log->first_id;
    return true;
}

/* The entry behind, dead or alive. */
static bool follow(struct log_entry *entry)
{
    if (entry->next >= entry->log->end)
        return false;
    decode(entry->log, entry->next, entry->id, entry);
    return true;
}

bool log_next(struct log_entry *entry)
{
    struct log_entry next = *entry;
    while (follow(&next)) {
        if (unlikely(next.flags & FLAG_DEAD))
            continue;
        *entry = next;
        return true;
    }
    return false;
}

/* The body outside as an element, to count its references. */
static struct element outside(const struct log *log, unsigned body)
{
    return (struct element){(const char *)bytes_at(log, body), ADDRESS_SIZE, ELEMENT_BLOB};
}

void log_fields_begin(struct log_fields *fields, const struct log_entry *entry)
{
    const struct log *log = entry->log;
    fields->blob = NULL;
    fields->cursor = bytes_at(log, entry->body);
    if (entry->flags & FLAG_OUTSIDE) {
        fields->blob = element_blob(outside(log, entry->body));
        fields->cursor = (const uint8_t *)fields->blob->data;
    }
    fields->names = NULL;
    if (entry->flags & FLAG_SAME_NAMES) {
        fields->names = bytes_at(log, sizeof *log);
        fields->count = log->field_count;
    } else {
        fields->cursor = read_varint(fields->cursor, &fields->count);
    }
    fields->left = fields->count;
}

bool log_fields_next(struct log_fields *fields, struct slice *ret_name, struct slice *ret_value)
{
    if (fields->left == 0)
        return false;
    fields->left--;
    if (fields->names != NULL)
        fields->names = read_string(fields->names, fields->scratch, ret_name);
    else
        fields->cursor = read_string(fields->cursor, fields->scratch, ret_name);
    fields->cursor = read_string(fields->cursor, fields->scratch, ret_value);
    return true;
}

/* ---- Appending ------------------------------------------------------------------------------------------------- */

/* Writes flags and id. Returns where the body begins. */
static uint8_t *write_head(uint8_t *to, uint8_t flags, struct stream_id before, struct stream_id id)
{
    uint8_t *at = to + 1;
    enum id_form form;
    if (id.ms == before.ms) {
        form = id.seq - before.seq == 1 ? ID_NEXT : ID_SEQ;
        if (form == ID_SEQ)
            at = write_varint(at, id.seq - before.seq);
    } else {
        form = id.seq == 0 ? ID_MS : ID_MS_SEQ;
        at = write_varint(at, id.ms - before.ms);
        if (form == ID_MS_SEQ)
            at = write_varint(at, id.seq);
    }
    *to = (uint8_t)(flags | form);
    return at;
}

static bool has_names_of(const struct log *log, const struct log_draft *draft)
{
    if (log->field_count != draft->pair_count)
        return false;
    const uint8_t *at = bytes_at(log, sizeof *log);
    for (uint32_t i = 0; i < draft->pair_count; i++) {
        struct slice name;
        at = read_string(at, NULL, &name); /* names are never integers */
        if (!slice_equal(name, draft->pairs[2 * i]))
            return false;
    }
    return true;
}

/* Writes the body, if it takes no more than LOG_BODY_MAX bytes. NULL: it does. */
static uint8_t *write_body(uint8_t *to, const struct log_draft *draft, bool same_names)
{
    const uint8_t *start = to;
    if (!same_names)
        to = write_varint(to, draft->pair_count);
    for (uint32_t i = same_names ? 1 : 0; i < 2 * draft->pair_count; i += same_names ? 2 : 1) {
        struct slice text = draft->pairs[i];
        if (text.size > LOG_BODY_MAX || (size_t)(to - start) + plain_string_size(text) > LOG_BODY_MAX)
            return NULL;
        to = i % 2 == 0 ? write_plain_string(to, text) : write_value(to, text);
    }
    return to;
}

/* The body in a block of its own; NULL when memory is refused. */
static struct blob *write_outside(const struct log_draft *draft, bool same_names)
{
    unsigned step = same_names ? 2 : 1;
    size_t size = same_names ? 0 : varint_size(draft->pair_count);
    for (uint32_t i = step - 1; i < 2 * draft->pair_count; i += step)
        size += plain_string_size(draft->pairs[i]);
    struct blob *blob = mem_try_alloc(sizeof *blob + size);
    if (blob == NULL)
        return NULL;
    atomic_init(&blob->refs, 1);
    blob->size = size;
    uint8_t *to = (uint8_t *)blob->data;
    if (!same_names)
        to = write_varint(to, draft->pair_count);
    for (uint32_t i = step - 1; i < 2 * draft->pair_count; i += step)
        to = write_plain_string(to, draft->pairs[i]);
    return blob;
}

/* Puts an entry at the end of the page, which has the room for it. */
static void put(struct log *log, const uint8_t *bytes, size_t size, struct stream_id id)
{
    if (log->page.count == 0) {
        log->first_id = id;
        log->first = log->end;
    }
    memcpy(bytes_at(log, log->end), bytes, size);
    log->end = (uint16_t)(log->end + size);
    log->last_id = id;
    log->page.count++;
    log->page.capacity++;
    log->total++;
}

enum log_outcome log_append(struct heap *heap, struct page **page, const struct log_draft *draft,
                            size_t size_max)
{
    const struct log *log = log_of(*page);
    DEBUG_ASSERT(!page_is_shared(*page));
    uint8_t bytes[HEAD_MAX + LOG_BODY_MAX];
    bool same_names = has_names_of(log, draft);
    uint8_t *body = write_head(bytes, same_names ? FLAG_SAME_NAMES : 0, log->last_id, draft->id);
    uint8_t *end = write_body(body, draft, same_names);
    size_t size = (size_t)((end != NULL ? end : body + ADDRESS_SIZE) - bytes);
    size_t needed = log->end + size;
    if (needed > size_max || needed > PAGE_SIZE_MAX || log->total == UINT16_MAX)
        return LOG_FULL;
    if (unlikely(end == NULL)) {
        struct blob *blob = write_outside(draft, same_names);
        if (blob == NULL)
            return LOG_NOMEM;
        bytes[0] |= FLAG_OUTSIDE;
        memcpy(body, &blob, sizeof blob);
        (*page)->has_blobs = true;
    }
    if (needed > (*page)->size)
        resize(heap, page, needed + needed / LOG_ROOM_SHARE + LOG_ROOM_MIN);
    put(log_edit(*page), bytes, size, draft->id);
    return LOG_APPENDED;
}

struct page *log_begin(struct heap *heap, const struct log_draft *draft, size_t size_wanted)
{
    size_t names_size = 0;
    for (uint32_t i = 0; i < draft->pair_count && names_size <= LOG_NAMES_MAX; i++)
        names_size += plain_string_size(draft->pairs[2 * i]);
    bool keeps_names = names_size <= LOG_NAMES_MAX;
    size_t least = sizeof(struct log) + (keeps_names ? names_size : 0);
    struct page *page = allocate(heap, size_wanted > least ? size_wanted : least);
    struct log *log = log_edit(page);
    if (keeps_names) {
        uint8_t *at = bytes_at(log, log->end);
        for (uint32_t i = 0; i < draft->pair_count; i++)
            at = write_plain_string(at, draft->pairs[2 * i]);
        log->field_count = (uint16_t)draft->pair_count;
        log->first = log->end = (uint16_t)(at - bytes_at(log, 0));
    }
    log->last_id = draft->id; /* the first id is in the header: the entry's own steps are none */
    log->last_id.seq--;
    if (log_append(heap, &page, draft, PAGE_SIZE_MAX) == LOG_APPENDED)
        return page;
    release(heap, page);
    return NULL;
}

/* ---- Taking out --------------------------------------------------------------------------------------------------- */

/* Moves the living entries to a block of their own. */
static void compact(struct heap *heap, struct page **page)
{
    struct page *old = *page;
    const struct log *from = log_of(old);
    const uint8_t *names = bytes_at(from, sizeof *from);
    size_t names_size = (size_t)(skip_strings(names, from->field_count) - names);
    /* Steps over dead entries may take more bytes than those before, but not more than them and the dead together. */
    struct page *fresh = allocate(heap, sizeof *from + names_size + (from->end - from->first));
    struct log *to = log_edit(fresh);
    memcpy(bytes_at(to, sizeof *to), names, names_size);
    to->field_count = from->field_count;
    to->first = to->end = (uint16_t)(sizeof *to + names_size);
    to->last_id = from->first_id;
    to->last_id.seq--;
    fresh->has_blobs = old->has_blobs;
    struct log_entry entry;
    uint8_t bytes[HEAD_MAX + LOG_BODY_MAX];
    for (bool more = log_first(old, &entry); more; more = log_next(&entry)) {
        uint8_t *body = write_head(bytes, entry.flags & ~FLAG_ID, to->last_id, entry.id);
        size_t body_size = (size_t)(entry.next - entry.body);
        memcpy(body, bytes_at(from, entry.body), body_size);
        put(to, bytes, (size_t)(body - bytes) + body_size, entry.id);
    }
    to->total = from->total;
    release(heap, old);
    *page = fresh;
    log_fit(heap, page);
}

/* Forgets the dead entries behind the last living one (G2). There is one. */
static void cut_end(struct log *log)
{
    struct log_entry entry, last;
    unsigned seen = 1;
    log_first(&log->page, &entry);
    last = entry;
    do {
        if (!(entry.flags & FLAG_DEAD)) {
            last = entry;
            log->page.capacity = (uint16_t)seen;
        }
        seen++;
    } while (follow(&entry));
    log->end = last.next;
    log->last_id = last.id;
}

void log_kill(struct heap *heap, struct page **page, const struct log_entry *entry)
{
    struct log *log = log_edit(*page);
    DEBUG_ASSERT(!page_is_shared(*page) && entry->log == log && !(entry->flags & FLAG_DEAD));
    *bytes_at(log, entry->offset) |= FLAG_DEAD;
    if (entry->flags & FLAG_OUTSIDE)
        element_unref(outside(log, entry->body));
    log->page.count--;
    if (log->page.count == 0) {
        log->first = log->end;
        log->page.capacity = 0;
        return;
    }
    if (entry->offset == log->first) {
        struct log_entry next = *entry;
        do {
            follow(&next);
            log->page.capacity--;
        } while (next.flags & FLAG_DEAD);
        log->first = next.offset;
        log->first_id = next.id;
    }
    if (entry->next == log->end)
        cut_end(log);
    if (log->page.capacity - log->page.count > LOG_DEAD_MIN && log->page.capacity > 2 * log->page.count)
        compact(heap, page);
}

/* ---- As of any page -------------------------------------------------------------------------------------------------- */

struct page *log_clone(struct heap *heap, const struct page *page)
{
    struct page *copy = copy_to(heap, page, page->size);
    struct log_entry entry;
    if (page->has_blobs)
        for (bool more = log_first(page, &entry); more; more = log_next(&entry))
            if (entry.flags & FLAG_OUTSIDE)
                element_ref(outside(entry.log, entry.body));
    return copy;
}

void log_drop_blobs(const struct page *page)
{
    struct log_entry entry;
    for (bool more = page->has_blobs && log_first(page, &entry); more; more = log_next(&entry))
        if (entry.flags & FLAG_OUTSIDE)
            element_unref(outside(entry.log, entry.body));
}

size_t log_used(const struct page *page)
{
    return log_of(page)->end - sizeof(struct page);
}

size_t log_memory(const struct page *page)
{
    size_t bytes = page->size;
    struct log_entry entry;
    for (bool more = page->has_blobs && log_first(page, &entry); more; more = log_next(&entry))
        if (entry.flags & FLAG_OUTSIDE)
            bytes += element_memory(outside(entry.log, entry.body));
    return bytes;
}

void log_check(const struct page *page)
{
    const struct log *log = log_of(page);
    ASSERT(page->layout == PAGE_LOG && page->refs > 0);
    ASSERT(page->size <= PAGE_SIZE_MAX && page->size == heap_block_size(page->size));
    ASSERT(page->count <= page->capacity && page->capacity <= log->total);
    ASSERT(sizeof *log <= log->first && log->first <= log->end && log->end <= page->size);
    const uint8_t *names = bytes_at(log, sizeof *log);
    ASSERT(skip_strings(names, log->field_count) <= bytes_at(log, log->first));
    struct log_entry entry;
    if (!log_first(page, &entry)) {
        ASSERT(log->first == log->end && page->capacity == 0);
        return;
    }
    unsigned entries = 0, living = 0;
    ASSERT(!(entry.flags & FLAG_DEAD));
    struct stream_id last;
    do {
        ASSERT(entries == 0 || stream_id_compare(last, entry.id) < 0);
        ASSERT(entry.next <= log->end);
        ASSERT(page->has_blobs || !(entry.flags & FLAG_OUTSIDE));
        last = entry.id;
        entries++;
        living += !(entry.flags & FLAG_DEAD);
    } while (follow(&entry));
    ASSERT(entry.next == log->end && entries == page->capacity && living == page->count);
    ASSERT(stream_id_compare(last, log->last_id) == 0);
    ASSERT(!(entry.flags & FLAG_DEAD));
}
