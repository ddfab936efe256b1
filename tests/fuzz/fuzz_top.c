/* Whatever a server answers to INFO, CLIENT LIST, LATENCY HISTOGRAM and SLOWLOG GET can be drawn: nothing but printable characters comes onto
 * the canvas, and JSON of it is one line. The input is split at zero bytes: INFO, INFO again a second later, CLIENT LIST;
 * each of them is an argument of a slow log's entry, too. */
#include <locale.h>
#include <math.h>

#include "base/bug.h"
#include "fuzz.h"
#include "top/json_output.h"
#include "top/view.h"

#define INPUT_MAX 32768
#define PARTS     3

static void split(struct slice input, struct slice parts[static PARTS])
{
    for (unsigned i = 0; i < PARTS; i++) {
        const char *end = i + 1 < PARTS && input.size > 0 ? memchr(input.data, 0, input.size) : NULL;
        parts[i] = slice_make(input.data, end != NULL ? (size_t)(end - input.data) : input.size);
        size_t used = end != NULL ? parts[i].size + 1 : parts[i].size;
        input = slice_make(input.data + used, input.size - used);
    }
}

static struct skua_reply string_reply(struct slice text)
{
    return (struct skua_reply){.type = SKUA_STRING, .string = text.data, .length = text.size};
}

static void add_lists(struct sample *sample, const struct slice parts[static PARTS])
{
    struct skua_reply words[PARTS];
    for (unsigned i = 0; i < PARTS; i++)
        words[i] = string_reply(parts[i]);
    struct skua_reply fields[] = {{.type = SKUA_INTEGER, .integer = INT64_MIN},
                                  {.type = SKUA_INTEGER, .integer = INT64_MAX},
                                  {.type = SKUA_INTEGER, .integer = -1},
                                  {.type = SKUA_ARRAY, .elements = words, .element_count = PARTS},
                                  words[0],
                                  words[2]};
    struct skua_reply entry = {.type = SKUA_ARRAY, .elements = fields, .element_count = ARRAY_COUNT(fields)};
    struct skua_reply log = {.type = SKUA_ARRAY, .elements = &entry, .element_count = 1};
    sample_set_slow_log(sample, &log);
    sample_set_clients(sample, &words[2]);
    struct skua_reply histogram[] = {{.type = SKUA_STRING, .string = "histogram_usec", .length = 14}, entry};
    struct skua_reply latencies[] = {
        {.type = SKUA_STRING, .string = "get", .length = 3},
        {.type = SKUA_ARRAY, .elements = histogram, .element_count = ARRAY_COUNT(histogram)}};
    struct skua_reply map = {
        .type = SKUA_ARRAY, .elements = latencies, .element_count = ARRAY_COUNT(latencies)};
    sample_set_latencies(sample, &map);
}

static void check_canvas(const struct canvas *canvas)
{
    for (int i = 0; i < canvas->width * canvas->height; i++) {
        wchar_t character = canvas->cells[i].character;
        ASSERT(character == 0 || (character >= 0x20 && character < 0x7f) || character >= 0xa0);
    }
}

static void draw_all(const struct model *model)
{
    static const int sizes[][2] = {{80, 24}, {120, 40}, {17, 7}};
    struct link_view link = {.address = "host:1", .state = LINK_READY, .waiting_s = NAN};
    struct view view;
    view_init(&view);
    for (unsigned i = 0; i < ARRAY_COUNT(sizes); i++) {
        struct canvas canvas = {.unicode = i % 2 == 0};
        canvas_resize(&canvas, sizes[i][0], sizes[i][1]);
        for (view.kind = 0; view.kind < VIEW_COUNT; view.kind++) {
            canvas_clear(&canvas);
            view_draw(&view, &canvas, model, &link);
            check_canvas(&canvas);
            table_next_sort(&view.lists[view.kind]);
        }
        canvas_done(&canvas);
    }
}

static void check_json(const struct model *model)
{
    struct buf out = {0};
    json_output(model, "host:1", &out);
    for (size_t i = 0; i < out.size; i++)
        ASSERT((unsigned char)out.data[i] >= 0x20);
    buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (size > INPUT_MAX)
        return 0;
    setlocale(LC_CTYPE, "C.UTF-8");
    struct slice parts[PARTS];
    struct model model;
    split(slice_make(size > 0 ? (const char *)bytes : "", size), parts);
    model_init(&model);
    for (unsigned i = 0; i < 2; i++) {
        struct sample *sample = sample_new(parts[i]);
        sample->taken_ns = (i + 1) * UINT64_C(1000000000);
        add_lists(sample, parts);
        model_take(&model, sample);
        draw_all(&model);
        check_json(&model);
    }
    model_done(&model);
    return 0;
}
