/* Whatever stands in a file, skua-check comes to an end with a word about it: the form of a log is told the same however its bytes are
 * cut into pieces, and what it says is sound up to some offset is sound when it ends there; every key of a snapshot or a log can be
 * printed and counted. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/bug.h"
#include "check/key_json.h"
#include "check/log_scan.h"
#include "check/read.h"
#include "check/stats.h"
#include "fuzz.h"

#define INPUT_MAX 20000
#define DATABASES 4

static void scan_whole(struct log_scan *scan, struct slice bytes)
{
    log_scan_init(scan, 0);
    if (log_scan_feed(scan, bytes))
        log_scan_end(scan);
}

static void check_scan(struct slice bytes)
{
    struct log_scan whole, pieces, sound;
    scan_whole(&whole, bytes);
    ASSERT(whole.sound_end <= whole.request_start && whole.request_start <= whole.offset);
    ASSERT(whole.offset <= bytes.size);
    bool goes_on = true;
    log_scan_init(&pieces, 0);
    for (size_t at = 0, size = 1; goes_on && at < bytes.size; at += size, size = 1 + (size + 2) % 7)
        goes_on = log_scan_feed(&pieces,
                                slice_make(bytes.data + at, bytes.size - at < size ? bytes.size - at : size));
    if (goes_on)
        log_scan_end(&pieces);
    ASSERT(whole.state == pieces.state && whole.offset == pieces.offset && whole.requests == pieces.requests);
    ASSERT(whole.sound_end == pieces.sound_end && strcmp(whole.error, pieces.error) == 0);
    log_scan_init(&sound, 0);
    ASSERT(log_scan_feed(&sound, slice_make(bytes.data, whole.sound_end)) && log_scan_end(&sound));
}

struct showing {
    struct keyspace *keyspace;
    struct stats stats;
    struct buf buffer;
    FILE *out;
};

static void show(void *context, const struct read_key *key)
{
    struct showing *showing = context;
    key_json_write(key, showing->keyspace, &showing->buffer, showing->out);
    stats_take(&showing->stats, key);
}

static void check_source(const char *path)
{
    struct source source;
    struct state state;
    struct findings findings;
    findings_init(&findings);
    if (source_open(&source, path, &findings) == CHECK_SOUND) {
        struct showing showing = {.out = fopen("/dev/null", "w")};
        state_init(&state, DATABASES);
        showing.keyspace = state.keyspace;
        stats_init(&showing.stats, state.keyspace);
        read_keys(&source, &state, &findings, show, &showing);
        stats_print_json(&showing.stats, showing.out);
        findings_print(&findings, "input", showing.out);
        stats_done(&showing.stats);
        buf_done(&showing.buffer);
        fclose(showing.out);
        state_done(&state);
    }
    findings_done(&findings);
    source_close(&source);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    char path[64];
    if (size > INPUT_MAX)
        return 0;
    check_scan(slice_make(size > 0 ? (const char *)bytes : "", size));
    int file = memfd_create("input", 0);
    ASSERT(file >= 0 && write(file, bytes, size) == (ssize_t)size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    check_source(path);
    close(file);
    return 0;
}
