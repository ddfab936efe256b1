/* Elements of collections. Entry: element_make, element_text. Threads: see element.h. */
#include "ds/element.h"

#include <stdatomic.h>

#include "base/alloc.h"
#include "base/bug.h"

/* Bytes that hold `value` in two's complement. */
static unsigned int_size(int64_t value)
{
    uint64_t magnitude = (uint64_t)(value < 0 ? ~value : value);
    return magnitude == 0 ? 1 : (64 - (unsigned)__builtin_clzll(magnitude)) / 8 + 1;
}

enum status element_make_slow(struct slice text, element_scratch scratch, struct element *ret_element)
{
    int64_t value;
    if (text.size < NUM_I64_TEXT_MAX && num_parse_i64(text, &value)) {
        memcpy(scratch, &value, sizeof value);
        *ret_element = (struct element){scratch, (uint16_t)int_size(value), ELEMENT_INT};
        return ST_OK;
    }
    if (likely(text.size <= ELEMENT_BYTES_MAX)) {
        *ret_element = (struct element){text.data, (uint16_t)text.size, ELEMENT_BYTES};
        return ST_OK;
    }
    struct blob *blob = blob_new(text);
    if (blob == NULL)
        return ST_NOMEM;
    memcpy(scratch, &blob, sizeof blob);
    *ret_element = (struct element){scratch, sizeof blob, ELEMENT_BLOB};
    return ST_OK;
}

int64_t element_int(struct element element)
{
    uint64_t bits;
    unsigned size = element.size, shift = 64 - 8 * size;
    const uint8_t *data = (const uint8_t *)element.data;
    if (size < 4) { /* bytes that are read twice are the same */
        bits =
            data[0] | (uint64_t)data[size / 2] << 8 * (size / 2) | (uint64_t)data[size - 1] << 8 * (size - 1);
    } else {
        uint32_t low, high;
        memcpy(&low, data, sizeof low);
        memcpy(&high, data + size - sizeof high, sizeof high);
        bits = low | (uint64_t)high << 8 * (size - sizeof high);
    }
    return (int64_t)(bits << shift) >> shift;
}

struct slice element_text(struct element element, element_scratch scratch)
{
    switch ((enum element_kind)element.kind) {
    case ELEMENT_BYTES: return slice_make(element.data, element.size);
    case ELEMENT_INT: return slice_make(scratch, num_format_i64(element_int(element), scratch));
    case ELEMENT_BLOB: {
        const struct blob *blob = element_blob(element);
        return slice_make(blob->data, blob->size);
    }
    }
    BUG("element of kind %d", element.kind);
}

bool element_equal_blob(struct element a, struct element b)
{
    const struct blob *one = element_blob(a), *other = element_blob(b);
    return one == other || (one->size == other->size && memcmp(one->data, other->data, one->size) == 0);
}

int element_compare(struct element a, struct element b)
{
    element_scratch one, other;
    return slice_compare(element_text(a, one), element_text(b, other));
}

uint64_t element_hash_slow(struct element element, uint64_t seed)
{
    if (element.kind == ELEMENT_BLOB) {
        const struct blob *blob = element_blob(element);
        return hash_bytes(blob->data, blob->size, seed);
    }
    int64_t value = element_int(element);
    return hash_bytes(&value, sizeof value,
                      ~seed); /* another seed: the text of eight such bytes has its own hash */
}

struct blob *blob_new(struct slice text)
{
    struct blob *blob = mem_try_alloc(sizeof *blob + text.size);
    if (blob == NULL)
        return NULL;
    atomic_init(&blob->refs, 1);
    blob->size = text.size;
    memcpy(blob->data, text.data, text.size);
    return blob;
}

struct blob *blob_ref(struct blob *blob)
{
    atomic_fetch_add_explicit(&blob->refs, 1, memory_order_relaxed);
    return blob;
}

static uint8_t tag_of(const char *data, size_t size)
{
    uint64_t first = 0, last = 0;
    if (likely(size >= ELEMENT_TAG_WORD)) {
        memcpy(&first, data, sizeof first);
        memcpy(&last, data + size - sizeof last, sizeof last);
    } else if (size >= 4) {
        memcpy(&first, data, 4);
        memcpy(&last, data + size - 4, 4);
    } else if (size > 0) {
        first = (uint8_t)data[0] | (uint64_t)(uint8_t)data[size / 2] << 8;
        last = (uint8_t)data[size - 1];
    }
    return element_mix_tag(first, last, size);
}

uint8_t element_tag_slow(struct element element)
{
    if (element.kind != ELEMENT_BLOB)
        return tag_of(element.data, element.size);
    const struct blob *blob = element_blob(element);
    return tag_of(blob->data, blob->size);
}

uint8_t element_tag_long(struct slice text)
{
    return tag_of(text.data, text.size);
}

void element_ref(struct element element)
{
    if (element.kind == ELEMENT_BLOB)
        blob_ref(element_blob(element));
}

void blob_unref(void *argument)
{
    struct blob *blob = argument;
    /* Release: what this holder read was read before; acquire: the last one frees after all others have read. */
    if (atomic_fetch_sub_explicit(&blob->refs, 1, memory_order_acq_rel) == 1)
        mem_free(blob);
}

void element_unref(struct element element)
{
    if (element.kind == ELEMENT_BLOB)
        blob_unref(element_blob(element));
}

enum status element_batch_make_many(struct element_batch *batch, const struct slice *texts, uint32_t count)
{
    batch->count = count;
    batch->elements = batch->few;
    batch->scratches = batch->few_scratches;
    if (count > ELEMENT_BATCH_FEW) {
        batch->elements = mem_try_alloc((size_t)count * (sizeof *batch->elements + sizeof *batch->scratches));
        if (batch->elements == NULL)
            return ST_NOMEM;
        batch->scratches = (element_scratch *)(batch->elements + count);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (element_make(texts[i], batch->scratches[i], &batch->elements[i]) == ST_OK)
            continue;
        while (i-- > 0)
            element_unref(batch->elements[i]);
        element_batch_done(batch);
        return ST_NOMEM;
    }
    return ST_OK;
}

size_t element_memory(struct element element)
{
    return element.kind == ELEMENT_BLOB ? mem_usable_size(element_blob(element)) : 0;
}
