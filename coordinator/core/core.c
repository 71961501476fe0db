/* coordinator/core/core.c - life, time and views; the rest of core.h is in core_lead.c,
 * core_receive.c and core_snapshot.c. */
#include "coordinator/core/core.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator/core/core_impl.h"
#include "coordinator/mutant.h"

enum { MEAN_SIZE_START = 256 };

/* Our notice of a snapshot is small and may be repeated: after an election time without an
 * answer. Until then libraft takes the refusal of a newer snapshot's place for a stale one. */
static void apply_timing(struct coord_core *core)
{
    raft_set_election_timeout(&core->raft, core->config.election_ms);
    raft_set_heartbeat_timeout(&core->raft, core->config.heartbeat_ms);
    raft_set_install_snapshot_timeout(&core->raft, core->config.election_ms);
}

static int check_config(const struct coord_core_config *config, struct ray_err *err)
{
    if (config->self_id == 0) {
        return ray_fail(err, RAY_EINVAL, "log core: a member without a number");
    }
    if (config->heartbeat_ms == 0 || config->heartbeat_ms >= config->election_ms) {
        return ray_fail(err, RAY_EINVAL, "log core: heartbeat %u ms, election %u ms",
                        config->heartbeat_ms, config->election_ms);
    }
    return RAY_OK;
}

int coord_core_create(struct coord_core **out, const struct coord_core_config *config,
                      struct ray_err *err)
{
    struct coord_core *core;
    int rc = check_config(config, err);

    if (rc != RAY_OK) {
        return rc;
    }
    core = calloc(1, sizeof *core);
    if (core == NULL) {
        return ray_fail(err, RAY_ENOMEM, "log core: out of memory");
    }
    core->config = *config;
    core->mean_size = MEAN_SIZE_START;
    coord_core_address(config->self_id, core->address);
    if (raft_init(&core->raft, NULL, NULL, config->self_id, core->address) != 0) {
        free(core);
        return ray_fail(err, RAY_ENOMEM, "log core: out of memory");
    }
    core->raft.tracer = NULL;
    raft_seed(&core->raft, config->seed);
    raft_set_pre_vote(&core->raft, true);
    coord_log_init(&core->log, config->cache_size == 0 ? (size_t)COORD_CORE_CACHE_SIZE_DEFAULT
                                                       : config->cache_size);
    ray_arena_init(&core->scratch, COORD_CORE_SCRATCH_SIZE_MAX);
    *out = core;
    return RAY_OK;
}

void coord_core_destroy(struct coord_core *core)
{
    if (core == NULL) {
        return;
    }
    raft_close(&core->raft, NULL);
    coord_log_fini(&core->log);
    ray_arena_fini(&core->scratch);
    free(core->messages);
    free(core->append);
    free(core->raft_entries);
    free(core);
}

/* ---- start ---- */

static int malformed(struct ray_err *err, const char *what)
{
    return ray_fail(err, RAY_EMALFORMED, "log core: %s", what);
}

static int check_entries(const struct coord_core_boot *boot, uint64_t snapshot_index,
                         struct ray_err *err)
{
    uint64_t term = 0;

    for (size_t i = 0; i < boot->count; i++) {
        const struct coord_entry *entry = &boot->entries[i];
        struct coord_config config;

        if (entry->index != boot->entries[0].index + i || entry->term == 0 || entry->term < term ||
            entry->term > boot->hard.term) {
            return malformed(err, "a log with a gap, or with terms that fall");
        }
        if (entry->index == snapshot_index && entry->term != boot->snapshot->term) {
            return malformed(err, "the log contradicts its snapshot");
        }
        term = entry->term;
        if (entry->type == COORD_ENTRY_CHANGE &&
            coord_config_decode(entry->data, entry->size, &config, err) != RAY_OK) {
            return ray_wrap(err, RAY_EMALFORMED, "entry %" PRIu64, entry->index);
        }
    }
    return RAY_OK;
}

static int check_boot(const struct coord_core_boot *boot, struct ray_err *err)
{
    const struct coord_snapshot *snapshot = boot->snapshot;
    uint64_t snapshot_index = snapshot == NULL ? 0 : snapshot->index;

    if (snapshot != NULL &&
        (snapshot->index == 0 || snapshot->term == 0 || snapshot->term > boot->hard.term ||
         snapshot->config_index > snapshot->index ||
         coord_config_check(&snapshot->config, err) != RAY_OK)) {
        return malformed(err, "an impossible snapshot");
    }
    if (boot->count == 0) {
        return RAY_OK;
    }
    if (boot->entries[0].index == 0 || boot->entries[0].index > snapshot_index + 1) {
        return malformed(err, "a log that does not begin where the snapshot ends");
    }
    if (snapshot == NULL && boot->entries[0].type != COORD_ENTRY_CHANGE) {
        return malformed(err, "a log that does not begin with a configuration");
    }
    return check_entries(boot, snapshot_index, err);
}

