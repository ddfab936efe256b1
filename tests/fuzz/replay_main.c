/* Runs a fuzz target over the files of a corpus without a fuzzer: each as it is, cut short, and mutated.
 *
 * Usage: replay-NAME DIRECTORY…
 * The mutations are the same in every run. Fails when a directory has no files, so that a corpus cannot get
 * lost. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "fuzz.h"

#define FILE_SIZE_MAX     ((size_t)1 << 20)
#define CUTS_MAX          256
#define MUTATIONS         200
#define MUTATED_BYTES_MAX 4
#define SEED              20261121

/* Runs the target on a block of exactly `size` bytes, so that a sanitizer sees each read past the end. */
static void run_exact(const uint8_t *bytes, size_t size)
{
    uint8_t *block = malloc(size > 0 ? size : 1);
    if (block == NULL)
        abort();
    memcpy(block, bytes, size);
    LLVMFuzzerTestOneInput(block, size);
    free(block);
}

static void run_mutations(uint8_t *bytes, size_t size, struct rng *rng)
{
    for (size_t cut = 0; cut < size && cut < CUTS_MAX; cut++)
        run_exact(bytes, cut);
    for (int i = 0; i < MUTATIONS && size > 0; i++) {
        size_t places[MUTATED_BYTES_MAX];
        uint8_t before[MUTATED_BYTES_MAX];
        size_t count = 1 + rng_next(rng) % MUTATED_BYTES_MAX;
        for (size_t j = 0; j < count; j++) {
            places[j] = rng_next(rng) % size;
            before[j] = bytes[places[j]];
            bytes[places[j]] = (uint8_t)rng_next(rng);
        }
        run_exact(bytes, size);
        while (count-- > 0)
            bytes[places[count]] = before[count];
    }
}

static int run_file(const char *directory, const char *name, struct rng *rng)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    FILE *file = fopen(path, "rb");
    uint8_t *bytes = malloc(FILE_SIZE_MAX);
    if (file == NULL || bytes == NULL) {
        perror(path);
        return 1;
    }
    size_t size = fread(bytes, 1, FILE_SIZE_MAX, file);
    fclose(file);
    run_exact(bytes, size);
    run_mutations(bytes, size, rng);
    free(bytes);
    return 0;
}

int main(int argc, char **argv)
{
    struct rng rng;
    rng_seed(&rng, SEED);
    for (int i = 1; i < argc; i++) {
        DIR *directory = opendir(argv[i]);
        if (directory == NULL) {
            perror(argv[i]);
            return 1;
        }
        int files = 0;
        for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
            if (entry->d_name[0] == '.')
                continue;
            files++;
            if (run_file(argv[i], entry->d_name, &rng) != 0)
                return 1;
        }
        closedir(directory);
        if (files == 0) {
            fprintf(stderr, "%s: no files\n", argv[i]);
            return 1;
        }
        printf("%s: %d files\n", argv[i], files);
    }
    return argc > 1 ? 0 : 1;
}
