/* node/facts/facts.h - everything that a node says of itself, read now.
 *
 * Memory: *out_facts and all below it live in the caller's arena.
 * Threads: the caller's.  Blocks: on pseudo files and netlink, for milliseconds.
 * Trust: as read.h. */
#ifndef RAY_NODE_FACTS_FACTS_H
#define RAY_NODE_FACTS_FACTS_H

#include <stddef.h>

#include "base/arena.h"
#include "base/err.h"
#include "net/proto/node.pb-c.h"
#include "node/facts/machine.h"

/* `root_fd`: where proc, sys, dev, run and usr are; "/" but in tests. `arena` should allow
 * FACTS_ARENA_SIZE_MAX. out_data may be NULL. RAY_ENOMEM is the only failure. */
int facts_read(int root_fd, struct ray_arena *arena, Rayos__Node__Facts **out_facts,
               struct facts_data *out_data, struct ray_err *err);

/* Leaves parts out, the least important first, until the message packs into size_max. */
void facts_fit(Rayos__Node__Facts *facts, size_t size_max);

#endif
