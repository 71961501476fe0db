/* coordinator/core/config.h - who replicates the log: the content of a CHANGE entry, and which
 * next configuration may follow which.
 *
 * Memory: plain structs; encoders write to the caller's memory.  Threads: any.  Blocks: never.
 * Trust: encoded configurations come from peers and disks: hostile. */
#ifndef RAY_COORDINATOR_CORE_CONFIG_H
#define RAY_COORDINATOR_CORE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "coordinator/entry.h"

/* Enough for COORD_SERVERS_MAX servers in libraft's form. */
enum { COORD_CONFIG_ENCODED_SIZE_MAX = 512 };

/* Sorted, unique ids that are not 0, known roles, 1..COORD_SERVERS_MAX servers and at least one
 * voter; RAY_EINVAL. */
int coord_config_check(const struct coord_config *config, struct ray_err *err);

/* The bytes of a CHANGE entry (libraft's form; a server's "address" is its id in hexadecimal).
 * `config` has passed the check. Returns the size. */
size_t coord_config_encode(const struct coord_config *config,
                           uint8_t out[static COORD_CONFIG_ENCODED_SIZE_MAX]);

/* Exactly what coord_config_encode writes, or RAY_EMALFORMED. */
int coord_config_decode(const uint8_t *bytes, size_t size, struct coord_config *out,
                        struct ray_err *err);

bool coord_config_equal(const struct coord_config *a, const struct coord_config *b);
/* NULL: not a member. */
const struct coord_server *coord_config_find(const struct coord_config *config, uint64_t id);
bool coord_config_is_voter(const struct coord_config *config, uint64_t id);
size_t coord_config_voter_count(const struct coord_config *config);

/* Adds, removes, or changes the role; keeps the order. RAY_EEXISTS, RAY_ENOTFOUND, RAY_ETOOBIG;
 * the result is not checked for voters. */
int coord_config_add(struct coord_config *config, uint64_t id, enum coord_role role,
                     struct ray_err *err);
int coord_config_remove(struct coord_config *config, uint64_t id, struct ray_err *err);
int coord_config_set_role(struct coord_config *config, uint64_t id, enum coord_role role,
                          struct ray_err *err);

/* Guard G2: `next` passes the check and differs from `config` in exactly one server: one more,
 * one less, or one role. libraft checks nothing, and mixes up the progress of its peers when
 * one is replaced by another in one step. RAY_EINVAL. */
int coord_config_check_next(const struct coord_config *config, const struct coord_config *next,
                            struct ray_err *err);

#endif
