/* Digests. Entry: digest_value, digest_keyspace. Rules and threads: see digest.h. */
#include "types/digest.h"

#include <nettle/sha1.h>
#include <stdio.h>

#include "types/collection.h"
#include "types/hash.h"
#include "types/stream.h"
#include "types/zset.h"

_Static_assert(DIGEST_SIZE == SHA1_DIGEST_SIZE, "digests are those of SHA-1");

/* ---- Steps ------------------------------------------------------------------------------------------------- */

static void sha1_of(const void *data, size_t size, struct digest *ret_digest)
{
    struct sha1_ctx context;
    sha1_init(&context);
    sha1_update(&context, size, data);
    sha1_digest(&context, sizeof ret_digest->bytes, ret_digest->bytes);
}

static void add(struct digest *digest, const void *data, size_t size)
{
    struct digest hash;
    sha1_of(data, size, &hash);
    for (unsigned i = 0; i < DIGEST_SIZE; i++)
        digest->bytes[i] ^= hash.bytes[i];
}

static void chain(struct digest *digest, const void *data, size_t size)
{
    add(digest, data, size);
    sha1_of(digest->bytes, sizeof digest->bytes, digest);
}

static void add_digest(struct digest *digest, const struct digest *part)
{
    add(digest, part->bytes, sizeof part->bytes);
}

static void chain_slice(struct digest *digest, struct slice text)
{
    chain(digest, text.data, text.size);
}

static void chain_number(struct digest *digest, uint32_t number)
{
    uint32_t bytes = __builtin_bswap32(number);
    chain(digest, &bytes, sizeof bytes);
}

/* ---- Values ------------------------------------------------------------------------------------------------ */

/* What Redis's types are numbered. */
static uint32_t number_of_type(enum entry_type type)
{
    switch (type) {
    case ENTRY_STRING: return 0;
    case ENTRY_LIST: return 1;
    case ENTRY_SET: return 2;
    case ENTRY_ZSET: return 3;
    case ENTRY_HASH: return 4;
    case ENTRY_STREAM: return 6;
    }
    BUG("entry of unknown type %d", (int)type);
}

static void add_field(struct digest *digest, const struct page *page, unsigned row)
{
    element_scratch scratch;
    struct digest field = {0};
    chain_slice(&field, element_text(page_element(page, row, 0), scratch));
    chain_slice(&field, element_text(page_element(page, row, 1), scratch));
    if (page->layout == PAGE_TIMED_HASH && (int64_t)page_number(page, row) != ENTRY_NO_EXPIRE)
        add(&field, "!!hexpire!!", strlen("!!hexpire!!"));
    add_digest(digest, &field);
}

static void add_scored(struct digest *digest, const struct page *page, unsigned row)
{
    element_scratch scratch;
    char score[64];
    struct digest member = {0};
    chain_slice(&member, element_text(page_element(page, row, 0), scratch));
    int size = snprintf(score, sizeof score, "%.17g", zset_score_of(page_number(page, row)));
    chain(&member, score, (size_t)size);
    add_digest(digest, &member);
}

static void mix_row(struct digest *digest, enum entry_type type, const struct page *page, unsigned row)
{
    element_scratch scratch;
    struct slice text;
    switch (type) {
    case ENTRY_LIST: chain_slice(digest, element_text(page_element(page, row, 0), scratch)); return;
    case ENTRY_SET:
        text = element_text(page_element(page, row, 0), scratch);
        add(digest, text.data, text.size);
        return;
    case ENTRY_ZSET: add_scored(digest, page, row); return;
    case ENTRY_HASH: add_field(digest, page, row); return;
    case ENTRY_STRING:
    case ENTRY_STREAM: break;
    }
    BUG("an entry of type %d has no rows", (int)type);
}

