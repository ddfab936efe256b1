/* What has been found. Entry: findings_fail, findings_print. Threads: one user. */
#include "check/findings.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "base/alloc.h"

void findings_init(struct findings *findings)
{
    *findings = (struct findings){0};
}

void findings_done(struct findings *findings)
{
    mem_free(findings->path);
    findings->path = NULL;
}

enum check_status findings_fail(struct findings *findings, enum findings_problem problem, const char *path,
                                uint64_t offset, const char *format, ...)
{
    if (findings->problem != FINDINGS_NONE)
        return findings_status(findings);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(findings->text, sizeof findings->text, format, arguments);
    va_end(arguments);
    findings->problem = problem;
    findings->path = mem_strdup(path);
    findings->offset = offset;
    return findings_status(findings);
}

enum check_status findings_status(const struct findings *findings)
{
    switch (findings->problem) {
    case FINDINGS_NONE: return CHECK_SOUND;
    case FINDINGS_TORN:
    case FINDINGS_DAMAGED: return CHECK_DAMAGED;
    case FINDINGS_FOREIGN:
    case FINDINGS_FAILED: return CHECK_FAILED;
    }
    return CHECK_FAILED;
}

/* "1 key", "2 keys". */
static void print_count(FILE *out, const char *before, uint64_t count, const char *noun, const char *plural)
{
    fprintf(out, "%s%" PRIu64 " %s%s", before, count, noun, count == 1 ? "" : plural);
}

static void print_snapshot(const struct findings *findings, FILE *out)
{
    fprintf(out, "  snapshot:   %s version %u", findings->is_valkey ? "Valkey" : "RDB", findings->version);
    if (findings->writer[0] != 0)
        fprintf(out, " by %s", findings->writer);
    fprintf(out, ", %s\n", findings->is_sealed ? "checksum right" : "without checksum");
    print_count(out, "  keys:       ", findings->keys, "key", "s");
    print_count(out, " in ", findings->databases, "database", "s");
    fprintf(out, ", %" PRIu64 " with a time to live\n", findings->expires);
    if (findings->passed_by > 0) {
        print_count(out, "  passed by:  ", findings->passed_by, "key", "s");
        fprintf(out, " of modules, or without elements\n");
    }
    if (findings->functions > 0)
        fprintf(out, "  functions:  %" PRIu64 " %s\n", findings->functions,
                findings->functions == 1 ? "library" : "libraries");
    if (findings->aux > 0)
        fprintf(out, "  modules:    %" PRIu64 " fields beside the keys\n", findings->aux);
}

void findings_print(const struct findings *findings, const char *name, FILE *out)
{
    fprintf(out, "%s: sound\n", name);
    if (findings->version > 0)
        print_snapshot(findings, out);
    if (findings->has_log) {
        print_count(out, "  log:        ", findings->requests, "command", "s");
        print_count(out, ", ", findings->transactions, "transaction", "s");
        fprintf(out, "\n");
    }
    if (findings->unknown > 0) {
        print_count(out, "  unknown:    ", findings->unknown, "command", "s");
        fprintf(out, " that this version does not have, the first is %s at offset %" PRIu64 "\n",
                findings->first_unknown, findings->first_unknown_at);
    }
    if (findings->refused > 0) {
        print_count(out, "  refused:    ", findings->refused, "command", "s");
        fprintf(out, " when replayed: %s\n", findings->first_refusal);
    }
    print_count(out, "  size:       ", findings->bytes, "byte", "s");
    fprintf(out, "\n");
}

void findings_print_problem(const struct findings *findings, FILE *out)
{
    static const char *const kinds[] = {
        [FINDINGS_NONE] = "sound",
        [FINDINGS_TORN] = "torn at the end",
        [FINDINGS_DAMAGED] = "damaged",
        [FINDINGS_FOREIGN] = "not readable",
        [FINDINGS_FAILED] = "cannot be read",
    };
    fprintf(out, "%s: %s", findings->path, kinds[findings->problem]);
    if (findings->problem != FINDINGS_FAILED && !findings->is_located)
        fprintf(out, " at offset %" PRIu64, findings->offset);
    fprintf(out, ": %s\n", findings->text);
}
