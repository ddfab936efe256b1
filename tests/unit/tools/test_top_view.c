/* What skua-top draws: the canvas that lets no control character through, lists, the views on three servers, keys. */
#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/utf8.h"
#include "top/format.h"
#include "top/json_output.h"
#include "top/view.h"
#include "top_recorded.h"

static const char *row_of(const struct canvas *canvas, int row, struct buf *text)
{
    buf_clear(text);
    canvas_row_text(canvas, row, text);
    return buf_string(text);
}

static void assert_row(const struct canvas *canvas, int row, const char *expected)
{
    struct buf text = {0};
    assert_string_equal(row_of(canvas, row, &text), expected);
    buf_done(&text);
}

/* ---- Numbers ---------------------------------------------------------------------------------------------- */

static void test_numbers(void **state)
{
    char text[FORMAT_MAX];
    assert_string_equal(format_count(NAN, text), "-");
    assert_string_equal(format_count(99999, text), "99999");
    assert_string_equal(format_count(123456, text), "123k");
    assert_string_equal(format_count(1234567, text), "1.23M");
    assert_string_equal(format_rate(0, text), "0");
    assert_string_equal(format_rate(0.44, text), "0.4");
    assert_string_equal(format_rate(-2, text), "-2.0");
    assert_string_equal(format_rate(9.99, text), "10");
    assert_string_equal(format_bytes(1023, text), "1023B");
    assert_string_equal(format_bytes(1024, text), "1.00K");
    assert_string_equal(format_bytes(1.5 * 1024 * 1024 * 1024, text), "1.50G");
    assert_string_equal(format_usec(0.5, text), "0.50us");
    assert_string_equal(format_usec(1234, text), "1.23ms");
    assert_string_equal(format_usec(2500000, text), "2.50s");
    assert_string_equal(format_span(59, text), "59s");
    assert_string_equal(format_span(3599, text), "59m59s");
    assert_string_equal(format_span(90061, text), "1d01h");
    assert_string_equal(format_percent(0.015, text), "1.5%");
    assert_string_equal(format_percent(1, text), "100%");
    assert_string_equal(format_percent(0, text), "0%");
    assert_true(strlen(format_count(1e300, text)) < FORMAT_MAX);
    assert_true(strlen(format_bytes(-1e300, text)) < FORMAT_MAX);
    assert_true(strlen(format_usec(1e300, text)) < FORMAT_MAX);
    assert_true(strlen(format_percent(1e300, text)) < FORMAT_MAX);
}

/* ---- Canvas ----------------------------------------------------------------------------------------------- */

static void test_no_control_character_gets_onto_the_canvas(void **state)
{
    struct canvas canvas = {.unicode = true};
    canvas_resize(&canvas, 80, 6);
    canvas_text(&canvas, 0, 0, 80, STYLE_PLAIN, SLICE("a\x1b[31mb\r\n\t\x7f"));
    canvas_text(&canvas, 1, 0, 80, STYLE_PLAIN,
                SLICE("\xc2\x9b"
                      "2J\xc2\x85")); /* CSI and NEL as one character */
    canvas_text(&canvas, 2, 0, 80, STYLE_PLAIN,
                SLICE("\xe2\x80\xae"
                      "x\xe2\x80\x8b")); /* right to left, width 0 */
    canvas_text(&canvas, 3, 0, 80, STYLE_PLAIN, SLICE("\xff\xc0\xaf\xed\xa0\x80\xf4\x90\x80\x80\xe2\x82"));
    canvas_text(&canvas, 4, 0, 80, STYLE_PLAIN, (struct slice){"nul\0nul", 7});
    assert_row(&canvas, 0, "a\\x1b[31mb\\x0d\\x0a\\x09\\x7f");
    assert_row(&canvas, 1, "\\xc2\\x9b2J\\xc2\\x85");
    assert_row(&canvas, 2, "\\xe2\\x80\\xaex\\xe2\\x80\\x8b");
    assert_row(&canvas, 3, "\\xff\\xc0\\xaf\\xed\\xa0\\x80\\xf4\\x90\\x80\\x80\\xe2\\x82");
    assert_row(&canvas, 4, "nul\\x00nul");
    for (int i = 0; i < canvas.width * canvas.height; i++)
        assert_true(canvas.cells[i].character == 0 || canvas.cells[i].character >= 0x20);
    canvas_done(&canvas);
}

