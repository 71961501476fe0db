/* node/core/core_fixture.h - for tests: a core file as the kernel writes one, in memory.
 *
 * Memory: the struct holds all.  Threads: the test's.  Blocks: never.  Trust: tests only. */
#ifndef RAY_NODE_CORE_CORE_FIXTURE_H
#define RAY_NODE_CORE_CORE_FIXTURE_H

#include <stddef.h>
#include <stdint.h>

#include "node/core/core_elf.h"

enum {
    FIXTURE_SIZE_MAX = 256 << 10,
    FIXTURE_PROGRAM_AT = 0x400000, /* where the program is mapped */
    FIXTURE_LIBRARY_AT = 0x7000000,
    FIXTURE_PC = FIXTURE_LIBRARY_AT + 0x1234,
    FIXTURE_MEMORY_SIZE = 64 << 10, /* behind the notes; a pattern, then zeros */
};

struct core_fixture {
    uint8_t bytes[FIXTURE_SIZE_MAX];
    size_t size;
    size_t notes_at;
    size_t notes_size;
};

/* x86-64: /usr/bin/victim and libc.so.6 mapped, a file of data between; SIGSEGV at FIXTURE_PC
 * for address 0x10. `filler_count` empty segments lie before the notes. */
void core_fixture_make(struct core_fixture *fixture, size_t filler_count);

/* The first page of an ELF file with a build id of `size` bytes of `fill`; returns its length. */
size_t core_fixture_elf(uint8_t page[static CORE_PAGE_SIZE], uint8_t fill, size_t size);

#endif
