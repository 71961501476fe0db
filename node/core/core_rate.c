#include "node/core/core_rate.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"

#define RATE_MAGIC UINT64_C(0x3165746172796172) /* "rayrate1" */
#define MINUTES(count) (UINT64_C(60) * (count) * RAY_NS_PER_S)

struct limit {
    uint64_t burst;
    uint64_t token_ns; /* one more every so often */
};

static const struct limit program_memory = {2, MINUTES(10)};
static const struct limit program_info = {8, MINUTES(10)};
static const struct limit all_memory = {6, MINUTES(5)};
static const struct limit all_info = {24, MINUTES(1)};

static_assert(sizeof(struct core_rate) ==
                  (2 + 4 + CORE_RATE_PROGRAM_COUNT_MAX * 6 + 1) * sizeof(uint64_t),
              "no padding: the checksum covers all");

void core_rate_init(struct core_rate *rate)
{
    *rate = (struct core_rate){.magic = RATE_MAGIC};
}

static uint64_t fnv(const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    for (size_t i = 0; i < size; i++) {
        hash = (hash ^ at[i]) * UINT64_C(0x100000001b3);
    }
    return hash;
}

uint64_t core_rate_key(const char *name)
{
    uint64_t hash = fnv(name, strlen(name));

    return hash != 0 ? hash : 1;
}

static void refill(struct core_bucket *bucket, const struct limit *limit, uint64_t now_ns)
{
    uint64_t full_ns = limit->burst * limit->token_ns;

    if (bucket->at_ns == 0 || bucket->level_ns > full_ns) {
        bucket->level_ns = full_ns;
    } else if (now_ns > bucket->at_ns) {
        uint64_t gone_ns = now_ns - bucket->at_ns;
        uint64_t missing_ns = full_ns - bucket->level_ns;

        bucket->level_ns += gone_ns < missing_ns ? gone_ns : missing_ns;
    }
    bucket->at_ns = now_ns > 0 ? now_ns : 1;
}

/* From both, or from neither. */
static bool take_two(struct core_bucket *one, const struct limit *one_limit,
                     struct core_bucket *all, const struct limit *all_limit, uint64_t now_ns)
{
    refill(one, one_limit, now_ns);
    refill(all, all_limit, now_ns);
    if (one->level_ns < one_limit->token_ns || all->level_ns < all_limit->token_ns) {
        return false;
    }
    one->level_ns -= one_limit->token_ns;
    all->level_ns -= all_limit->token_ns;
    return true;
}

static struct core_rate_program *find_program(struct core_rate *rate, uint64_t key)
{
    struct core_rate_program *oldest = &rate->programs[0];

    for (size_t i = 0; i < CORE_RATE_PROGRAM_COUNT_MAX; i++) {
        struct core_rate_program *program = &rate->programs[i];

        if (program->key == key) {
            return program;
        }
        if (program->used_ns < oldest->used_ns) {
            oldest = program;
        }
    }
    *oldest = (struct core_rate_program){.key = key};
    return oldest;
}

enum core_keep core_rate_take(struct core_rate *rate, uint64_t key, uint64_t now_ns,
                              enum core_keep wanted, uint64_t *out_uncounted)
{
    struct core_rate_program *program = find_program(rate, key);
    enum core_keep keep = CORE_KEEP_NOTHING;

    assert(key != 0 && rate->magic == RATE_MAGIC);
    program->used_ns = now_ns;
    if (wanted != CORE_KEEP_NOTHING &&
        take_two(&program->info, &program_info, &rate->info, &all_info, now_ns)) {
        keep = CORE_KEEP_INFO;
        if (wanted == CORE_KEEP_MEMORY &&
            take_two(&program->memory, &program_memory, &rate->memory, &all_memory, now_ns)) {
            keep = CORE_KEEP_MEMORY;
        }
    }
    if (keep == CORE_KEEP_NOTHING) {
        rate->uncounted++;
        *out_uncounted = 0;
    } else {
        *out_uncounted = rate->uncounted;
        rate->uncounted = 0;
    }
    return keep;
}

static uint64_t checksum(const struct core_rate *rate)
{
    return fnv(rate, offsetof(struct core_rate, checksum));
}

static void read_rate(int fd, struct core_rate *rate)
{
    ssize_t size = ray_fault(RAY_FAULT_READ) != 0 ? -1 : pread(fd, rate, sizeof *rate, 0);

    if (size != (ssize_t)sizeof *rate || rate->magic != RATE_MAGIC ||
        rate->checksum != checksum(rate)) {
        core_rate_init(rate);
    }
}

int core_rate_ask(int fd, uint64_t key, uint64_t now_ns, enum core_keep wanted,
                  enum core_keep *out_keep, uint64_t *out_uncounted, struct ray_err *err)
{
    struct core_rate rate;
    enum core_keep keep;
    uint64_t uncounted;
    int errnum = 0;
    ssize_t written;

    while (ray_fault(RAY_FAULT_OPEN) != 0 || flock(fd, LOCK_EX) != 0) {
        if (errno != EINTR) {
            return ray_fail_errno(err, errno, "lock of the rate file");
        }
    }
    read_rate(fd, &rate);
    keep = core_rate_take(&rate, key, now_ns, wanted, &uncounted);
    rate.checksum = checksum(&rate);
    written = ray_fault(RAY_FAULT_WRITE) != 0 ? -1 : pwrite(fd, &rate, sizeof rate, 0);
    if (written != (ssize_t)sizeof rate) {
        errnum = written < 0 ? errno : ENOSPC;
    }
    (void)flock(fd, LOCK_UN); /* close would do it, too */
    if (errnum != 0) {
        return ray_fail_errno(err, errnum, "rate file");
    }
    *out_keep = keep;
    *out_uncounted = uncounted;
    return RAY_OK;
}