static void test_wide_characters_and_ascii(void **state)
{
    struct canvas canvas = {.unicode = true};
    canvas_resize(&canvas, 10, 3);
    assert_int_equal(canvas_text(&canvas, 0, 0, 10, STYLE_PLAIN, SLICE("日本é")), 5);
    assert_row(&canvas, 0, "日本é");
    assert_int_equal(canvas.cells[1].character, 0);
    assert_int_equal(canvas_text(&canvas, 1, 0, 4, STYLE_PLAIN, SLICE("日本é")),
                     3); /* no half of a character */
    assert_row(&canvas, 1, "日…");
    canvas.unicode = false;
    canvas_resize(&canvas, 30, 3);
    canvas_text(&canvas, 0, 0, 30, STYLE_PLAIN, SLICE("é"));
    canvas_text(&canvas, 1, 0, 5, STYLE_PLAIN, SLICE("too long"));
    assert_row(&canvas, 0, "\\xc3\\xa9");
    assert_row(&canvas, 1, "too ~");
    canvas_done(&canvas);
}

static void test_nothing_is_drawn_outside(void **state)
{
    struct canvas canvas = {.unicode = true};
    canvas_resize(&canvas, 5, 2);
    canvas_text(&canvas, -1, 0, 5, STYLE_PLAIN, SLICE("x"));
    canvas_text(&canvas, 2, 0, 5, STYLE_PLAIN, SLICE("x"));
    canvas_text(&canvas, 0, -3, 5, STYLE_PLAIN, SLICE("x"));
    canvas_text(&canvas, 0, 9, 5, STYLE_PLAIN, SLICE("x"));
    canvas_text_right(&canvas, 0, 4, -2, STYLE_PLAIN, SLICE("x"));
    canvas_bar(&canvas, 1, 3, 20, 2.0, STYLE_PLAIN);
    canvas_graph(&canvas, 1, 7, 9, 1, STYLE_PLAIN);
    assert_row(&canvas, 0, "");
    assert_row(&canvas, 1, "   [█");
    canvas_done(&canvas);
}

static void test_bars_and_graphs(void **state)
{
    struct canvas canvas = {.unicode = true};
    canvas_resize(&canvas, 12, 3);
    canvas_bar(&canvas, 0, 0, 12, 0.5, STYLE_GOOD);
    assert_row(&canvas, 0, "[█████·····]");
    canvas_graph(&canvas, 1, 0, 2, 1, STYLE_GRAPH);
    canvas_graph(&canvas, 1, 1, 2, 0.5, STYLE_GRAPH);
    canvas_graph(&canvas, 1, 2, 2, 0.0001, STYLE_GRAPH); /* something is more than nothing */
    canvas_graph(&canvas, 1, 3, 2, 0, STYLE_GRAPH);
    canvas_graph(&canvas, 1, 4, 2, NAN, STYLE_GRAPH);
    canvas_graph(&canvas, 1, 5, 2, 0.75, STYLE_GRAPH);
    assert_row(&canvas, 1, "█    ▄");
    assert_row(&canvas, 2, "██▁  █");
    canvas.unicode = false;
    canvas_clear(&canvas);
    canvas_bar(&canvas, 0, 0, 12, 0.5, STYLE_GOOD);
    assert_row(&canvas, 0, "[#####.....]");
    canvas_done(&canvas);
}

/* ---- Lists ------------------------------------------------------------------------------------------------ */

static const char *const fruit[] = {"Apple", "banana", "Cherry", "date", "elder"};
static const double weights[] = {3, 1, NAN, 5, 2};

static struct slice fruit_text(const void *context, size_t row, unsigned column)
{
    return slice_from_string(fruit[row]);
}

static double fruit_number(const void *context, size_t row, unsigned column)
{
    return column == 1 ? weights[row] : NAN;
}

static const struct table_column fruit_columns[] = {
    {.title = SLICE("fruit"), .width = 8, .grows = true, .ascending = true},
    {.title = SLICE("weight"), .width = 6, .rank = 1, .format = format_count},
    {.title = SLICE("absent"), .width = 6, .format = format_count},
};
static const struct table fruit_table = {fruit_columns, 3, 5, NULL, fruit_text, fruit_number};

