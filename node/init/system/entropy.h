/* node/init/system/entropy.h - randomness: the seed file, and waiting until keys may be made.
 *
 * A seed is credited once only: its replacement is on disk before it counts, so that a
 * power cut or a copied disk never credits the same seed twice.
 * Memory: seeds are wiped.  Threads: PID 1's; wait uses a helper thread.
 * Blocks: wait, up to its deadline; the others on the disk.
 * Trust: the seed file is ours; a damaged one is mixed in but never credited. */
#ifndef RAY_NODE_INIT_SYSTEM_ENTROPY_H
#define RAY_NODE_INIT_SYSTEM_ENTROPY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum { INIT_ENTROPY_SEED_SIZE = 512 };
#define INIT_ENTROPY_SEED_FILE "identity/random-seed"

struct init_entropy_device {
    int fd;          /* /dev/urandom, or a file in tests */
    bool can_credit; /* RNDADDENTROPY is used; otherwise the seed is only written to fd */
};

enum init_entropy_outcome {
    INIT_ENTROPY_NO_SEED, /* first boot, or a node without disk; one was stored if possible */
    INIT_ENTROPY_CREDITED,
    INIT_ENTROPY_MIXED, /* mixed in without credit: damaged, or its replacement failed */
};

/* Mixes the seed of `data_fd` (the data folder) into the pool, replaces it, then credits.
 * Call early after the data folder is there and only when it is a disk. */
int init_entropy_load(int data_fd, const struct init_entropy_device *device,
                      enum init_entropy_outcome *out_outcome, struct ray_err *err);

/* Stores a new seed, at shutdown. */
int init_entropy_save(int data_fd, struct ray_err *err);

/* Returns when getrandom(2) gives key-grade bytes. RAY_ETIMEOUT: not within `timeout_ms`;
 * then no key may be made (log it; try again later). */
int init_entropy_wait(uint64_t timeout_ms, struct ray_err *err);

#endif
