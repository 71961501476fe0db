/* coordinator/lease/agent.h - the node's side of grants: asks for them in time, writes the page
 * (DESIGN.md section 8).
 *
 * The owner sends what coord_lease_agent_renew gives, hands in each answer, and then looks at
 * the newest list (coord_lease_agent_pair) to decide what to start (choice.h). A slot is made
 * for each pair of the list and freed when the pair has left it and its monitor was reaped.
 * After a restart of the process init finds the page as it was: guests run on.
 * Memory: the caller's struct; the page is borrowed and written by nobody else.
 * Threads: one owner.  Blocks: never.  Reads no clock: now_ns is CLOCK_BOOTTIME.
 * Trust: answers come from the leader over an authenticated link; they are checked all the same. */
#ifndef RAY_COORDINATOR_LEASE_AGENT_H
#define RAY_COORDINATOR_LEASE_AGENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/grant_page.h"
#include "base/id.h"
#include "coordinator/lease/clock_check.h"
#include "coordinator/lease/grant.h"

struct coord_lease_agent {
    struct ray_grant_page *page;
    struct ray_id node;
    struct ray_id incarnation;
    uint64_t cluster_epoch;
    uint64_t interval_ns; /* between renewals */
    uint64_t renew_at_ns;
    uint64_t newest_t_send_ns; /* of the answers taken */
    uint64_t last_t_send_ns;   /* of the renewals sent */
    uint64_t dropped_at_ns;    /* answers to renewals not younger than this count for nothing */
    struct coord_lease_clock_check clock_check;
    size_t slot_end; /* no slot from here on has a pair */
    bool is_refused; /* duplicate or removed: nothing will be granted to this incarnation */
    bool has_list;   /* of this process; else the hash sent is zeros */
    struct coord_lease_hash hash;
    size_t pair_count;
    struct coord_lease_pair pairs[COORD_LEASE_PAIRS_MAX]; /* sorted by id */
    uint16_t pair_slots[COORD_LEASE_PAIRS_MAX];           /* RAY_GRANT_SLOTS_MAX: none free */
    bool has_monitor[RAY_GRANT_SLOTS_MAX];                /* the slot is read by one */
};

/* The page may hold slots of an earlier process of the same incarnation: they live on, but for
 * those of another cluster epoch. */
void coord_lease_agent_init(struct coord_lease_agent *agent, struct ray_grant_page *page,
                            const struct ray_id *node, const struct ray_id *incarnation,
                            uint64_t cluster_epoch, uint64_t interval_ns);

/* When to call coord_lease_agent_renew next. */
uint64_t coord_lease_agent_renew_at(const struct coord_lease_agent *agent);
/* A renewal with t_send = now_ns; to be called right after reading the clock, before queueing. It
 * also goes with each outcome that this node proposes. */
void coord_lease_agent_renew(struct coord_lease_agent *agent, uint64_t now_ns,
                             struct coord_lease_renew *out);

/* Moves the deadlines of the pairs of the list to t_send + T. RAY_ECONFLICT: it answers nothing
 * that may count (older than one taken, from before a drop, another list's hash, another cluster
 * epoch); nothing has changed. RAY_EDENIED: this incarnation is refused for good; every slot is
 * dead. RAY_EMALFORMED: an answer that no leader gives. */
int coord_lease_agent_answer(struct coord_lease_agent *agent, uint64_t now_ns,
                             const struct coord_lease_answer *answer, struct ray_err *err);

/* Every slot is dead and no answer to a renewal of up to now counts: a new cluster epoch, leaving
 * sleep, a clock that stood still. */
void coord_lease_agent_drop(struct coord_lease_agent *agent, uint64_t now_ns);
void coord_lease_agent_set_cluster_epoch(struct coord_lease_agent *agent, uint64_t now_ns,
                                         uint64_t cluster_epoch);
/* Compares the clocks, before a renewal; drops all and returns true on a second gap in a row. */
bool coord_lease_agent_check_clock(struct coord_lease_agent *agent, uint64_t now_ns,
                                   uint64_t rtc_ns);

/* The pair of the newest list; NULL: not in it. */
const struct coord_lease_pair *coord_lease_agent_pair(const struct coord_lease_agent *agent,
                                                      const struct ray_id *id);
/* Whether the slot of `id` is that of `epoch` and alive, with its number. */
bool coord_lease_agent_is_alive(const struct coord_lease_agent *agent, uint64_t now_ns,
                                const struct ray_id *id, struct ray_epoch epoch, size_t *out_slot);
/* The slot of `id` for a monitor, made when there is none; it keeps it until reaped.
 * RAY_EUNAVAILABLE: the page is full. */
int coord_lease_agent_hold(struct coord_lease_agent *agent, const struct ray_id *id,
                           size_t *out_slot, struct ray_err *err);
void coord_lease_agent_reaped(struct coord_lease_agent *agent, const struct ray_id *id);

#endif