static void test_lists_are_sorted_with_the_unknown_last(void **state)
{
    struct canvas canvas = {0};
    struct table_state list = {.sort = 1};
    canvas_resize(&canvas, 20, 8);
    assert_int_equal(table_draw(&canvas, 0, 8, &fruit_table, &list), 6);
    assert_row(&canvas, 0, "fruit         weight"); /* the column without any value is not there */
    assert_row(&canvas, 1, "date               5");
    assert_row(&canvas, 4, "banana             1");
    assert_row(&canvas, 5, "Cherry             -");
    list.reversed = true;
    table_draw(&canvas, 0, 8, &fruit_table, &list);
    assert_row(&canvas, 1, "banana             1");
    assert_row(&canvas, 5, "Cherry             -");
    table_next_sort(&list); /* goes round to the texts */
    assert_int_equal(list.sort, 0);
    assert_false(list.reversed);
    table_next_sort(&list);
    assert_int_equal(list.sort, 1);
    canvas_resize(&canvas, 10, 3);
    table_draw(&canvas, 0, 3, &fruit_table, &list);
    assert_row(&canvas, 0, "fruit"); /* no room for the weight */
    canvas_done(&canvas);
}

static void test_lists_are_filtered_and_scrolled(void **state)
{
    struct canvas canvas = {0};
    struct table_state list = {.filter = "E"};
    canvas_resize(&canvas, 20, 3);
    table_draw(&canvas, 0, 3, &fruit_table, &list);
    assert_int_equal(list.matching, 4);
    assert_row(&canvas, 1, "Apple              3");
    memcpy(list.filter, "*a?e", 5);
    canvas_clear(&canvas);
    table_draw(&canvas, 0, 3, &fruit_table, &list);
    assert_int_equal(list.matching, 1);
    assert_row(&canvas, 1, "date               5");
    list.filter[0] = 0;
    list.top = 1000;
    canvas_clear(&canvas);
    table_draw(&canvas, 0, 3, &fruit_table, &list);
    assert_int_equal(list.top, 3);
    assert_row(&canvas, 2, "elder              2");
    canvas_done(&canvas);
}

/* ---- Views ------------------------------------------------------------------------------------------------ */

static struct slice slice_of_text(const char *text)
{
    return slice_from_string(text);
}

/* A model of two readings of one server, of which the second has had `changes`. */
static void make_model(struct model *model, const char *text, const char *changes)
{
    struct buf later = {0};
    buf_printf(&later, "%s%s", changes, text);
    model_init(model);
    struct sample *first = sample_new(slice_of_text(text)), *second = sample_new(buf_slice(&later));
    first->taken_ns = UINT64_C(1000000000);
    second->taken_ns = UINT64_C(2000000000);
    second->round_trip_ns = 250000;
    model_take(model, first);
    model_take(model, second);
    buf_done(&later);
}

static const struct link_view ready = {.address = "127.0.0.1:7000", .state = LINK_READY, .waiting_s = NAN};

/* The whole screen as text. */
static const char *drawn(struct view *view, int width, int height, const struct model *model,
                         const struct link_view *link, struct buf *text)
{
    struct canvas canvas = {.unicode = true};
    canvas_resize(&canvas, width, height);
    view_draw(view, &canvas, model, link);
    buf_clear(text);
    for (int row = 0; row < canvas.height; row++) {
        canvas_row_text(&canvas, row, text);
        buf_append_char(text, '\n');
    }
    canvas_done(&canvas);
    return buf_string(text);
}

static void assert_shows(const char *screen, const char *part)
{
    if (strstr(screen, part) == NULL)
        fail_msg("'%s' is not in:\n%s", part, screen);
}

static void assert_shows_not(const char *screen, const char *part)
{
    if (strstr(screen, part) != NULL)
        fail_msg("'%s' is in:\n%s", part, screen);
}

static void test_the_overview_of_a_skua(void **state)
{
    struct model model;
    struct view view;
    struct buf text = {0};
    make_model(
        &model, SKUA_INFO,
        "total_commands_processed:1155\nexecutor_busy_usec:250422\nexecutor_batches:658\nkeyspace_hits:70\n"
        "keyspace_misses:20\nuptime_in_seconds:3700\n");
    view_init(&view);
    const char *screen = drawn(&view, 80, 24, &model, &ready, &text);
    assert_shows(screen, "Skua 0.1.0  master standalone  up 1h01m  127.0.0.1:7000");
    assert_shows(screen, "answered in 250us\n 1 Overview");
    assert_shows(screen, "requests/s  1000");
    assert_shows(screen, "75%  (78% since the start)");
    assert_shows(screen, "of maxmemory 100M");
    assert_shows(screen, "noeviction");
    assert_shows(screen, "connected 1 of 10000");
    assert_shows(screen, "keys 101  with expiry 1");
    assert_shows(screen, "executor    busy 25%");
    assert_shows(screen, "batch 2.0");
    assert_shows(screen, "max pause 61.0us by set");
    assert_shows(screen, "io 2      busy");
    assert_shows(screen, "command");
    assert_shows(screen, "1-5 views");
    buf_done(&text);
    model_done(&model);
}

