/* Percentiles of a command's three times. See command_blame.h. Threads: executor only. */
#include "observe/command_blame.h"

#include "exec/exec.h"
#include "io/io.h"
#include "observe/metrics.h"

const char *const blame_part_names[BLAME_PARTS] = {"queue", "execute", "reply"};
const char *const blame_figure_names[BLAME_FIGURES] = {"p50", "p99", "p999", "max"};

static double whole_us(double ns)
{
    return (double)(uint64_t)(ns + 0.5) / 1000;
}

static void summarise(const struct durations *durations, double ret_us[BLAME_FIGURES])
{
    ret_us[BLAME_P50] = whole_us(durations_percentile_ns(durations, 50));
    ret_us[BLAME_P99] = whole_us(durations_percentile_ns(durations, 99));
    ret_us[BLAME_P999] = whole_us(durations_percentile_ns(durations, 99.9));
    ret_us[BLAME_MAX] = whole_us((double)durations_max_ns(durations));
}

bool command_blame(const struct metrics *metrics, const struct command *command,
                   struct command_blame *ret_blame)
{
    struct command_times times;
    struct durations replies = {0};
    if (!exec_command_times(metrics->exec, command->id, &times))
        return false;
    if (metrics->io != NULL)
        io_group_add_reply_times(metrics->io, command->id, &replies);
    ret_blame->calls = durations_count(&times.execute);
    summarise(&times.queue, ret_blame->us[BLAME_QUEUE]);
    summarise(&times.execute, ret_blame->us[BLAME_EXECUTE]);
    summarise(&replies, ret_blame->us[BLAME_REPLY]);
    return true;
}
