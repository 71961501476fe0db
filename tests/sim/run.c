/* Draws what kind of run a seed is, lets it happen, and asks the checkers. */
#include "tests/sim/run.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "tests/sim/check_end.h"
#include "tests/sim/check_linear.h"
#include "tests/sim/cluster.h"
#include "tests/sim/grants.h"
#include "tests/sim/mem.h"

static const uint64_t heal_ns = 12 * SIM_S;
static const uint64_t ask_ns = 4 * SIM_S;   /* after the healing */
static const uint64_t quiet_ns = 4 * SIM_S; /* as long as anything may take */
static const uint64_t settle_ns = 500000000;
static const uint64_t longer_ns = 6 * SIM_S; /* where grants are long */

#define LEVEL_SEED UINT64_C(0x6c6576656c)

enum { SEGMENT_SIZE = 64 << 10, LINEAR_STEPS = 300000, EVENTS_MAX = 3000000, STANDING_ONE_IN = 6 };

static void draw_network(struct sim_run *run, struct sim_rng *rng)
{
    struct sim_net_config *config = &run->net_config;

    config->delay_ns = sim_rng_between(rng, 30000, 1500000);
    config->jitter_ns = config->delay_ns * sim_rng_between(rng, 0, 6);
    config->give_up_ns = sim_rng_between(rng, 100 * SIM_MS, 3 * SIM_S);
    config->is_datagram = sim_rng_one_in(rng, 4) && !run->ops->needs_promises;
    config->loss_ppm = sim_rng_one_in(rng, 2) ? (uint32_t)sim_rng_below(rng, 50000) : 0;
    config->double_ppm = sim_rng_one_in(rng, 2) ? (uint32_t)sim_rng_below(rng, 30000) : 0;
}

static void draw_cluster(struct sim_run *run, struct sim_rng *rng, uint32_t node_count)
{
    static const uint32_t counts[] = {3, 3, 3, 3, 3, 3, 4, 5, 5, 1, 2};
    struct sim_cluster *cluster = &run->cluster;

    cluster->node_count = counts[sim_rng_below(rng, sizeof counts / sizeof counts[0])];
    if (node_count > 0) {
        cluster->node_count = node_count;
    }
    assert(cluster->node_count <= SIM_MACHINES_MAX);
    cluster->election_ms = 200;
    cluster->heartbeat_ms = 40;
    cluster->segment_size = SEGMENT_SIZE;
    cluster->key_count = (uint32_t)sim_rng_between(rng, 1, 6);
    cluster->client_count = (uint32_t)sim_rng_between(rng, 2, 6);
    cluster->grant_ms = 3000;
    cluster->renew_ms = 500;
    cluster->margin_ms = 500;
    cluster->drift_ppm = 10000;
    sim_rng_fill(rng, cluster->id.bytes, RAY_ID_SIZE);
    for (uint32_t i = 0; i < cluster->node_count; i++) {
        sim_rng_fill(rng, cluster->nodes[i].bytes, RAY_ID_SIZE);
    }
}

/* Short enough that several take-overs fit into a run; clocks that are wrong enough to matter. */
static void draw_grants(struct sim_run *run)
{
    struct sim_cluster *cluster = &run->cluster;
    struct sim_rng rng;

    sim_rng_fork(&run->world->rng, &rng);
    cluster->grant_ms = (uint32_t)sim_rng_between(&rng, 400, 1000);
    cluster->renew_ms = cluster->grant_ms / (uint32_t)sim_rng_between(&rng, 3, 6);
    cluster->margin_ms = cluster->grant_ms / (uint32_t)sim_rng_between(&rng, 4, 10);
    cluster->drift_ppm = sim_rng_one_in(&rng, 2) ? 10000 : 50000;
    cluster->is_standing = sim_rng_one_in(&rng, STANDING_ONE_IN);
    if (cluster->is_standing) {
        /* The clock check looks for 1.5 s, so that W must be longer. */
        cluster->grant_ms = 3000;
        cluster->renew_ms = 500;
        cluster->margin_ms = 500;
        cluster->drift_ppm = 10000;
    }
}

