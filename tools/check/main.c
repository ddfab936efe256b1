/* skua-check: checks snapshots and logs, shows what is in them, compares and repairs them. Threads: the main thread. */
#include <locale.h>
#include <signal.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/version.h"
#include "check/compare.h"
#include "check/key_json.h"
#include "check/read.h"
#include "check/repair.h"
#include "check/settings.h"
#include "check/stats.h"
#include "common/options.h"
#include "common/streams.h"

/* One run with one source. */
struct run {
    const struct settings *settings;
    struct source source;
    struct state state;
    struct findings findings;
    struct buf buffer; /* of JSON */
};

static void print_key(void *context, const struct read_key *key)
{
    struct run *run = context;
    key_json_write(key, run->state.keyspace, &run->buffer, stdout);
}

static enum check_status show_stats(struct run *run)
{
    struct stats stats;
    stats_init(&stats, run->state.keyspace);
    enum check_status status = read_keys(&run->source, &run->state, &run->findings, stats_take, &stats);
    if (run->settings->json)
        stats_print_json(&stats, stdout);
    else
        stats_print(&stats, stdout);
    stats_done(&stats);
    return status;
}

static enum check_status read_source(struct run *run)
{
    const struct settings *settings = run->settings;
    if (settings->stats)
        return show_stats(run);
    if (settings->json)
        return read_keys(&run->source, &run->state, &run->findings, print_key, run);
    enum check_status status = read_check(&run->source, &run->state, &run->findings);
    if (status == CHECK_SOUND && !settings->quiet)
        findings_print(&run->findings, settings->paths[0], stdout);
    return status;
}

static enum check_status run_one(const struct settings *settings)
{
    struct run run = {.settings = settings};
    findings_init(&run.findings);
    enum check_status status = source_open(&run.source, settings->paths[0], &run.findings);
    if (status == CHECK_SOUND) {
        state_init(&run.state, STATE_DATABASES);
        status = read_source(&run);
        state_done(&run.state);
    }
    fflush(stdout);
    if (status != CHECK_SOUND) {
        findings_print_problem(&run.findings, stderr);
        if (settings->repair)
            status = repair_log(&run.findings, settings->yes);
        else if (run.findings.can_cut)
            fprintf(stderr, "skua-check --repair cuts it off there.\n");
    }
    buf_done(&run.buffer);
    findings_done(&run.findings);
    source_close(&run.source);
    return status;
}

int main(int argc, char **argv)
{
    char error[OPTION_ERROR_MAX];
    struct settings settings;
    int status = CHECK_SOUND;
    streams_hold();
    setlocale(LC_CTYPE, "");
    signal(SIGPIPE, SIG_IGN); /* a pipe that nobody reads any more is an error of fwrite */
    if (!settings_parse(&settings, argc, argv, error)) {
        fprintf(stderr, "skua-check: %s\n", error);
        return CHECK_FAILED;
    }
    if (settings.help)
        settings_help(stdout);
    else if (settings.version)
        printf("skua-check %s\n", SKUA_VERSION);
    else if (settings.compare)
        status = compare_sources(settings.paths[0], settings.paths[1], stdout);
    else
        status = run_one(&settings);
    bool written = fflush(stdout) == 0 && !ferror(stdout);
    return written ? status : CHECK_FAILED;
}