/* The configuration that the log ends with; false: it has none. */
static bool newest_config(const struct coord_core_boot *boot, struct coord_config *out)
{
    for (size_t i = boot->count; i > 0; i--) {
        const struct coord_entry *entry = &boot->entries[i - 1];

        if (boot->snapshot != NULL && entry->index <= boot->snapshot->config_index) {
            break;
        }
        if (entry->type == COORD_ENTRY_CHANGE) {
            return coord_config_decode(entry->data, entry->size, out, NULL) == RAY_OK;
        }
    }
    if (boot->snapshot != NULL) {
        *out = boot->snapshot->config;
        return true;
    }
    return false;
}

/* libraft makes a sole voter leader at once, but in the term that it finds: in that term
 * another may have led, or it itself before a crash, with entries that only a standby has. So
 * it gets a new term and its own vote, like after any election. */
static struct coord_hard_state first_hard_state(const struct coord_core *core,
                                                const struct coord_core_boot *boot)
{
    struct coord_config config;

    if (newest_config(boot, &config) && coord_config_voter_count(&config) == 1 &&
        coord_config_is_voter(&config, core->config.self_id) && !RAY_MUTANT(CORE_SAME_TERM)) {
        return (struct coord_hard_state){.term = boot->hard.term + 1, .vote = core->config.self_id};
    }
    return boot->hard;
}

/* The newest entries whose content came along, as far as the limit goes. */
static int fill_cache(struct coord_core *core, const struct coord_entry *entries, size_t count)
{
    size_t first = count;
    size_t size = 0;

    while (first > 0 && size < core->log.size_max &&
           (entries[first - 1].size == 0 || entries[first - 1].data != NULL)) {
        first--;
        size += entries[first].size + sizeof(struct coord_entry);
    }
    if (first == count) {
        return RAY_OK;
    }
    coord_log_clear(&core->log, entries[first].index);
    return coord_log_append(&core->log, &entries[first], count - first);
}

/* libraft frees entries and batch when a start fails, so they are its own. */
static int make_start_entries(const struct coord_entry *entries, size_t count,
                              struct raft_entry **out)
{
    struct raft_entry *list;
    void *batch;

    *out = NULL;
    if (count == 0) {
        return RAY_OK;
    }
    list = raft_calloc(count, sizeof *list);
    batch = raft_malloc(1);
    if (list == NULL || batch == NULL) {
        raft_free(list);
        raft_free(batch);
        return RAY_ENOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        list[i] = (struct raft_entry){
            .term = entries[i].term,
            .type = coord_core_to_raft_type(entries[i].type),
            .buf = {.base = (void *)(uintptr_t)entries[i].data, .len = entries[i].size},
            .batch = batch,
        };
    }
    *out = list;
    return RAY_OK;
}

static int step_start(struct coord_core *core, const struct coord_core_boot *boot,
                      const struct coord_entry *entries, size_t count, struct ray_err *err)
{
    struct raft_event event = coord_core_event(core, RAFT_START);
    struct raft_snapshot_metadata metadata = {0};
    struct coord_hard_state hard = first_hard_state(core, boot);
    struct raft_entry *list;
    int rc;

    core->is_hard_changed = hard.term != boot->hard.term;
    event.start.term = hard.term;
    event.start.voted_for = hard.vote;
    /* Guard G6: 0 makes libraft divide by the size of an empty trail. */
    event.start.start_index = count > 0 ? entries[0].index : core->snapshot.index + 1;
    if (RAY_MUTANT(CORE_START_ZERO) && count == 0) {
        event.start.start_index = core->snapshot.index;
    }
    if (make_start_entries(entries, count, &list) != RAY_OK) {
        return coord_core_broken(core, RAY_ENOMEM, err, "out of memory");
    }
    event.start.entries = list;
    event.start.n_entries = (unsigned)count;
    if (core->snapshot.index != 0) {
        metadata.index = core->snapshot.index;
        metadata.term = core->snapshot.term;
        metadata.configuration_index = core->snapshot.config_index;
        if (coord_core_to_raft_config(&core->snapshot.config, &metadata.configuration) != RAY_OK) {
            return coord_core_broken(core, RAY_ENOMEM, err, "out of memory");
        }
        event.start.metadata = &metadata;
    }
    rc = coord_core_run(core, &event, err);
    if (rc == RAY_OK && list != NULL) {
        raft_free(list[0].batch);
        raft_free(list);
    }
    return rc;
}