/* Streams of their own, so that runs with one level stay what they were. */
static void draw_levels(struct sim_run *run, uint64_t seed)
{
    sim_rng_init(&run->level_rng, seed ^ LEVEL_SEED);
    run->has_levels = run->ops->comes_back && sim_rng_one_in(&run->level_rng, 3);
    run->is_upgraded = sim_rng_one_in(&run->level_rng, 2);
    for (uint32_t i = 0; i < run->cluster.node_count; i++) {
        run->membership.levels[i] =
            run->has_levels ? (uint32_t)sim_rng_between(&run->level_rng, 1, SIM_LEVEL_MAX) : 1;
    }
}

static void begin(struct sim_run *run, const struct sim_options *options)
{
    struct sim_rng rng;

    run->world = sim_world_create(options->seed);
    run->world->trace = options->trace;
    run->ops = options->ops;
    sim_rng_fork(&run->world->rng, &rng);
    sim_rng_fork(&run->world->rng, &run->fault_rng);
    sim_rng_fork(&run->world->rng, &run->client_rng);
    sim_rng_fork(&run->world->rng, &run->watch_rng);
    draw_network(run, &rng);
    draw_cluster(run, &rng, options->node_count);
    draw_levels(run, options->seed);
    run->disk_config = (struct sim_disk_config){.delay_ns = sim_rng_between(&rng, 50000, 400000),
                                                .jitter_ns = sim_rng_between(&rng, 0, 3 * SIM_MS),
                                                .capacity = UINT64_MAX};
    run->think_ns = sim_rng_between(&rng, 10 * SIM_MS, 150 * SIM_MS);
    run->heal_ns = heal_ns + run->ops->warm_up_ns;
    run->stop_ns = run->heal_ns + ask_ns;
    run->end_ns = run->stop_ns + quiet_ns;
    sim_watch_log_init(&run->watch_log, &run->verdict);
    sim_check_log_init(&run->log, &run->verdict);
    sim_witness_init(&run->witness, &run->verdict);
    run->net = sim_net_create(run->world, &run->net_config);
    if (run->ops->has_guests) {
        draw_grants(run);
        run->end_ns += run->cluster.is_standing ? longer_ns : 0;
        run->grants = sim_grants_create(run->world, run->net, &run->cluster, &run->verdict);
    }
    run->older = sim_disk_create(run->world, &run->disk_config);
    run->older_of = SIM_MACHINES_MAX;
    for (uint32_t i = 0; i < run->cluster.node_count; i++) {
        sim_machine_init(run, i);
    }
    for (uint32_t i = 0; i < run->cluster.node_count; i++) {
        sim_machine_start(&run->machines[i]);
    }
    sim_clients_begin(run);
    sim_watchers_begin(run);
    sim_viewers_begin(run, options->seed);
    sim_faults_begin(run);
}

static void pass(struct sim_run *run, uint64_t until_ns)
{
    while (!run->verdict.is_bad && sim_world_step(run->world, until_ns)) {
        if (run->world->event_count > EVENTS_MAX) {
            sim_verdict_fail(&run->verdict, SIM_CHECK_PROGRESS,
                             "something goes round in circles at %" PRIu64 " ns",
                             run->world->now_ns);
        }
    }
}

/* ---- the judgement ---- */

static void count_ops(struct sim_run *run, struct sim_end *end)
{
    end->pending_since_ns = UINT64_MAX;
    for (size_t i = 0; i < run->history.count; i++) {
        const struct sim_op *op = &run->history.ops[i];

        run->result->done_count += op->is_known;
        end->healed_done_count += op->is_known && op->call_ns > run->heal_ns;
    }
    for (uint32_t i = 0; i < run->cluster.client_count; i++) {
        const struct sim_client *client = &run->clients[i];

        if (client->is_busy) {
            uint64_t since_ns = run->history.ops[client->position].call_ns;

            end->pending_count++;
            end->pending_since_ns =
                since_ns < end->pending_since_ns ? since_ns : end->pending_since_ns;
        }
    }
}

