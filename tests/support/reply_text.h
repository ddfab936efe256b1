/* What a reader of replies found, as text: the same for items and for trees, so that the two can be compared.
 *
 * Principal entry points: text_items, text_trees, text_parts, feed_bytes, feed_pieces; counting_allocator.
 * For unit tests and fuzz targets of libskua. A value is a line: two blanks for each level, its type, its value, and a
 * point behind the last of a reply. An error is a line "!status text". */
#ifndef SKUA_TESTS_SUPPORT_REPLY_TEXT_H
#define SKUA_TESTS_SUPPORT_REPLY_TEXT_H

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <skua/reply.h>

#define REQUIRE(condition)                                                                                   \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #condition);                    \
            abort();                                                                                         \
        }                                                                                                    \
    } while (0)

/* ---- Text ------------------------------------------------------------------------------------------------- */

struct text {
    char *data; /* with a zero byte behind `size` once something was added */
    size_t size, capacity;
    char *part; /* text_parts: the pieces of a string so far */
    size_t part_size, part_left;
};

static inline void text_done(struct text *text)
{
    free(text->data);
    free(text->part);
    *text = (struct text){0};
}

static inline const char *text_string(const struct text *text)
{
    return text->size > 0 ? text->data : "";
}

static inline void text_add(struct text *text, const char *bytes, size_t size)
{
    if (text->size + size + 1 > text->capacity) {
        text->capacity = 2 * (text->size + size + 1);
        text->data = realloc(text->data, text->capacity);
        REQUIRE(text->data != NULL);
    }
    memcpy(text->data + text->size, bytes, size);
    text->size += size;
    text->data[text->size] = '\0';
}

__attribute__((format(printf, 2, 3))) static inline void text_printf(struct text *text, const char *format,
                                                                     ...)
{
    char line[512];
    va_list values;
    va_start(values, format);
    int length = vsnprintf(line, sizeof(line), format, values);
    va_end(values);
    REQUIRE(length >= 0 && (size_t)length < sizeof(line));
    text_add(text, line, (size_t)length);
}

/* In quotes, bytes that do not print as \xNN. */
static inline void text_quoted(struct text *text, const char *bytes, size_t size)
{
    text_add(text, "\"", 1);
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] < ' ' || bytes[i] > '~' || bytes[i] == '\\' || bytes[i] == '"')
            text_printf(text, "\\x%02x", (unsigned char)bytes[i]);
        else
            text_add(text, bytes + i, 1);
    }
    text_add(text, "\"", 1);
}

static inline const char *text_type(enum skua_type type)
{
    static const char *const names[] = {
        [SKUA_STRING] = "string",  [SKUA_STATUS] = "status",
        [SKUA_ERROR] = "error",    [SKUA_INTEGER] = "integer",
        [SKUA_NULL] = "null",      [SKUA_ARRAY] = "array",
        [SKUA_DOUBLE] = "double",  [SKUA_BOOL] = "bool",
        [SKUA_BIG_NUMBER] = "big", [SKUA_VERBATIM] = "verbatim",
        [SKUA_MAP] = "map",        [SKUA_SET] = "set",
        [SKUA_PUSH] = "push",      [SKUA_ATTRIBUTE] = "attribute",
    };
    REQUIRE(type >= SKUA_STRING && type <= SKUA_ATTRIBUTE);
    return names[type];
}

static inline void text_item(struct text *text, const struct skua_item *item)
{
    text_printf(text, "%*s%s", (int)item->depth * 2, "", text_type(item->type));
    if (item->type == SKUA_VERBATIM)
        text_printf(text, " %s", item->format);
    if (item->type == SKUA_INTEGER || item->type == SKUA_BOOL)
        text_printf(text, " %lld", (long long)item->integer);
    if (item->type == SKUA_DOUBLE)
        text_printf(text, " %.17g", item->number);
    if (item->string != NULL) {
        text_add(text, " ", 1);
        text_quoted(text, item->string, item->length);
    }
    if (item->type >= SKUA_MAP || item->type == SKUA_ARRAY)
        text_printf(text, " %zu", item->element_count);
    if (item->left > 0)
        text_printf(text, " +%zu", item->left);
    text_printf(text, item->last ? ".\n" : "\n");
}

