/* What is written when: lines while the session runs, tables and files at its end. See report.h.
 *
 * A session of one round on one server has nothing to put together: each test is told when it has ended, as
 * redis-benchmark does. Otherwise a line tells of each run as it ends, and the tables of medians and ratios follow at
 * the end; quiet and CSV, which scripts read, have only the latter. */
#include "bench/report.h"

#include <errno.h>
#include <string.h>

#include "bench/report_forms.h"

static bool writes_json_only(const struct report_options *options)
{
    return options->json_path && strcmp(options->json_path, "-") == 0;
}

/* Whether a run is all that there will be of its test. */
static bool run_is_test(const struct bench_session *session)
{
    return session->settings.rounds <= 1 && session->server_count == 1;
}

static void write_out(struct buf *text, FILE *out)
{
    if (text->size > 0)
        fwrite(text->data, 1, text->size, out);
    fflush(out);
    buf_done(text);
}

static void append_test(struct buf *text, const struct report_options *options,
                        const struct report_model *model, const struct report_test *test)
{
    if (options->csv)
        report_csv_test(text, model, test, options->precision);
    else if (options->quiet)
        report_quiet_test(text, model, test, options->precision);
    else
        report_text_test(text, model, test, options->precision);
}

void report_begin(const struct report_options *options, const struct bench_session *session, FILE *out)
{
    struct buf text = {0};
    if (writes_json_only(options))
        return;
    if (options->csv)
        report_csv_heading(&text);
    else if (!options->quiet)
        report_text_servers(&text, session);
    write_out(&text, out);
}

void report_run(const struct report_options *options, const struct bench_session *session,
                const struct bench_result *result, FILE *out)
{
    struct buf text = {0}, problems = {0};
    report_problems(&problems, session, result);
    bool is_text = !options->csv && !options->quiet && !writes_json_only(options);
    write_out(&problems, is_text ? out : stderr);
    if (writes_json_only(options))
        return;
    if (run_is_test(session)) {
        struct report_model model;
        report_model_init(&model, session);
        append_test(&text, options, &model, &model.tests[result->workload]);
        report_model_done(&model);
    } else if (is_text) {
        report_text_run(&text, session, result);
    }
    write_out(&text, out);
}

/* False: it could not be written. */
static bool write_file(const char *path, const struct buf *text, char *error)
{
    FILE *file = fopen(path, "we");
    bool done = file && fwrite(text->data, 1, text->size, file) == text->size;
    int reason = errno;
    if (file && fclose(file) != 0 && done) {
        done = false;
        reason = errno;
    }
    if (!done)
        snprintf(error, REPORT_ERROR_MAX, "cannot write %s: %s", path, strerror(reason));
    return done;
}

bool report_end(const struct report_options *options, const struct bench_session *session, FILE *out,
                char *error)
{
    struct report_model model;
    struct buf text = {0}, file = {0};
    bool done = true;
    report_model_init(&model, session);
    if (writes_json_only(options)) {
        report_json(&text, &model);
    } else {
        for (unsigned i = 0; i < session->workload_count && !run_is_test(session); i++)
            append_test(&text, options, &model, &model.tests[i]);
        if (!options->csv && !options->quiet)
            report_text_notes(&text, &model);
    }
    write_out(&text, out);
    if (options->json_path && !writes_json_only(options)) {
        report_json(&file, &model);
        done = write_file(options->json_path, &file, error);
        buf_clear(&file);
    }
    if (options->html_path) {
        report_html(&file, &model);
        done = write_file(options->html_path, &file, error) && done;
    }
    buf_done(&file);
    report_model_done(&model);
    return done;
}