static void test_the_overview_of_others_leaves_out_what_they_do_not_report(void **state)
{
    struct model model;
    struct view view;
    struct buf text = {0};
    view_init(&view);
    make_model(&model, REDIS_INFO, "");
    const char *screen = drawn(&view, 80, 24, &model, &ready, &text);
    assert_shows(screen, "Redis 7.0.15  master standalone");
    assert_shows(screen, "main thread cpu");
    assert_shows_not(screen, "executor");
    assert_shows_not(screen, "pubsub");
    assert_shows_not(screen, "nan");
    model_done(&model);
    make_model(&model, VALKEY_INFO,
               "server_time_usec:1795246784000000\neventloop_duration_sum:261982066\n"
               "eventloop_duration_cmd_sum:4762723\nused_active_time_main_thread:130.75\n");
    screen = drawn(&view, 80, 24, &model, &ready, &text);
    assert_shows(screen, "Valkey 9.0.0  master standalone");
    assert_shows(screen, "active 25%");
    assert_shows(screen, "event loop 50%");
    assert_shows(screen, "of it commands 20%");
    assert_shows(screen, "io 1      busy");
    assert_shows_not(screen, "of maxmemory");
    buf_done(&text);
    model_done(&model);
}

static void test_an_empty_server_text_is_drawn(void **state)
{
    struct model model;
    struct view view;
    struct buf text = {0};
    make_model(&model, "", "");
    view_init(&view);
    for (unsigned kind = 0; kind < VIEW_COUNT; kind++) {
        view.kind = kind;
        assert_shows_not(drawn(&view, 80, 24, &model, &ready, &text), "nan");
        assert_shows(drawn(&view, 80, 24, &model, &ready, &text), "server  127.0.0.1:7000");
    }
    model_done(&model);
    model_init(&model);
    assert_shows(drawn(&view, 80, 24, &model, &ready, &text), "skua-top  127.0.0.1:7000");
    buf_done(&text);
}

static void test_any_size_can_be_drawn(void **state)
{
    struct model model;
    struct view view;
    struct buf text = {0};
    make_model(&model, SKUA_INFO, "");
    view_init(&view);
    for (int width = 1; width < 140; width += 13) {
        for (int height = 1; height < 50; height += 3) {
            for (view.kind = 0; view.kind < VIEW_COUNT; view.kind++)
                drawn(&view, width, height, &model, &ready, &text);
            view.kind = VIEW_OVERVIEW;
            view.help = true;
            drawn(&view, width, height, &model, &ready, &text);
            view.help = false;
        }
    }
    buf_done(&text);
    model_done(&model);
}

static void test_commands_view(void **state)
{
    struct model model;
    struct view view;
    struct buf text = {0};
    make_model(&model, SKUA_INFO, "");
    view_init(&view);
    view.kind = VIEW_COMMANDS;
    const char *screen = drawn(&view, 80, 24, &model, &ready, &text);
    assert_shows(screen, "calls/s  time per call     p50     p99   p99.9");
    assert_shows(screen, "12.3us");
    assert_shows(screen, "5 rows");
    screen = drawn(&view, 120, 40, &model, &ready, &text);
    assert_shows(screen, "p99.9   queue execute   reply   calls reject   fail");
    assert_shows(screen, "12.3us  16.0us  45.3ms  12.3us  22.7us      50      1      0");
    view_key(&view, '/');
    view_key(&view, 's');
    view_key(&view, 'e');
    view_key(&view, 't');
    screen = drawn(&view, 80, 24, &model, &ready, &text);
    assert_shows(screen, "/set");
    assert_shows_not(screen, "ping");
    view_key(&view, VIEW_KEY_ENTER);
    screen = drawn(&view, 80, 24, &model, &ready, &text);
    assert_shows(screen, "filter set (1)");
    view_key(&view, VIEW_KEY_ESCAPE);
    assert_shows(drawn(&view, 80, 24, &model, &ready, &text), "ping");
    buf_done(&text);
    model_done(&model);
}