static void mix_collection(struct digest *digest, struct keyspace *keyspace, const struct entry *entry)
{
    struct collection_view view;
    struct tree_place place;
    collection_open(&view, keyspace, (struct entry *)entry);
    tree_first_page(view.rows, &place);
    do {
        for (unsigned row = 0; row < place.page->count; row++)
            mix_row(digest, entry_type(entry), place.page, row);
    } while (tree_next_page(view.rows, &place));
}

static void chain_stream(struct digest *digest, const struct stream *stream)
{
    struct stream_cursor cursor;
    struct log_fields fields;
    struct slice name, value;
    char id[64];
    if (!stream_seek(&cursor, stream, STREAM_ID_MIN, false))
        return;
    do {
        int size = snprintf(id, sizeof id, "%llu.%llu", (unsigned long long)cursor.entry.id.ms,
                            (unsigned long long)cursor.entry.id.seq);
        chain(digest, id, (size_t)size);
        log_fields_begin(&fields, &cursor.entry);
        while (log_fields_next(&fields, &name, &value)) {
            chain_slice(digest, name);
            chain_slice(digest, value);
        }
    } while (stream_step(&cursor));
}

static void mix_data(struct digest *digest, struct keyspace *keyspace, const struct entry *entry)
{
    entry_scratch scratch;
    chain_number(digest, number_of_type(entry_type(entry)));
    if (entry_type(entry) == ENTRY_STRING)
        chain_slice(digest, entry_string(entry, scratch));
    else if (entry_type(entry) == ENTRY_STREAM)
        chain_stream(digest, stream_of(entry));
    else
        mix_collection(digest, keyspace, entry);
}

static void mix_value(struct digest *digest, struct keyspace *keyspace, const struct entry *entry)
{
    mix_data(digest, keyspace, entry);
    if (entry_expire_ms(entry) != ENTRY_NO_EXPIRE)
        add(digest, "!!expire!!", strlen("!!expire!!"));
}

void digest_value(struct keyspace *keyspace, const struct entry *entry, struct digest *ret_digest)
{
    *ret_digest = (struct digest){0};
    mix_value(ret_digest, keyspace, entry);
}

void digest_data(struct keyspace *keyspace, const struct entry *entry, struct digest *ret_digest)
{
    *ret_digest = (struct digest){0};
    mix_data(ret_digest, keyspace, entry);
}

/* ---- Keyspaces --------------------------------------------------------------------------------------------- */

void digest_add_key(struct digest *sum, struct keyspace *keyspace, const struct entry *entry)
{
    struct digest digest = {0};
    chain_slice(&digest, entry_key(entry));
    mix_value(&digest, keyspace, entry);
    add_digest(sum, &digest);
}

void digest_add_database(struct digest *whole, uint32_t number, const struct digest *sum)
{
    chain_number(whole, number);
    for (unsigned i = 0; i < DIGEST_SIZE; i++)
        whole->bytes[i] ^= sum->bytes[i];
}

struct adding {
    struct keyspace *keyspace;
    struct digest sum;
};

static void add_entry(void *item, void *context)
{
    struct adding *adding = context;
    digest_add_key(&adding->sum, adding->keyspace, item);
}

void digest_keyspace(struct keyspace *keyspace, struct digest *ret_digest)
{
    struct digest whole = {0};
    for (uint32_t i = 0; i < keyspace->db_count; i++) {
        const struct table *keys = keyspace->dbs[i].keys;
        struct adding adding = {.keyspace = keyspace};
        uint64_t cursor = 0;
        if (table_size(keys) == 0)
            continue;
        do {
            cursor = table_scan(keys, cursor, add_entry, &adding);
        } while (cursor != 0);
        digest_add_database(&whole, i, &adding.sum);
    }
    *ret_digest = whole;
}

void digest_format(const struct digest *digest, char text[static DIGEST_TEXT_SIZE])
{
    for (unsigned i = 0; i < DIGEST_SIZE; i++)
        snprintf(text + 2 * (size_t)i, 3, "%02x", digest->bytes[i]);
}
