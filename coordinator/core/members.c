/* coordinator/core/members.c - rules in order; the first that has something to do decides.
 *
 * 0. A voter that will not come back steps down as soon as somebody can take its place: with
 *    both in, nobody else could fail.
 * 1. One voter more than needed, for a bad one that is still there: that one becomes a standby
 *    (a leader hands over before).
 * 2. Too few good voters: a standby is promoted.
 * 3. Too many, or an even number: one is demoted.
 * 4. Standbys that are not wanted, or too many, leave.
 * 5. Standbys are found, bad ones replaced.
 * 6. Voters move to failure domains that have none. */
#include "coordinator/core/members.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "coordinator/core/config.h"

/* A standby that lacks no more than this may vote; the log's own limit is larger. */
enum { LAG_MAX = 256 };

struct plan {
    const struct coord_members *members;
    struct coord_members_step *step;
    size_t voters;         /* in the configuration */
    size_t healthy_voters; /* of them, also wanted */
    size_t standbys;
    size_t target; /* odd number of voters that the wanted nodes allow: who is only away for a
                      while keeps its seat until somebody can take it */
};

__attribute__((format(printf, 2, 3))) static void why(struct coord_members_step *step,
                                                      const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(step->why, sizeof step->why, fmt, ap);
    va_end(ap);
}