/* As the leader sees it; all where nobody leads. */
static uint32_t find_members(const struct sim_run *run)
{
    struct sim_node_status status;
    uint64_t term = 0;
    uint32_t members = UINT32_MAX;

    for (uint32_t i = 0; i < run->cluster.node_count; i++) {
        if (run->machines[i].node == NULL) {
            continue;
        }
        run->ops->status(run->machines[i].node, &status);
        if (status.is_leader && status.term > term) {
            term = status.term;
            members = status.members;
        }
    }
    return members;
}

/* It may never hear of it: nobody has a link to it any more. */
static void judge_removed(struct sim_run *run, uint32_t index, uint32_t members, bool is_leader)
{
    const char *what = NULL;

    if ((run->membership.removed >> index & 1) == 0 || members == UINT32_MAX) {
        return;
    }
    if ((members >> index & 1) != 0 || is_leader) {
        what = is_leader ? "leads" : "is a member";
    } else if (run->grants != NULL && sim_grants_is_busy(run->grants, index)) {
        what = "runs a guest";
    }
    if (what != NULL) {
        sim_verdict_fail(&run->verdict, SIM_CHECK_REMOVED,
                         "n%" PRIu32 " was removed, and %s at the end", index, what);
    }
}

static void judge_set_back(struct sim_run *run, const struct sim_machine *machine, uint32_t members)
{
    if (machine->is_set_back && members != UINT32_MAX && (members >> machine->index & 1) != 0) {
        sim_verdict_fail(&run->verdict, SIM_CHECK_SET_BACK,
                         "n%" PRIu32 " goes on with a disk that was set back", machine->index);
    }
}

/* All that are in the way of a rise: who is off, removed, lost, or not upgraded. */
static bool can_all_rise(const struct sim_run *run, const struct sim_node_status *leader)
{
    uint32_t members = 0;

    for (uint32_t i = 0; i < run->cluster.node_count; i++) {
        if (run->membership.levels[i] < SIM_LEVEL_MAX || run->membership.removed != 0 ||
            !sim_machine_is_up(&run->machines[i])) {
            return false;
        }
        members += leader->members >> i & 1;
    }
    return leader->is_leader && members == leader->server_count;
}

static void judge_level(struct sim_run *run)
{
    for (uint32_t i = 0; run->has_levels && i < run->cluster.node_count; i++) {
        struct sim_node_status status = {.term = 0};

        if (run->machines[i].node != NULL) {
            run->ops->status(run->machines[i].node, &status);
        }
        if (status.feature_level != 0 && status.feature_level < SIM_LEVEL_MAX &&
            can_all_rise(run, &status)) {
            sim_verdict_fail(&run->verdict, SIM_CHECK_LEVEL,
                             "all have builds of feature level %d, and n%" PRIu32
                             " leads at level %" PRIu32,
                             SIM_LEVEL_MAX, i, status.feature_level);
        }
    }
}

