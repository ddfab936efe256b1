/* skua-bench: reads the command line, runs the session. Entry: main. */
#include "bench/options.h"
#include "bench/session.h"
#include "common/streams.h"

int main(int argc, char **argv)
{
    struct bench_options options;
    int status = 0;
    streams_hold();
    switch (bench_options_read(&options, argc, argv)) {
    case OPTIONS_RUN: status = session_run(&options); break;
    case OPTIONS_ANSWERED: break;
    case OPTIONS_WRONG: status = 1; break;
    }
    bench_options_done(&options);
    return status;
}
