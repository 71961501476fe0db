/* coordinator/core/readindex.h - reads and renewals without a log entry: a leader proves with
 * one probe per turn, for all that wait, that it was still the leader after they came.
 *
 * The leader stamps {term, number} on its frames to voters; a voter whose term is still that
 * gives it back. When a majority of the voters of the newest configuration gave back a number,
 * everything that was asked before that number began may be answered from the commit index
 * noted when it came (and once that is applied). A leader outside the newest configuration
 * counts no echo of its own. Needs a committed entry of the leader's own term (guard G1).
 *
 * Memory: one plain struct.  Threads: the owner's.  Blocks: never.
 * Trust: echoes come from authenticated peers, but may be stale, repeated or nonsense. */
#ifndef RAY_COORDINATOR_CORE_READINDEX_H
#define RAY_COORDINATOR_CORE_READINDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "coordinator/core/message.h"
#include "coordinator/entry.h"

struct coord_readindex {
    uint64_t self_id;
    uint64_t term;         /* 0: not leading, every probe fails */
    uint64_t begun_number; /* newest probe; 0 none yet */
    uint64_t confirmed_number;
    uint64_t begun_at_ms; /* of the newest probe */
    struct coord_config config;
    uint64_t echoed_numbers[COORD_SERVERS_MAX]; /* by position in config */
};

void coord_readindex_init(struct coord_readindex *reads, uint64_t self_id);

/* Became leader of `term` with `config` as newest configuration, appended but perhaps not
 * committed. Numbers start anew: they mean something only within their term. */
void coord_readindex_lead(struct coord_readindex *reads, uint64_t term,
                          const struct coord_config *config);
/* The newest configuration changed; echoes of those who stay are kept. */
void coord_readindex_set_config(struct coord_readindex *reads, const struct coord_config *config);
/* Deposed: what waits for a probe fails. */
void coord_readindex_stop(struct coord_readindex *reads);
bool coord_readindex_is_leading(const struct coord_readindex *reads);

/* A new probe for all that arrived before now; its number. At most one per turn is asked for.
 * The leader is leading. */
uint64_t coord_readindex_begin(struct coord_readindex *reads, uint64_t now_ms);

/* What goes on every frame to a voter while something waits; {0, 0} when nothing does. */
struct coord_probe coord_readindex_probe(const struct coord_readindex *reads);

/* An echo from `from`. Of another term, of a probe that never began, or from a stranger: no
 * effect. True: confirmed_number rose. */
bool coord_readindex_heard(struct coord_readindex *reads, uint64_t from, struct coord_probe echo);

/* Everything asked before probe `number` began may be answered. */
bool coord_readindex_is_confirmed(const struct coord_readindex *reads, uint64_t number);

/* The voter's side: the echo to give back for `asked` (the newest probe heard from a peer), by
 * a node whose durable term is `term`: {0, 0} when that is not the term asked about. */
struct coord_probe coord_readindex_echo(struct coord_probe asked, uint64_t term);

#endif
