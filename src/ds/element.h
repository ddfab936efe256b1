/* An element: a byte string in the form in which collections store it.
 *
 * Principal entry points: element_make, element_text, element_equal, element_hash, element_tag, element_ref, element_unref.
 * The form is canonical: two strings are equal if and only if their elements are, so that elements can be compared and
 * hashed without going back to the text.
 *
 * | kind  | which strings                                                | what is stored                              |
 * |-------|--------------------------------------------------------------|---------------------------------------------|
 * | INT   | what num_format_i64 would write                              | 1 to 8 bytes, little endian, two's complement, as few as hold the value |
 * | BYTES | other ones of at most ELEMENT_BYTES_MAX bytes                | the bytes                                   |
 * | BLOB  | longer ones                                                  | the address of a struct blob, 8 bytes        |
 * Threads: none of its own. A blob's reference count may be changed by any thread. */
#ifndef SKUA_DS_ELEMENT_H
#define SKUA_DS_ELEMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "base/num.h"
#include "base/slice.h"
#include "base/status.h"

/* A page holds at least six of these. */
#define ELEMENT_BYTES_MAX 640

enum element_kind {
    ELEMENT_BYTES = 0,
    ELEMENT_INT = 1,
    ELEMENT_BLOB = 2,
};

/* A long string, never changed. */
struct blob {
    _Atomic uint32_t refs;
    size_t size;
    char data[];
};

/* A view of stored bytes; `data` has no alignment. */
struct element {
    const char *data;
    uint16_t size;
    uint8_t kind; /* enum element_kind */
};

/* As an assignment, with size and kind written as one word: whoever copies an element that was just made reads them at once, and the
 * processor would wait until the pieces have reached the cache. */
ALWAYS_INLINE void element_put(struct element *ret_element, const char *data, size_t size,
                               enum element_kind kind)
{
    _Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ && sizeof(struct element) == 16 &&
                       offsetof(struct element, size) == 8 && offsetof(struct element, kind) == 10,
                   "the second word is size and kind");
    uint64_t word = (uint16_t)size | (uint64_t)kind << 16;
    ret_element->data = data;
    memcpy((char *)ret_element + offsetof(struct element, size), &word, sizeof word);
}

/* Room for what element_make writes and for the text of an integer. */
typedef char element_scratch[NUM_I64_TEXT_MAX];

/* The same as element_make of a text that may be an integer, or is long. */
enum status element_make_slow(struct slice text, element_scratch scratch, struct element *ret_element);

/* The element that stands for `text`. Its data are in `scratch`, or are those of `text`, which must stay as long.
 * For a text that needs a blob, one is allocated with one reference, which belongs to the element's holder.
 * ST_NOMEM: there was no memory for a blob. */
ALWAYS_INLINE enum status element_make(struct slice text, element_scratch scratch,
                                       struct element *ret_element)
{
    /* Most names begin with neither a digit nor a sign. */
    bool is_name = text.size > 0 && (uint8_t)(text.data[0] - '0') > 9 && text.data[0] != '-';
    if (unlikely(!is_name || text.size > ELEMENT_BYTES_MAX))
        return element_make_slow(text, scratch, ret_element);
    element_put(ret_element, text.data, text.size, ELEMENT_BYTES);
    return ST_OK;
}

/* The string. Integers are written into `scratch`; others are where they are stored. */
struct slice element_text(struct element element, element_scratch scratch);

/* The value of an INT. */
int64_t element_int(struct element element);

ALWAYS_INLINE struct blob *element_blob(struct element element)
{
    struct blob *blob;
    memcpy(&blob, element.data, sizeof blob);
    return blob;
}

bool element_equal_blob(struct element a, struct element b);

ALWAYS_INLINE bool element_equal(struct element a, struct element b)
{
    if (a.kind != b.kind || a.size != b.size)
        return false;
    if (unlikely(a.kind == ELEMENT_BLOB))
        return element_equal_blob(a, b);
    return memcmp(a.data, b.data, a.size) == 0;
}

