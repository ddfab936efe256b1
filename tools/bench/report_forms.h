/* The forms of a report, each appended to a buffer: what report.h writes to files and the terminal.
 *
 * Principal entry points: report_text_test, report_quiet_test, report_csv_test, report_json, report_html.
 * All are made of the same model, so that they never tell different figures; numbers do not depend on the locale.
 * Threads: the main thread. */
#ifndef SKUA_BENCH_REPORT_FORMS_H
#define SKUA_BENCH_REPORT_FORMS_H

#include "base/buf.h"
#include "bench/report_model.h"

/* The servers, a line each. */
void report_text_servers(struct buf *out, const struct bench_session *session);
/* One line on one run as soon as it has ended, when others follow that will be put together with it. */
void report_text_run(struct buf *out, const struct bench_session *session, const struct bench_result *run);
/* A table of 80 columns, but for names that need more: a line for each server, ratios with their intervals, what went wrong. `precision`:
 * digits behind the point in latencies, -1: three digits that count. */
void report_text_test(struct buf *out, const struct report_model *model, const struct report_test *test,
                      int precision);
/* What one has to know of the figures: that the session ended early, that intervals are rough. */
void report_text_notes(struct buf *out, const struct report_model *model);
/* What servers complained about, what was lost, a rate that was too much: lines for people; nothing when all went well.
 * Why a run ended early is the engine's to tell. */
void report_problems(struct buf *out, const struct bench_session *session, const struct bench_result *run);

/* As redis-benchmark -q has it: "GET: 96618.36 requests per second, p50=0.271 msec", a line for each server; with
 * several servers the server's name stands behind that of the test. */
void report_quiet_test(struct buf *out, const struct report_model *model, const struct report_test *test,
                       int precision);

/* The columns of redis-benchmark 7.0 in its order and quotes, further ones behind. */
void report_csv_heading(struct buf *out);
void report_csv_test(struct buf *out, const struct report_model *model, const struct report_test *test,
                     int precision);

/* One document; docs/benchmark-output.md describes its fields. Ends with a line end. */
void report_json(struct buf *out, const struct report_model *model);
/* One page with plots that loads nothing from anywhere: that document and a script that draws it. */
void report_html(struct buf *out, const struct report_model *model);

#endif