static void judge_end(struct sim_run *run)
{
    struct sim_end_node nodes[SIM_MACHINES_MAX];
    struct sim_end end = {.nodes = nodes, .settled_index = run->settled_index};
    uint32_t members = find_members(run);

    count_ops(run, &end);
    for (uint32_t i = 0; i < run->cluster.node_count; i++) {
        struct sim_machine *machine = &run->machines[i];
        struct sim_node_status status = {.term = 0};

        if (machine->node != NULL) {
            run->ops->status(machine->node, &status);
        }
        sim_trace(run->world,
                  "n%" PRIu32 " ends at term %" PRIu64 ", applied %" PRIu64 " of %" PRIu64
                  ", leader n%d, %zu voters%s",
                  i, status.term, status.applied_index, status.commit_index, (int)status.leader,
                  status.voter_count, status.is_quarantined ? ", quarantined" : "");
        bool is_quarantined =
            run->ops->comes_back ? status.is_quarantined : machine->is_quarantined;

        judge_removed(run, i, members, status.is_leader);
        judge_set_back(run, machine, members);
        /* Removed, it hears nothing any more. */
        if ((members >> i & 1) == 0) {
            continue;
        }
        nodes[end.node_count++] = (struct sim_end_node){
            .is_up = sim_machine_is_up(machine),
            .is_leader = status.is_leader,
            .is_quarantined = is_quarantined,
            .was_damaged = machine->was_set_back || (machine->was_damaged && !run->ops->comes_back),
            .applied_index = status.applied_index,
            .place = i,
            .voters = status.voters,
            .voter_count = status.voters != 0 ? status.voter_count : 0,
            .last_index = status.last_index,
            .last_term = status.last_term};
        /* Who only lags has lost nothing: that is a matter of progress. */
        if (status.is_leader) {
            sim_check_log_end(&run->log, i, status.applied_index);
        }
    }
    run->result->lost_count = sim_check_progress(&end, &run->verdict) ? 0 : 1;
}

static void judge(struct sim_run *run, const struct sim_options *options)
{
    if (run->verdict.is_bad) {
        return;
    }
    /* First what knows least of the inside. */
    if (options->linear_every > 0 && options->seed % options->linear_every == 0) {
        run->result->linear_count =
            sim_check_linear(&run->history, LINEAR_STEPS, &run->verdict) ? 1 : 0;
    }
    sim_witness_check(&run->witness, &run->history);
    judge_end(run);
    judge_level(run);
    sim_watchers_judge(run);
    sim_viewers_judge(run);
    if (run->grants != NULL && find_members(run) != UINT32_MAX) {
        sim_grants_judge(run->grants);
    }
}

static void end(struct sim_run *run)
{
    struct sim_result *result = run->result;

    result->verdict = run->verdict;
    result->hash = run->world->hash;
    result->event_count = run->world->event_count;
    result->message_count = sim_net_message_count(run->net);
    result->commit_count = run->log.committed_max;
    for (uint32_t i = 0; i < run->cluster.node_count; i++) {
        sim_machine_stop(&run->machines[i], false);
    }
    sim_world_drain(run->world);
    sim_viewers_end(run);
    for (uint32_t i = 0; i < run->cluster.node_count; i++) {
        sim_machine_fini(&run->machines[i]);
    }
    sim_disk_destroy(run->older);
    if (run->grants != NULL) {
        result->run_count = run->grants->check.run_count;
        result->takeover_count = run->grants->death_count;
        result->migration_count = run->grants->migration_count;
    }
    sim_grants_destroy(run->grants);
    sim_net_destroy(run->net);
    sim_world_destroy(run->world);
    sim_check_log_fini(&run->log);
    sim_watch_log_fini(&run->watch_log);
    sim_witness_fini(&run->witness);
    sim_history_fini(&run->history);
}

void sim_run(const struct sim_options *options, struct sim_result *out)
{
    struct sim_run run = {.result = out};

    *out = (struct sim_result){.hash = 0};
    begin(&run, options);
    pass(&run, run.heal_ns);
    if (!run.verdict.is_bad) {
        sim_faults_heal(&run);
    }
    pass(&run, run.stop_ns + settle_ns);
    run.watch_index = run.log.committed_max;
    pass(&run, run.end_ns - settle_ns);
    run.settled_index = run.log.committed_max;
    pass(&run, run.end_ns);
    judge(&run, options);
    if (run.verdict.is_bad) {
        sim_trace(run.world, "%s: %s", sim_checker_name(run.verdict.checker), run.verdict.text);
    }
    end(&run);
}