/* Order of the texts, as slice_compare. */
int element_compare(struct element a, struct element b);

/* The same as element_hash of what is not BYTES. */
uint64_t element_hash_slow(struct element element, uint64_t seed);

/* Uniform; the same for equal strings. */
ALWAYS_INLINE uint64_t element_hash(struct element element, uint64_t seed)
{
    if (unlikely(element.kind != ELEMENT_BYTES))
        return element_hash_slow(element, seed);
    return hash_bytes(element.data, element.size, seed);
}

#define ELEMENT_TAG_WORD 8 /* bytes at either end that a tag is made of, of texts that have as many */

/* A byte from the first and the last bytes of a text, which is where names differ, and from its size. */
ALWAYS_INLINE uint8_t element_mix_tag(uint64_t first, uint64_t last, size_t size)
{
    const uint64_t factor = UINT64_C(0x9e3779b97f4a7c15); /* odd, and no bits in sequence */
    uint64_t mixed = (first * factor ^ last ^ size) * factor;
    return (uint8_t)((mixed ^ mixed << 29) >> 56);
}

/* The same as element_tag of what is a BLOB or shorter than ELEMENT_TAG_WORD. */
uint8_t element_tag_slow(struct element element);

/* A byte that different elements, mostly, have different ones of; the same for equal strings. Without a seed: who knows it
 * can choose strings that all have the same one, which must not cost more than looking at the elements of a page. */
ALWAYS_INLINE uint8_t element_tag(struct element element)
{
    uint64_t first, last;
    if (unlikely(element.size < ELEMENT_TAG_WORD || element.kind == ELEMENT_BLOB))
        return element_tag_slow(element);
    memcpy(&first, element.data, sizeof first);
    memcpy(&last, element.data + element.size - sizeof last, sizeof last);
    return element_mix_tag(first, last, element.size);
}

/* The tag of a text that is a BLOB once it is an element. */
uint8_t element_tag_long(struct slice text);

/* One more, or one less, reference to the element's blob, if it has one. Any thread. */
void element_ref(struct element element);
void element_unref(struct element element);

/* A blob that holds `text`, with one reference; of any size, for names that are held on their own. NULL: there is no
 * memory. */
struct blob *blob_new(struct slice text);
/* The same as element_ref and element_unref for the blob itself; the latter matches chunk's release callback. */
struct blob *blob_ref(struct blob *blob);
void blob_unref(void *blob);

#define ELEMENT_BATCH_FEW 16 /* so many need no memory */

/* Elements of several texts, made before any is stored, so that a refusal of memory changes nothing. */
struct element_batch {
    struct element *elements;
    element_scratch *scratches;
    uint32_t count;
    struct element few[ELEMENT_BATCH_FEW];
    element_scratch few_scratches[ELEMENT_BATCH_FEW];
};

/* The same as element_batch_make, of any number. */
enum status element_batch_make_many(struct element_batch *batch, const struct slice *texts, uint32_t count);

/* ST_NOMEM: nothing was made. The texts must stay as long as the batch, and the batch where it is. */
ALWAYS_INLINE enum status element_batch_make(struct element_batch *batch, const struct slice *texts,
                                             uint32_t count)
{
    if (unlikely(count > 2)) /* a member, or a field and its value */
        return element_batch_make_many(batch, texts, count);
    batch->count = count;
    batch->elements = batch->few;
    if (unlikely(element_make(texts[0], batch->few_scratches[0], &batch->few[0]) != ST_OK))
        return ST_NOMEM;
    if (count > 1 && unlikely(element_make(texts[1], batch->few_scratches[1], &batch->few[1]) != ST_OK)) {
        element_unref(batch->few[0]);
        return ST_NOMEM;
    }
    return ST_OK;
}
/* Forgets the batch. The references of blobs are the caller's from element_batch_make on. */
ALWAYS_INLINE void element_batch_done(struct element_batch *batch)
{
    if (unlikely(batch->elements != batch->few))
        mem_free(batch->elements);
}

/* Bytes outside the place where the element is stored. */
size_t element_memory(struct element element);

#endif
