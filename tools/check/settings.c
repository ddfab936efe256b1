/* The command line. Entry: settings_parse, settings_help. Threads: the main thread. */
#include "check/settings.h"

#include <stddef.h>

#include "base/macros.h"
#include "common/options.h"

#define HELP_WIDTH 100

static const struct option_row rows[] = {
    {.section = "What to do, other than checking:",
     .word = "json",
     .help = "Print each key as a JSON object on a line of its own; with --stats, the figures",
     .kind = OPTION_FLAG,
     .offset = offsetof(struct settings, json)},
    {.word = "stats",
     .help = "Print how many keys of each type there are, how large they are, the largest ones, and the "
             "digest of all",
     .kind = OPTION_FLAG,
     .offset = offsetof(struct settings, stats)},
    {.word = "compare",
     .help = "Print which keys differ between two files, logs or folders of any kind",
     .kind = OPTION_FLAG,
     .offset = offsetof(struct settings, compare)},
    {.word = "repair",
     .help = "Cut the end of a log off from where it is damaged, after asking; what is cut off is kept in "
             "another file",
     .kind = OPTION_FLAG,
     .offset = offsetof(struct settings, repair)},
    {.section = "How:",
     .letter = 'y',
     .word = "yes",
     .help = "Repair without asking",
     .kind = OPTION_FLAG,
     .offset = offsetof(struct settings, yes)},
    {.letter = 'q',
     .word = "quiet",
     .help = "Print nothing about what is sound",
     .kind = OPTION_FLAG,
     .offset = offsetof(struct settings, quiet)},
    {.section = "Other:",
     .word = "help",
     .help = "This text",
     .kind = OPTION_FLAG,
     .offset = offsetof(struct settings, help)},
    {.word = "version",
     .help = "The version",
     .kind = OPTION_FLAG,
     .offset = offsetof(struct settings, version)},
};

/* What goes together, and how many paths it takes. */
static bool check_words(const struct settings *settings, int path_count, char *error)
{
    const char *wrong = NULL;
    int wanted = settings->compare ? 2 : 1;
    if (settings->compare + settings->repair + (settings->json || settings->stats) > 1)
        wrong = "--compare, --repair, and --json or --stats exclude each other";
    else if (settings->yes && !settings->repair)
        wrong = "--yes goes with --repair only";
    else if (path_count != wanted)
        wrong = settings->compare ? "--compare needs two files or folders" : "needs one file or folder";
    if (wrong != NULL)
        snprintf(error, OPTION_ERROR_MAX, "%s (try --help)", wrong);
    return wrong == NULL;
}

bool settings_parse(struct settings *ret_settings, int argc, char **argv, char *error)
{
    *ret_settings = (struct settings){0};
    struct option_set sets[] = {{rows, ARRAY_COUNT(rows), ret_settings}};
    int end = options_parse(sets, ARRAY_COUNT(sets), argc, argv, error);
    if (end < 0)
        return false;
    if (ret_settings->help || ret_settings->version)
        return true;
    for (int i = end; i < argc && i - end < (int)ARRAY_COUNT(ret_settings->paths); i++)
        ret_settings->paths[i - end] = argv[i];
    return check_words(ret_settings, argc - end, error);
}

void settings_help(FILE *out)
{
    struct settings unused = {0};
    struct option_set sets[] = {{rows, ARRAY_COUNT(rows), &unused}};
    fprintf(
        out,
        "Usage: skua-check [OPTIONS] FILE|FOLDER\n"
        "       skua-check --compare FILE|FOLDER FILE|FOLDER\n"
        "\n"
        "Checks snapshots (RDB) and logs (AOF, in one file or with a manifest) that Skua, Redis or Valkey\n"
        "wrote. No server is needed, and nothing is changed unless --repair is given.\n"
        "Exit status: 0 sound, or equal; 1 damaged, or different; 2 not readable.\n"
        "\n");
    options_help(sets, ARRAY_COUNT(sets), HELP_WIDTH, out);
}