/* They are of Skua only. */
static void test_parts_that_are_not_reported_are_not_shown(void **state)
{
    struct model model;
    struct view view;
    struct buf text = {0};
    make_model(&model, REDIS_INFO, "");
    view_init(&view);
    view.kind = VIEW_COMMANDS;
    assert_shows(drawn(&view, 120, 40, &model, &ready, &text), "p99.9   calls reject   fail");
    buf_done(&text);
    model_done(&model);
}

static void test_hostile_texts_are_shown_harmless(void **state)
{
    struct model model;
    struct view view;
    struct buf text = {0};
    make_model(&model, SKUA_INFO,
               "skua_version:\x1b]0;owned\x07\nrole:\x1b[2J\nexecutor_pause_max_by:\x9b"
               "31m\n"
               "maxmemory_policy:\x1b"
               "c\ncmdstat_\x1b[5m:calls=5,usec=5\nerrorstat_\x1b(0:count=9\n");
    struct link_view link = ready;
    link.problem = "ERR \x1b[1m\rbad";
    view_init(&view);
    for (unsigned kind = 0; kind < VIEW_COUNT; kind++) {
        view.kind = kind;
        const char *screen = drawn(&view, 120, 40, &model, &link, &text);
        for (const char *at = screen; *at != 0; at++)
            assert_true(*at == '\n' || (unsigned char)*at >= 0x20);
        assert_shows(screen, "ERR \\x1b[1m\\x0dbad");
        assert_shows(screen, "Skua \\x1b]0;owned\\x07");
    }
    buf_done(&text);
    model_done(&model);
}

static void test_alerts(void **state)
{
    struct model model;
    struct view view;
    struct buf text = {0};
    view_init(&view);
    make_model(&model, REDIS_INFO, "loading:1\nloading_loaded_perc:45.20\nloading_eta_seconds:3\n");
    assert_shows(drawn(&view, 80, 24, &model, &ready, &text), "loading its data: 45%, 3s left");
    model_done(&model);
    make_model(&model, REDIS_INFO,
               "rdb_last_bgsave_status:err\nused_memory:104000000\nrejected_connections:5\n");
    assert_shows(drawn(&view, 80, 24, &model, &ready, &text), "the last snapshot failed");
    assert_shows(drawn(&view, 80, 24, &model, &ready, &text), "memory: 99% of maxmemory is used");
    assert_shows(drawn(&view, 80, 24, &model, &ready, &text), "connections refused: 5.0 a second");
    model_done(&model);
    make_model(&model, REDIS_INFO, "total_commands_processed:3\n");
    assert_shows(drawn(&view, 80, 24, &model, &ready, &text), "the statistics were reset");
    struct link_view lost = {
        .address = "h:1", .state = LINK_LOST, .problem = "connection closed", .waiting_s = NAN};
    assert_shows(drawn(&view, 80, 24, &model, &lost, &text), "NOT CONNECTED");
    assert_shows(drawn(&view, 80, 24, &model, &lost, &text), "connection closed");
    struct link_view slow = {.address = "h:1", .state = LINK_READY, .waiting_s = 12.5};
    assert_shows(drawn(&view, 80, 24, &model, &slow, &text), "no answer for 12s");
    buf_done(&text);
    model_done(&model);
}

/* ---- Keys ------------------------------------------------------------------------------------------------- */

static void test_keys(void **state)
{
    struct view view;
    view_init(&view);
    assert_int_equal(view_key(&view, 'q'), ACTION_QUIT);
    assert_int_equal(view_key(&view, '2'), ACTION_DRAW);
    assert_int_equal(view.kind, VIEW_COMMANDS);
    assert_int_equal(view_key(&view, '4'), ACTION_REFRESH); /* the list has to be asked for */
    assert_true(view_wants(&view).clients);
    assert_int_equal(view_wants(&view).slow_entries, 0);
    view_key(&view, VIEW_KEY_TAB);
    assert_int_equal(view.kind, VIEW_ERRORS);
    view_key(&view, VIEW_KEY_TAB);
    assert_int_equal(view.kind, VIEW_OVERVIEW);
    view_key(&view, VIEW_KEY_BACK_TAB);
    assert_int_equal(view.kind, VIEW_ERRORS);
    view_key(&view, '+');
    assert_true(view.interval_s == 2);
    view_key(&view, '-');
    view_key(&view, '-');
    assert_true(view.interval_s == 0.5);
    for (int i = 0; i < 20; i++)
        view_key(&view, '-');
    assert_true(view.interval_s == INTERVAL_MIN_S);
    assert_int_equal(view_key(&view, 'p'), ACTION_DRAW);
    assert_true(view.paused);
    assert_int_equal(view_key(&view, '4'), ACTION_DRAW); /* nothing is asked for in a pause */
    assert_int_equal(view_key(&view, 'p'), ACTION_REFRESH);
    assert_int_equal(view_key(&view, 'x'), ACTION_NONE);
    view_key(&view, '?');
    assert_true(view.help);
    view_key(&view, VIEW_KEY_ESCAPE);
    assert_false(view.help);
}

