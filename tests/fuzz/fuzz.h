/* What a fuzz target is: one function that takes bytes of any kind and must return.
 *
 * With clang and the option `fuzzers` a target is linked with libFuzzer; otherwise replay_main.c runs it over
 * its corpus and over simple mutations of it, as a normal test. A target reports a mistake by ASSERT or BUG.
 */
#ifndef SKUA_TESTS_FUZZ_FUZZ_H
#define SKUA_TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

#endif
