/* Shows that the line of progress fits any window, tells what is left, is drawn ten times a second at most and only on
 * a terminal, and leaves nothing behind. */
#include <pty.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/macros.h"
#include "common/progress.h"
#include "common/terminal.h"

#define SECOND 1000000000u

static uint64_t fake_ns(void *context)
{
    return *(uint64_t *)context;
}

static struct progress_options options_of(enum progress_unit unit, uint64_t total, uint64_t *clock)
{
    return (struct progress_options){.label = "rdb",
                                     .unit = unit,
                                     .noun = "keys",
                                     .total = total,
                                     .descriptor = -1,
                                     .output = -1,
                                     .monotonic_ns = fake_ns,
                                     .context = clock};
}

static const char *render(const struct progress *progress, int columns, uint64_t now)
{
    static char line[PROGRESS_LINE_MAX];
    size_t length = progress_render(progress, columns, now, line);
    assert_int_equal(length, strlen(line));
    return line;
}

static void test_a_line_tells_share_amount_rate_and_time_left(void **state)
{
    uint64_t clock = SECOND;
    struct progress progress;
    struct progress_options options = options_of(PROGRESS_BYTES, 400 << 20, &clock);
    progress_init(&progress, &options);
    progress.done = 100 << 20;
    assert_string_equal(render(&progress, 80, 11 * (uint64_t)SECOND),
                        "rdb   25%  [=====>                 ]  100.0 MB / 400.0 MB  10.0 MB/s  0:30 left");
    progress.done = 0;
    assert_string_equal(render(&progress, 80, 11 * (uint64_t)SECOND),
                        "rdb    0%  [>                               ]  0 B / 400.0 MB  0 B/s  -:-- left");
    progress.done = 500 << 20;
    assert_non_null(strstr(render(&progress, 80, 11 * (uint64_t)SECOND), "100%"));
    assert_non_null(strstr(render(&progress, 80, 11 * (uint64_t)SECOND), "0:00 left"));
}

static void test_without_a_total_it_tells_how_long_it_takes_already(void **state)
{
    uint64_t clock = SECOND;
    struct progress progress;
    struct progress_options options = options_of(PROGRESS_COUNT, 0, &clock);
    progress_init(&progress, &options);
    progress.done = 1234567;
    assert_string_equal(render(&progress, 80, 3701 * (uint64_t)SECOND),
                        "rdb  1,234,567 keys  334/s  1:01:40");
}

static void test_a_line_is_never_wider_than_the_window(void **state)
{
    uint64_t clock = SECOND;
    static const uint64_t totals[] = {0, 1, 400 << 20, UINT64_MAX};
    for (size_t i = 0; i < ARRAY_COUNT(totals); i++) {
        for (int unit = PROGRESS_BYTES; unit <= PROGRESS_COUNT; unit++) {
            struct progress progress;
            struct progress_options options = options_of(unit, totals[i], &clock);
            options.label = "a label that is much longer than anybody would ever like to read it";
            progress_init(&progress, &options);
            progress.done = totals[i] / 3;
            for (int columns = 1; columns < 300; columns++)
                assert_true(strlen(render(&progress, columns, 2 * SECOND)) < (size_t)columns);
        }
    }
}

static void test_what_matters_least_is_left_out_first(void **state)
{
    uint64_t clock = SECOND;
    struct progress progress;
    struct progress_options options = options_of(PROGRESS_BYTES, 400 << 20, &clock);
    progress_init(&progress, &options);
    progress.done = 100 << 20;
    uint64_t now = 11 * (uint64_t)SECOND;
    assert_string_equal(render(&progress, 60, now), "rdb   25%  100.0 MB / 400.0 MB  10.0 MB/s  0:30 left");
    assert_string_equal(render(&progress, 45, now), "rdb   25%  100.0 MB  10.0 MB/s  0:30 left");
    assert_string_equal(render(&progress, 32, now), "rdb   25%  100.0 MB  0:30 left");
    assert_string_equal(render(&progress, 17, now), " 25%  0:30 left");
    assert_string_equal(render(&progress, 8, now), " 25%");
    assert_string_equal(render(&progress, 2, now), "");
}

/* ---- On a terminal ------------------------------------------------------------------------------------------- */

struct screen {
    int near, far; /* what the program writes to; what a terminal reads */
};

static int open_screen(void **state)
{
    static struct screen screen;
    struct winsize size = {.ws_row = 24, .ws_col = 80};
    struct termios raw;
    setenv("TERM", "xterm", 1);
    unsetenv("NO_COLOR");
    assert_int_equal(openpty(&screen.far, &screen.near, NULL, NULL, &size), 0);
    assert_int_equal(tcgetattr(screen.near, &raw), 0);
    cfmakeraw(&raw);
    assert_int_equal(tcsetattr(screen.near, TCSANOW, &raw), 0);
    *state = &screen;
    return 0;
}

static int close_screen(void **state)
{
    struct screen *screen = *state;
    close(screen->near);
    close(screen->far);
    return 0;
}

/* All that was written so far: a mark is written behind it and looked for. */
static const char *written(struct screen *screen)
{
    static char text[65536];
    size_t used = 0;
    assert_int_equal(write(screen->near, "#", 1), 1);
    do {
        ssize_t got = read(screen->far, text + used, sizeof text - used - 1);
        assert_true(got > 0);
        used += (size_t)got;
    } while (text[used - 1] != '#');
    text[used - 1] = '\0';
    return text;
}