static inline void text_error(struct text *text, enum skua_status status, const struct skua_reader *reader)
{
    if (status != SKUA_AGAIN)
        text_printf(text, "!%s: %s\n", skua_status_text(status), skua_reader_error(reader));
}

/* All items that there are, and an error. */
static inline enum skua_status text_items(struct text *text, struct skua_reader *reader)
{
    struct skua_item item;
    enum skua_status status;
    while ((status = skua_reader_next(reader, &item)) == SKUA_OK)
        text_item(text, &item);
    text_error(text, status, reader);
    return status;
}

/* A tree's node as the item that it came from. Checks that unused fields are zero and strings end with a zero byte. */
static inline void text_node(struct text *text, const struct skua_reply *node, unsigned depth)
{
    if (node->attributes != NULL) {
        REQUIRE(node->attributes->type == SKUA_ATTRIBUTE);
        text_node(text, node->attributes, depth);
    }
    struct skua_item item = {
        .type = node->type,
        .depth = depth,
        .integer = node->integer,
        .number = node->number,
        .string = node->string,
        .length = node->length,
        .element_count = node->element_count,
    };
    memcpy(item.format, node->format, sizeof(item.format));
    REQUIRE(node->string == NULL ? node->length == 0 : node->string[node->length] == '\0');
    REQUIRE((node->elements == NULL) == (node->element_count == 0));
    REQUIRE(node->type == SKUA_VERBATIM || node->format[0] == '\0');
    REQUIRE(node->type == SKUA_INTEGER || node->type == SKUA_BOOL || node->integer == 0);
    text_item(text, &item);
    for (size_t i = 0; i < node->element_count; i++)
        text_node(text, &node->elements[i], depth + 1);
}

/* All whole replies that there are, as trees, and an error. */
static inline enum skua_status text_trees(struct text *text, struct skua_reader *reader)
{
    struct skua_reply *reply;
    enum skua_status status;
    while ((status = skua_reader_tree(reader, &reply)) == SKUA_OK) {
        text_node(text, reply, 0);
        text->size--; /* the line end, for the point that marks the last item */
        text_add(text, ".\n", 2);
        skua_reply_free(reply);
    }
    text_error(text, status, reader);
    return status;
}

/* As text_items, when parts are on: a string is written once its last piece is there. */
static inline enum skua_status text_parts(struct text *text, struct skua_reader *reader)
{
    struct skua_item item;
    enum skua_status status;
    while ((status = skua_reader_next(reader, &item)) == SKUA_OK) {
        REQUIRE(text->part_left == 0 || text->part_left == item.length + item.left);
        REQUIRE(item.left == 0 || (item.length > 0 && !item.last));
        if (item.left > 0 || text->part_left > 0) {
            text->part = realloc(text->part, text->part_size + item.length);
            REQUIRE(text->part != NULL);
            memcpy(text->part + text->part_size, item.string, item.length);
            text->part_size += item.length;
            item.string = text->part;
            item.length = text->part_size;
        }
        text->part_left = item.left;
        if (item.left > 0)
            continue;
        text->part_size = 0;
        text_item(text, &item);
    }
    text_error(text, status, reader);
    return status;
}

/* Takes away the items of a last reply that is not whole; an error stays. What is left is what trees would say. */
static inline void text_drop_unfinished(struct text *text)
{
    const char *all = text_string(text);
    const char *found = strstr(all, "\n!");
    const char *error = all[0] == '!' ? all : found != NULL ? found + 1 : all + text->size;
    size_t end = (size_t)(error - all);
    while (end > 0 && !(end >= 2 && memcmp(all + end - 2, ".\n", 2) == 0))
        end--;
    struct text kept = {0};
    text_add(&kept, all, end);
    text_add(&kept, error, strlen(error));
    text_done(text);
    *text = kept;
}