int coord_core_start(struct coord_core *core, uint64_t now_ms, const struct coord_core_boot *boot,
                     struct coord_core_out *out, struct ray_err *err)
{
    const struct coord_entry *entries = boot->entries;
    size_t count = boot->count;
    int rc;

    assert(!core->is_started && !core->is_broken);
    rc = check_boot(boot, err);
    if (rc != RAY_OK) {
        return rc;
    }
    (void)coord_core_open(core, now_ms, NULL);
    apply_timing(core);
    core->is_started = true;
    if (boot->snapshot != NULL) {
        core->snapshot = *boot->snapshot;
        /* A log that ends before its snapshot says nothing that the snapshot does not. */
        if (count > 0 && entries[count - 1].index < core->snapshot.index) {
            count = 0;
        }
    }
    coord_log_clear(&core->log,
                    count > 0 ? entries[count - 1].index + 1 : core->snapshot.index + 1);
    if (fill_cache(core, entries, count) != RAY_OK) {
        return coord_core_broken(core, RAY_ENOMEM, err, "out of memory");
    }
    rc = step_start(core, boot, entries, count, err);
    if (rc == RAY_OK) {
        coord_core_close(core, out);
    }
    return rc;
}

/* ---- time and disk ---- */

static int run_timeout(struct coord_core *core, struct ray_err *err)
{
    struct raft_event event = coord_core_event(core, RAFT_TIMEOUT);

    return coord_core_run_election(core, &event, err);
}

/* Whom a follower has not heard from for an election time is not its leader any more, whether
 * or not it may stand itself: else it refuses its vote to those who may. */
static int follower_timeout(struct coord_core *core, struct ray_err *err)
{
    coord_core_forget_leader(core);
    if (coord_core_is_sole_voter(core) && core->raft.last_stored == raft_last_index(&core->raft) &&
        !RAY_MUTANT(CORE_SAME_TERM)) {
        coord_core_bump_term(core);
    }
    return run_timeout(core, err);
}

/* libraft asks at every tick whether a peer answered since the last one, and takes those back to
 * probing, one append per heartbeat, who did not: so two ticks within a round trip end all
 * pipelining. We ask about the last election time. */
static int leader_timeout(struct coord_core *core, struct ray_err *err)
{
    uint64_t since_ms = core->led_since_ms;

    if (since_ms + core->config.election_ms < core->now_ms) {
        since_ms = core->now_ms - core->config.election_ms;
    }
    if (!RAY_MUTANT(CORE_SHORT_CONTACT)) {
        core->raft.election_timer_start = since_ms;
    }
    return run_timeout(core, err);
}

static int timed_out(struct coord_core *core, struct ray_err *err)
{
    switch (core->raft.state) {
    case RAFT_FOLLOWER:
        return follower_timeout(core, err);
    case RAFT_LEADER:
        return leader_timeout(core, err);
    default:
        return run_timeout(core, err);
    }
}

int coord_core_tick(struct coord_core *core, uint64_t now_ms, struct coord_core_out *out,
                    struct ray_err *err)
{
    int rc = coord_core_open(core, now_ms, err);

    assert(core->is_started);
    if (rc != RAY_OK) {
        return rc;
    }
    if (core->transfer_id != 0 && core->now_ms >= core->transfer_deadline_ms) {
        core->transfer_id = 0;
    }
    if (core->now_ms >= raft_timeout(&core->raft)) {
        rc = timed_out(core, err);
    }
    if (rc == RAY_OK) {
        coord_core_close(core, out);
    }
    return rc;
}

int coord_core_persisted(struct coord_core *core, uint64_t now_ms, uint64_t index,
                         struct coord_core_out *out, struct ray_err *err)
{
    int rc = coord_core_open(core, now_ms, err);

    assert(core->is_started);
    if (rc != RAY_OK) {
        return rc;
    }
    if (index > raft_last_index(&core->raft)) {
        return ray_fail(err, RAY_EINVAL,
                        "log core: entry %" PRIu64 " is stored, but the last is %" PRIu64, index,
                        coord_core_last_index(core));
    }
    if (index > core->raft.last_stored) {
        struct raft_event event = coord_core_event(core, RAFT_PERSISTED_ENTRIES);

        event.persisted_entries.index = index;
        rc = coord_core_run(core, &event, err);
    }
    if (rc == RAY_OK) {
        coord_core_close(core, out);
    }
    return rc;
}