static const struct coord_member_node *find_node(const struct coord_members *members, uint64_t id)
{
    size_t low = 0;
    size_t high = members->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (members->nodes[middle].id < id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < members->count && members->nodes[low].id == id ? &members->nodes[low] : NULL;
}

static bool is_good(const struct coord_member_node *node)
{
    return node->is_healthy && node->is_wanted;
}

static bool is_caught_up(const struct plan *plan, const struct coord_member_node *node)
{
    return is_good(node) && node->match_index + LAG_MAX >= plan->members->last_index;
}

static bool is_same_domain(const struct coord_member_node *a, const struct coord_member_node *b)
{
    return a->domain != 0 && a->domain == b->domain;
}

/* Voters in the domain of `node`, without itself. */
static size_t crowd(const struct plan *plan, const struct coord_member_node *node)
{
    size_t count = 0;

    for (size_t i = 0; i < plan->members->config.count; i++) {
        const struct coord_server *server = &plan->members->config.servers[i];

        if (server->role == COORD_VOTER && server->id != node->id) {
            count += is_same_domain(node, find_node(plan->members, server->id));
        }
    }
    return count;
}

static int check(const struct coord_members *members, struct ray_err *err)
{
    if (members->wanted_voters != 1 && members->wanted_voters != 3 && members->wanted_voters != 5) {
        return ray_fail(err, RAY_EINVAL, "%zu voters wanted, not 1, 3 or 5",
                        members->wanted_voters);
    }
    if (members->count > COORD_MEMBERS_NODES_MAX) {
        return ray_fail(err, RAY_EINVAL, "%zu nodes, at most %d", members->count,
                        COORD_MEMBERS_NODES_MAX);
    }
    for (size_t i = 0; i < members->count; i++) {
        if (members->nodes[i].id == 0 ||
            (i > 0 && members->nodes[i].id <= members->nodes[i - 1].id)) {
            return ray_fail(err, RAY_EINVAL, "node %" PRIu64 " is out of order",
                            members->nodes[i].id);
        }
    }
    for (size_t i = 0; i < members->config.count; i++) {
        if (find_node(members, members->config.servers[i].id) == NULL) {
            return ray_fail(err, RAY_EINVAL, "member %" PRIu64 " has no node",
                            members->config.servers[i].id);
        }
    }
    return coord_config_check(&members->config, err);
}

static void survey(struct plan *plan)
{
    const struct coord_members *members = plan->members;
    size_t wanted = 0;

    for (size_t i = 0; i < members->count; i++) {
        wanted += members->nodes[i].is_wanted;
    }
    for (size_t i = 0; i < members->config.count; i++) {
        const struct coord_server *server = &members->config.servers[i];

        if (server->role == COORD_VOTER) {
            plan->voters++;
            plan->healthy_voters += is_good(find_node(members, server->id));
        } else {
            plan->standbys++;
        }
    }
    plan->target = members->wanted_voters;
    while (plan->target > 1 && plan->target > wanted) {
        plan->target -= 2;
    }
}

/* ---- single changes; false: not possible, `why` says so ---- */

/* Healthy voters, as the leader hears them, must remain a majority. */
static bool keeps_quorum(const struct plan *plan, const struct coord_config *next)
{
    size_t healthy = 0;

    for (size_t i = 0; i < next->count; i++) {
        if (next->servers[i].role == COORD_VOTER) {
            healthy += find_node(plan->members, next->servers[i].id)->is_healthy;
        }
    }
    return healthy > coord_config_voter_count(next) / 2;
}

static bool propose(struct plan *plan, const struct coord_config *next, const char *what,
                    uint64_t id)
{
    if (!keeps_quorum(plan, next)) {
        why(plan->step, "%s of %" PRIu64 " waits: too few voters would be healthy", what, id);
        return false;
    }
    assert(coord_config_check_next(&plan->members->config, next, NULL) == RAY_OK);
    plan->step->action = COORD_MEMBERS_CHANGE;
    plan->step->next = *next;
    plan->step->is_hurried = plan->voters % 2 == 0 || coord_config_voter_count(next) % 2 == 0;
    why(plan->step, "%s of %" PRIu64, what, id);
    return true;
}

static bool promote(struct plan *plan, uint64_t id)
{
    struct coord_config next = plan->members->config;

    (void)coord_config_set_role(&next, id, COORD_VOTER, NULL);
    return propose(plan, &next, "promotion", id);
}

/* To whom leadership goes when its holder must not vote any more. */
static bool hand_over(struct plan *plan)
{
    const struct coord_member_node *best = NULL;

    for (size_t i = 0; i < plan->members->config.count; i++) {
        const struct coord_server *server = &plan->members->config.servers[i];
        const struct coord_member_node *node = find_node(plan->members, server->id);

        if (server->role == COORD_VOTER && server->id != plan->members->leader_id &&
            is_good(node) && (best == NULL || node->match_index > best->match_index)) {
            best = node;
        }
    }
    if (best == NULL) {
        why(plan->step, "the leader %" PRIu64 " has nobody to hand over to",
            plan->members->leader_id);
        return false;
    }
    plan->step->action = COORD_MEMBERS_TRANSFER;
    plan->step->transfer_id = best->id;
    why(plan->step, "the leader %" PRIu64 " hands over to %" PRIu64, plan->members->leader_id,
        best->id);
    return true;
}

static bool demote(struct plan *plan, uint64_t id)
{
    struct coord_config next = plan->members->config;

    if (plan->voters == 1) {
        why(plan->step, "%" PRIu64 " is the only voter", id);
        return false;
    }
    if (id == plan->members->leader_id) {
        return hand_over(plan);
    }
    (void)coord_config_set_role(&next, id, COORD_STANDBY, NULL);
    return propose(plan, &next, "demotion", id);
}

static bool drop(struct plan *plan, uint64_t id)
{
    struct coord_config next = plan->members->config;

    (void)coord_config_remove(&next, id, NULL);
    return propose(plan, &next, "removal", id);
}

static bool enlist(struct plan *plan, uint64_t id)
{
    struct coord_config next = plan->members->config;

    if (coord_config_add(&next, id, COORD_STANDBY, NULL) != RAY_OK) {
        why(plan->step, "there is no place for %" PRIu64, id);
        return false;
    }
    return propose(plan, &next, "a standby's place", id);
}

/* ---- choices ---- */

/* The best standby to vote: caught up, in the emptiest domain, lowest number; NULL: none. */
static const struct coord_member_node *best_standby(const struct plan *plan)
{
    const struct coord_member_node *best = NULL;

    for (size_t i = 0; i < plan->members->config.count; i++) {
        const struct coord_server *server = &plan->members->config.servers[i];
        const struct coord_member_node *node = find_node(plan->members, server->id);

        if (server->role == COORD_STANDBY && is_caught_up(plan, node) &&
            (best == NULL || crowd(plan, node) < crowd(plan, best))) {
            best = node;
        }
    }
    return best;
}

static size_t caught_up_standbys(const struct plan *plan)
{
    size_t count = 0;

    for (size_t i = 0; i < plan->members->config.count; i++) {
        count += plan->members->config.servers[i].role == COORD_STANDBY &&
                 is_caught_up(plan, find_node(plan->members, plan->members->config.servers[i].id));
    }
    return count;
}

/* Who gives up its vote first: the unwanted, the dead, one of a crowded domain, the highest
 * number; the leader only when nobody else is left. */
static const struct coord_member_node *worst_voter(const struct plan *plan)
{
    const struct coord_member_node *worst = NULL;
    size_t worst_rank = 0;

    for (size_t i = 0; i < plan->members->config.count; i++) {
        const struct coord_server *server = &plan->members->config.servers[i];
        const struct coord_member_node *node = find_node(plan->members, server->id);
        size_t rank;

        if (server->role != COORD_VOTER) {
            continue;
        }
        rank = (node->is_wanted ? 0U : 8000U) + (node->is_healthy ? 0U : 4000U) +
               2 * crowd(plan, node) + (server->id == plan->members->leader_id ? 0U : 1U);
        if (worst == NULL || rank >= worst_rank) {
            worst = node;
            worst_rank = rank;
        }
    }
    return worst;
}

/* A node to become standby: healthy, not a member, in the emptiest domain; NULL: none. */
static const struct coord_member_node *best_observer(const struct plan *plan)
{
    const struct coord_member_node *best = NULL;
    size_t best_crowd = 0;

    for (size_t i = 0; i < plan->members->count; i++) {
        const struct coord_member_node *node = &plan->members->nodes[i];
        size_t node_crowd;

        if (!is_good(node) || coord_config_find(&plan->members->config, node->id) != NULL) {
            continue;
        }
        node_crowd = crowd(plan, node);
        if (best == NULL || node_crowd < best_crowd) {
            best = node;
            best_crowd = node_crowd;
        }
    }
    return best;
}

/* ---- rules; true: decided ---- */

static bool standbys_leave(struct plan *plan)
{
    const struct coord_server *last = NULL;

    for (size_t i = 0; i < plan->members->config.count; i++) {
        const struct coord_server *server = &plan->members->config.servers[i];

        if (server->role == COORD_STANDBY && !find_node(plan->members, server->id)->is_wanted) {
            return drop(plan, server->id);
        }
        if (server->role == COORD_STANDBY &&
            (last == NULL || is_good(find_node(plan->members, last->id)))) {
            last = server;
        }
    }
    return last != NULL && plan->standbys > COORD_STANDBYS_MAX && drop(plan, last->id);
}

static bool too_few_voters(struct plan *plan)
{
    const struct coord_member_node *node;

    if (plan->healthy_voters >= plan->target) {
        return false;
    }
    node = best_standby(plan);
    if (node == NULL) {
        why(plan->step, "%zu of %zu voters; no standby is caught up", plan->healthy_voters,
            plan->target);
        return false;
    }
    /* Two voters are worse than one, and four no better than three: an odd number grows only by
     * two, unless somebody is replaced. */
    if (plan->voters % 2 == 1 && plan->healthy_voters == plan->voters &&
        caught_up_standbys(plan) < 2) {
        why(plan->step, "%zu voters until two standbys are caught up", plan->voters);
        return false;
    }
    return promote(plan, node->id);
}

static bool too_many_voters(struct plan *plan)
{
    if (plan->voters <= plan->target && plan->voters % 2 == 1) {
        return false;
    }
    return demote(plan, worst_voter(plan)->id);
}

/* A voter that should not be one, while enough others are: it steps back. */
static bool bad_voters(struct plan *plan)
{
    const struct coord_member_node *worst = worst_voter(plan);

    if (is_good(worst) || plan->healthy_voters < plan->target || plan->voters % 2 == 1) {
        return false;
    }
    return demote(plan, worst->id);
}

/* Neither wanted nor alive: with a successor at hand it goes first. The others were as many as
 * needed without it before, and are afterwards. */
static bool dead_voters(struct plan *plan)
{
    const struct coord_member_node *worst = worst_voter(plan);

    if (worst->is_healthy || worst->is_wanted || plan->voters < 3 || plan->voters % 2 == 0 ||
        best_standby(plan) == NULL) {
        return false;
    }
    return demote(plan, worst->id);
}

static size_t good_standbys(const struct plan *plan)
{
    size_t count = 0;

    for (size_t i = 0; i < plan->members->config.count; i++) {
        count += plan->members->config.servers[i].role == COORD_STANDBY &&
                 is_good(find_node(plan->members, plan->members->config.servers[i].id));
    }
    return count;
}

static bool standbys(struct plan *plan)
{
    const struct coord_member_node *node = best_observer(plan);

    if (node == NULL || good_standbys(plan) == COORD_STANDBYS_MAX) {
        return false;
    }
    if (plan->standbys < COORD_STANDBYS_MAX) {
        return enlist(plan, node->id);
    }
    for (size_t i = 0; i < plan->members->config.count; i++) {
        const struct coord_server *server = &plan->members->config.servers[i];

        if (server->role == COORD_STANDBY && !is_good(find_node(plan->members, server->id))) {
            return drop(plan, server->id);
        }
    }
    return false;
}

/* One voter more in an empty domain; the crowded one is then demoted as one too many. */
static bool spread(struct plan *plan)
{
    const struct coord_member_node *node = best_standby(plan);
    const struct coord_member_node *worst = worst_voter(plan);

    if (plan->voters < 3 || plan->voters != plan->target || node == NULL ||
        plan->healthy_voters != plan->voters || crowd(plan, worst) <= crowd(plan, node)) {
        return false;
    }
    return promote(plan, node->id);
}

int coord_members_next(const struct coord_members *members, struct coord_members_step *out,
                       struct ray_err *err)
{
    struct coord_members_step step = {.action = COORD_MEMBERS_NONE};
    struct plan plan = {.members = members, .step = &step};
    int rc = check(members, err);

    if (rc != RAY_OK) {
        return rc;
    }
    survey(&plan);
    if (!dead_voters(&plan) && !bad_voters(&plan) && !too_few_voters(&plan) &&
        !too_many_voters(&plan) && !standbys_leave(&plan) && !standbys(&plan)) {
        (void)spread(&plan);
    }
    *out = step;
    return RAY_OK;
}