static void test_it_is_drawn_ten_times_a_second_at_most(void **state)
{
    struct screen *screen = *state;
    uint64_t clock = SECOND;
    struct progress progress;
    struct progress_options options = options_of(PROGRESS_COUNT, 10000, &clock);
    options.descriptor = screen->near;
    progress_init(&progress, &options);
    for (uint64_t i = 1; i <= 2000; i++) {
        clock += SECOND / 1000;
        progress_update(&progress, i);
    }
    const char *text = written(screen);
    unsigned lines = 0;
    for (const char *at = text; (at = strstr(at, TERMINAL_ERASE_LINE)) != NULL; at++)
        lines++;
    assert_int_equal(lines, 20);
    assert_non_null(strstr(text, "2,000 / 10,000 keys  1,000/s  0:08 left"));
}

static void test_it_goes_away_and_comes_back(void **state)
{
    struct screen *screen = *state;
    uint64_t clock = SECOND;
    struct progress progress;
    struct progress_options options = options_of(PROGRESS_COUNT, 100, &clock);
    options.descriptor = screen->near;
    progress_init(&progress, &options);
    progress_clear(&progress);
    assert_string_equal(written(screen), ""); /* nothing was there */
    clock += SECOND;
    progress_update(&progress, 50);
    assert_non_null(strstr(written(screen), " 50%"));
    progress_clear(&progress);
    assert_string_equal(written(screen), TERMINAL_ERASE_LINE);
    clock += SECOND;
    progress_update(&progress, 60);
    assert_non_null(strstr(written(screen), " 60%"));
    progress_done(&progress);
    assert_string_equal(written(screen), TERMINAL_ERASE_LINE);
    clock += SECOND;
    progress_update(&progress, 70);
    assert_string_equal(written(screen), "");
}

static void test_a_window_that_has_been_resized_is_measured_again(void **state)
{
    struct screen *screen = *state;
    uint64_t clock = SECOND;
    struct progress progress;
    struct progress_options options = options_of(PROGRESS_COUNT, 100, &clock);
    options.descriptor = screen->near;
    progress_init(&progress, &options);
    clock += SECOND;
    progress_update(&progress, 50);
    assert_true(strlen(written(screen)) > 40);
    struct winsize narrow = {.ws_row = 24, .ws_col = 20};
    assert_int_equal(ioctl(screen->far, TIOCSWINSZ, &narrow), 0);
    clock += SECOND;
    progress_update(&progress, 51);
    assert_true(strlen(written(screen)) < 20 + sizeof TERMINAL_ERASE_LINE);
}

static void test_a_pipe_gets_nothing(void **state)
{
    struct screen *screen = *state;
    int ends[2];
    uint64_t clock = SECOND;
    struct progress progress;
    assert_int_equal(pipe(ends), 0);
    struct progress_options options = options_of(PROGRESS_COUNT, 100, &clock);
    options.descriptor = ends[1];
    progress_init(&progress, &options);
    assert_false(progress.shown);
    options.descriptor = screen->near; /* the line would go to the screen, but the results go into a pipe */
    options.output = ends[1];
    progress_init(&progress, &options);
    clock += SECOND;
    progress_update(&progress, 50);
    progress_done(&progress);
    assert_string_equal(written(screen), "");
    close(ends[0]);
    close(ends[1]);
}

static void test_what_the_environment_says_about_terminals(void **state)
{
    struct screen *screen = *state;
    int columns, rows;
    assert_true(terminal_redraws(screen->near));
    assert_true(terminal_colours(screen->near));
    setenv("NO_COLOR", "1", 1);
    assert_true(terminal_redraws(screen->near));
    assert_false(terminal_colours(screen->near));
    setenv("NO_COLOR", "", 1);
    assert_true(terminal_colours(screen->near));
    setenv("TERM", "dumb", 1);
    assert_true(terminal_is(screen->near));
    assert_false(terminal_redraws(screen->near));
    assert_false(terminal_colours(screen->near));
    terminal_size(screen->near, &columns, &rows);
    assert_int_equal(columns, 80);
    assert_int_equal(rows, 24);
    setenv("COLUMNS", "132", 1);
    setenv("LINES", "-1", 1);
    terminal_size(-1, &columns, &rows);
    assert_int_equal(columns, 132);
    assert_int_equal(rows, TERMINAL_ROWS);
    unsetenv("COLUMNS");
    unsetenv("LINES");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_line_tells_share_amount_rate_and_time_left),
        cmocka_unit_test(test_without_a_total_it_tells_how_long_it_takes_already),
        cmocka_unit_test(test_a_line_is_never_wider_than_the_window),
        cmocka_unit_test(test_what_matters_least_is_left_out_first),
        cmocka_unit_test_setup_teardown(test_it_is_drawn_ten_times_a_second_at_most, open_screen,
                                        close_screen),
        cmocka_unit_test_setup_teardown(test_it_goes_away_and_comes_back, open_screen, close_screen),
        cmocka_unit_test_setup_teardown(test_a_window_that_has_been_resized_is_measured_again, open_screen,
                                        close_screen),
        cmocka_unit_test_setup_teardown(test_a_pipe_gets_nothing, open_screen, close_screen),
        cmocka_unit_test_setup_teardown(test_what_the_environment_says_about_terminals, open_screen,
                                        close_screen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