int coord_core_leader_lost(struct coord_core *core, uint64_t now_ms, uint64_t id,
                           struct coord_core_out *out, struct ray_err *err)
{
    int rc = coord_core_open(core, now_ms, err);
    struct raft *raft = &core->raft;

    assert(core->is_started);
    if (rc != RAY_OK) {
        return rc;
    }
    if (raft->state == RAFT_FOLLOWER && id != 0 && raft->follower_state.current_leader.id == id) {
        uint64_t due_ms = core->now_ms + raft_random(&raft->random, 1, core->config.heartbeat_ms);

        coord_core_forget_leader(core);
        if (due_ms < raft_timeout(raft)) {
            raft->election_timer_start = due_ms - raft->follower_state.randomized_election_timeout;
        }
    }
    coord_core_close(core, out);
    return RAY_OK;
}

void coord_core_set_timing(struct coord_core *core, uint32_t election_ms, uint32_t heartbeat_ms)
{
    assert(heartbeat_ms > 0 && heartbeat_ms < election_ms);
    core->config.election_ms = election_ms;
    core->config.heartbeat_ms = heartbeat_ms;
    if (core->is_started) {
        apply_timing(core);
    }
}

/* ---- views ---- */

enum coord_core_state coord_core_state(const struct coord_core *core)
{
    switch (core->raft.state) {
    case RAFT_LEADER:
        return COORD_LEADER;
    case RAFT_CANDIDATE:
        return COORD_CANDIDATE;
    default:
        return COORD_FOLLOWER;
    }
}

uint64_t coord_core_term(const struct coord_core *core)
{
    return core->raft.current_term;
}

uint64_t coord_core_leader(const struct coord_core *core)
{
    switch (core->raft.state) {
    case RAFT_LEADER:
        return core->config.self_id;
    case RAFT_FOLLOWER:
        return core->raft.follower_state.current_leader.id;
    default:
        return 0;
    }
}

uint64_t coord_core_first_index(const struct coord_core *core)
{
    return core->raft.trail.offset + 1;
}

uint64_t coord_core_last_index(const struct coord_core *core)
{
    return core->log.next_index - 1;
}

uint64_t coord_core_stored_index(const struct coord_core *core)
{
    return core->raft.last_stored;
}

uint64_t coord_core_commit_index(const struct coord_core *core)
{
    return core->commit_index;
}

/* libraft's trail: a ring of {last index, term}, one record per term, oldest first. */
uint64_t coord_core_term_of(const struct coord_core *core, uint64_t index)
{
    const struct raft_trail *trail = &core->raft.trail;

    if (index != 0 && index == trail->snapshot.index) {
        return trail->snapshot.term;
    }
    if (index <= trail->offset || index > coord_core_last_index(core)) {
        return 0;
    }
    for (unsigned i = trail->front; i != trail->back; i = (i + 1) % trail->size) {
        if (index <= trail->records[i].index) {
            return trail->records[i].term;
        }
    }
    return 0;
}

bool coord_core_is_ready(const struct coord_core *core)
{
    return core->raft.state == RAFT_LEADER && core->noop_index != 0 &&
           core->commit_index >= core->noop_index;
}

bool coord_core_is_transferring(const struct coord_core *core)
{
    return core->transfer_id != 0 || raft_transferee(&core->raft) != 0;
}

const struct coord_config *coord_core_configuration(const struct coord_core *core)
{
    return &core->newest;
}

const struct coord_config *coord_core_committed_configuration(const struct coord_core *core,
                                                              uint64_t *out_index)
{
    *out_index = core->committed_config_index;
    return &core->committed;
}

int coord_core_match(const struct coord_core *core, uint64_t id, uint64_t *out_index)
{
    raft_index match = 0;

    switch (raft_match_index(&core->raft, id, &match)) {
    case 0:
        *out_index = match;
        return RAY_OK;
    case RAFT_NOTLEADER:
        return RAY_EUNAVAILABLE;
    default:
        return RAY_ENOTFOUND;
    }
}

bool coord_core_entry(const struct coord_core *core, uint64_t index, struct coord_entry *out)
{
    return coord_log_get(&core->log, index, out);
}

const struct coord_core_counters *coord_core_counters(const struct coord_core *core)
{
    return &core->counters;
}
