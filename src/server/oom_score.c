/* Which processes the kernel ends first when memory runs out: see process.h and proc(5), oom_score_adj. Threads: executor. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/num.h"
#include "base/slice.h"
#include "server/process.h"

#define SCORE_PATH "/proc/self/oom_score_adj"
#define SCORE_MIN  (-1000)
#define SCORE_MAX  1000
#define ROLE_COUNT 3 /* primary, replica, and child processes, which there are none of */

static bool read_score(int *ret_score)
{
    char text[16];
    int fd = open(SCORE_PATH, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t size = read(fd, text, sizeof text);
    close(fd);
    int64_t number;
    if (size <= 0 || !num_parse_i64((struct slice){text, (size_t)size - (text[size - 1] == '\n')}, &number))
        return false;
    *ret_score = (int)number;
    return true;
}

static bool write_score(int score)
{
    char text[16];
    int size = snprintf(text, sizeof text, "%d\n", score);
    int fd = open(SCORE_PATH, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool done = write(fd, text, (size_t)size) == size;
    int reason = errno;
    close(fd);
    errno = reason;
    return done;
}

static int wanted_score(const struct oom_score *score, const struct config *config, bool is_replica)
{
    if (config->oom_score_adj == CONFIG_OOM_SCORE_ADJ_NO)
        return score->base;
    int value = (int)config->oom_score_adj_values.items[is_replica];
    if (config->oom_score_adj != CONFIG_OOM_SCORE_ADJ_ABSOLUTE)
        value += score->base;
    return value < SCORE_MIN ? SCORE_MIN : value > SCORE_MAX ? SCORE_MAX : value;
}

bool oom_score_apply(struct oom_score *score, const struct config *config, bool is_replica,
                     struct buf *ret_error)
{
    if (config->oom_score_adj_values.count != ROLE_COUNT) {
        buf_append_string(ret_error, "wrong number of arguments");
        return false;
    }
    score->for_replica = is_replica;
    if (config->oom_score_adj == CONFIG_OOM_SCORE_ADJ_NO && !score->is_changed)
        return true;
    /* What somebody else has set since it was given back is what is added to. */
    if (!score->is_changed && !read_score(&score->base)) {
        buf_printf(ret_error, "cannot read " SCORE_PATH ": %s", strerror(errno));
        return false;
    }
    if (!write_score(wanted_score(score, config, is_replica))) {
        buf_printf(ret_error, "cannot write " SCORE_PATH ": %s", strerror(errno));
        return false;
    }
    score->is_changed = config->oom_score_adj != CONFIG_OOM_SCORE_ADJ_NO;
    return true;
}
