/* node/core/core_rate.h - how much is kept of a crash: token buckets for each program and for
 * all of them, in one small file that outlives the collector, not the boot.
 *
 * A program that crashes in a loop soon gets core.json without its memory, then only a count.
 * The buckets for all bound what many different programs can cost together, so a table that is
 * full may forget the program that was quiet longest.
 * Memory: plain structs.  Threads: any; processes take turns by flock.
 * Blocks: on the lock, for the time of one read and write of a file in RAM.
 * Trust: the file is ours alone; a torn or foreign one is taken as empty. */
#ifndef RAY_NODE_CORE_CORE_RATE_H
#define RAY_NODE_CORE_CORE_RATE_H

#include <stdint.h>

#include "base/err.h"

enum { CORE_RATE_PROGRAM_COUNT_MAX = 32 };

enum core_keep {
    CORE_KEEP_NOTHING, /* only counted */
    CORE_KEEP_INFO,    /* core.json */
    CORE_KEEP_MEMORY,  /* and core */
};

/* One token is taken by each pass; `level_ns` is what is in the bucket, in time. */
struct core_bucket {
    uint64_t at_ns; /* when level_ns was right; 0: never used, full */
    uint64_t level_ns;
};

struct core_rate_program {
    uint64_t key; /* 0: free */
    uint64_t used_ns;
    struct core_bucket memory;
    struct core_bucket info;
};

struct core_rate {
    uint64_t magic;
    uint64_t uncounted; /* crashes that left nothing since the last that left something */
    struct core_bucket memory;
    struct core_bucket info;
    struct core_rate_program programs[CORE_RATE_PROGRAM_COUNT_MAX];
    uint64_t checksum; /* of all before it */
};

void core_rate_init(struct core_rate *rate);
/* Decides and takes the tokens. `now_ns` of CLOCK_BOOTTIME; *out_uncounted: how many crashes of
 * any program left nothing before this one (0 unless this one leaves something). */
enum core_keep core_rate_take(struct core_rate *rate, uint64_t key, uint64_t now_ns,
                              enum core_keep wanted, uint64_t *out_uncounted);
/* FNV-1a of a program's name; never 0. */
uint64_t core_rate_key(const char *name);

/* Reads, decides, writes, under the file's lock. When the file fails: RAY_EIO and the like, and
 * nobody knows how many came before; the caller then keeps no memory. */
int core_rate_ask(int fd, uint64_t key, uint64_t now_ns, enum core_keep wanted,
                  enum core_keep *out_keep, uint64_t *out_uncounted, struct ray_err *err);

#endif