/* ---- Feeding ---------------------------------------------------------------------------------------------- */

typedef enum skua_status text_fn(struct text *text, struct skua_reader *reader);

/* Feeds bytes so that whoever reads behind them meets line ends and digits: the result would then depend on how the
 * bytes were split. SKUA_ERR_MEMORY, or that the stream has ended. */
static inline enum skua_status feed_bytes(struct skua_reader *reader, const char *bytes, size_t size)
{
    static const char filler[] = "\r\n1\r\n";
    char *space;
    size_t capacity;
    enum skua_status status = skua_reader_reserve(reader, size, &space, &capacity);
    if (status != SKUA_OK)
        return status;
    REQUIRE(capacity >= size);
    memcpy(space, bytes, size);
    for (size_t i = size; i < capacity && i < size + sizeof(filler); i++)
        space[i] = filler[i % (sizeof(filler) - 1)];
    skua_reader_commit(reader, size);
    return SKUA_OK;
}

/* Feeds `first` bytes and then the others in pieces of `step` bytes, reading after each, to the end or to an error.
 * Checks what the reader says of itself: as long as fewer bytes came than it wanted, nothing new is found. */
static inline void feed_pieces(struct text *text, struct skua_reader *reader, text_fn *read,
                               const char *bytes, size_t size, size_t first, size_t step)
{
    size_t at = 0, wanted = 1;
    for (size_t piece = first;; piece = step) {
        if (piece > size - at)
            piece = size - at;
        REQUIRE(feed_bytes(reader, bytes + at, piece) == SKUA_OK);
        at += piece;
        size_t before = text->size;
        enum skua_status status = read(text, reader);
        REQUIRE(status == SKUA_AGAIN || status == SKUA_ERR_PROTOCOL || status == SKUA_ERR_LIMIT);
        REQUIRE((status == SKUA_AGAIN) == (skua_reader_error(reader)[0] == '\0'));
        REQUIRE(piece >= wanted || text->size == before);
        if (status != SKUA_AGAIN || at == size)
            return;
        REQUIRE(skua_reader_pending(reader) <= at);
        wanted = skua_reader_wanted(reader);
        REQUIRE(wanted > 0);
    }
}

/* ---- Memory ----------------------------------------------------------------------------------------------- */

/* An allocator that counts, and fails when told to. */
struct counting {
    size_t calls;   /* of allocate and resize */
    size_t fail_at; /* the call that fails, from 1 on; 0: none */
    size_t live;    /* blocks */
    size_t bytes;   /* in them */
    size_t bytes_peak;
};

union counting_header {
    size_t size;
    max_align_t align;
};

static inline void *counting_resize(void *context, void *block, size_t size)
{
    struct counting *counting = context;
    if (++counting->calls == counting->fail_at)
        return NULL;
    union counting_header *header = block != NULL ? (union counting_header *)block - 1 : NULL;
    size_t before = header != NULL ? header->size : 0;
    union counting_header *moved =
        malloc(sizeof(*moved) + size); /* always moves: old pointers are found out */
    REQUIRE(moved != NULL);
    if (header != NULL)
        memcpy(moved + 1, block, before < size ? before : size);
    else
        counting->live++;
    free(header);
    moved->size = size;
    counting->bytes += size - before;
    if (counting->bytes > counting->bytes_peak)
        counting->bytes_peak = counting->bytes;
    return moved + 1;
}

static inline void *counting_allocate(void *context, size_t size)
{
    return counting_resize(context, NULL, size);
}

static inline void counting_release(void *context, void *block)
{
    struct counting *counting = context;
    REQUIRE(block != NULL && counting->live > 0);
    union counting_header *header = (union counting_header *)block - 1;
    counting->live--;
    counting->bytes -= header->size;
    free(header);
}

static inline struct skua_allocator counting_allocator(struct counting *counting)
{
    return (struct skua_allocator){counting_allocate, counting_resize, counting_release, counting};
}

#endif