static void test_the_filter_is_edited_by_characters(void **state)
{
    struct view view;
    view_init(&view);
    view_key(&view, '/');
    assert_false(view.editing); /* the overview is no list */
    view_key(&view, '2');
    view_key(&view, '/');
    view_key(&view, 'q'); /* a letter, not the end */
    view_key(&view, 0xe9);
    view_key(&view, 0x7);
    assert_string_equal(view.lists[VIEW_COMMANDS].filter, "qé");
    view_key(&view, VIEW_KEY_BACKSPACE);
    assert_string_equal(view.lists[VIEW_COMMANDS].filter, "q");
    view_key(&view, VIEW_KEY_BACKSPACE);
    view_key(&view, VIEW_KEY_BACKSPACE);
    assert_string_equal(view.lists[VIEW_COMMANDS].filter, "");
    for (int i = 0; i < 200; i++)
        view_key(&view, 0x65e5);
    assert_true(strlen(view.lists[VIEW_COMMANDS].filter) < TABLE_FILTER_MAX);
    assert_int_equal(strlen(view.lists[VIEW_COMMANDS].filter) % 3, 0);
    view_key(&view, VIEW_KEY_ENTER);
    assert_false(view.editing);
    assert_int_equal(view_key(&view, VIEW_KEY_DOWN), ACTION_DRAW);
    assert_int_equal(view.lists[VIEW_COMMANDS].top, 1);
}

/* ---- JSON ------------------------------------------------------------------------------------------------- */

static void test_json_has_what_is_reported_and_nothing_else(void **state)
{
    struct model model;
    struct buf out = {0};
    make_model(&model, REDIS_INFO, "total_commands_processed:255\nrole:a\x1b\xff\n");
    json_output(&model, "h:1", &out);
    const char *text = buf_string(&out);
    assert_shows(text, "\"requests_per_s\":100");
    assert_shows(text, "\"redis_version\":\"7.0.15\"");
    assert_shows(text, "\"role\":\"a\\u001b\xef\xbf\xbd\"");
    assert_shows(text, "\"percentiles_us\":{\"p50\":");
    assert_shows(text, "\"dbs\":[{\"db\":0,\"keys\":101,\"expires\":1");
    assert_shows_not(text, "executor_busy_usec");
    assert_shows_not(text, "slow_log"); /* was not asked for */
    assert_shows_not(text, "null");
    assert_null(memchr(out.data, '\n', out.size));
    buf_done(&out);
    model_done(&model);
}

int main(void)
{
    if (setlocale(LC_CTYPE, "C.UTF-8") == NULL)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_no_control_character_gets_onto_the_canvas),
        cmocka_unit_test(test_wide_characters_and_ascii),
        cmocka_unit_test(test_nothing_is_drawn_outside),
        cmocka_unit_test(test_bars_and_graphs),
        cmocka_unit_test(test_lists_are_sorted_with_the_unknown_last),
        cmocka_unit_test(test_lists_are_filtered_and_scrolled),
        cmocka_unit_test(test_the_overview_of_a_skua),
        cmocka_unit_test(test_the_overview_of_others_leaves_out_what_they_do_not_report),
        cmocka_unit_test(test_an_empty_server_text_is_drawn),
        cmocka_unit_test(test_any_size_can_be_drawn),
        cmocka_unit_test(test_commands_view),
        cmocka_unit_test(test_parts_that_are_not_reported_are_not_shown),
        cmocka_unit_test(test_hostile_texts_are_shown_harmless),
        cmocka_unit_test(test_alerts),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_the_filter_is_edited_by_characters),
        cmocka_unit_test(test_json_has_what_is_reported_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
