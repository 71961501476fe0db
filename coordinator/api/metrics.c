/* metrics.c - numbers of this member, put together when somebody asks. */
#include <assert.h>

#include "base/clock.h"
#include "base/size.h"
#include "coordinator/api/impl.h"
#include "coordinator/store/disk_file.h"

void member_count_command(struct coord_member *m, uint64_t begun_ns,
                          enum coord_member_command_end end)
{
    m->command_counts[end]++;
    ray_histogram_add(&m->command_times, ray_clock_boottime_ns() - begun_ns);
}

static void count_objects(struct coord_fsm *fsm, struct coord_member_metrics *out)
{
    static const struct {
        enum coord_kind kind;
        const char *name;
    } kinds[] = {
        {COORD_NODE, "node"},           {COORD_PRINCIPAL, "principal"},
        {COORD_TOKEN, "token"},         {COORD_POLICY, "policy"},
        {COORD_NETWORK, "network"},     {COORD_IMAGE, "image"},
        {COORD_VOLUME, "volume"},       {COORD_GUEST, "guest"},
        {COORD_MIGRATION, "migration"}, {COORD_PRESENTATION, "presentation"},
        {COORD_OPERATION, "operation"}, {COORD_EVENT, "event"},
    };

    static_assert(RAY_ARRAY_COUNT(kinds) == COORD_KIND_COUNT - 2, "all but none and the cluster");
    static_assert(RAY_ARRAY_COUNT(kinds) < COORD_MEMBER_KINDS_MAX, "and the end");
    for (size_t i = 0; i < RAY_ARRAY_COUNT(kinds); i++) {
        out->objects[i].name = kinds[i].name;
        out->objects[i].count = coord_fsm_count(fsm, kinds[i].kind);
    }
}

static void show_status(const struct coord_member *m, struct coord_member_metrics *out)
{
    struct coord_replica_status status;

    coord_replica_status(m->replica, &status);
    out->role = member_role_name(status.role);
    out->is_quorate = status.is_quorate;
    out->is_full = status.is_full;
    out->cluster_epoch = status.cluster_epoch;
    out->term = status.term;
    out->last_index = status.last_index;
    out->durable_index = status.durable_index;
    out->commit_index = status.commit_index;
    out->applied_index = status.applied_index;
    out->snapshot_index = status.snapshot_index;
    out->heard_age_ms = member_age_ms(m);
    out->proposals = status.proposal_count;
    out->reads = status.read_count;
    for (size_t i = 0; i < status.config.count; i++) {
        if (status.config.servers[i].role == COORD_VOTER) {
            out->voters++;
        } else {
            out->standbys++;
        }
    }
}

static void show_counters(const struct coord_member *m, struct coord_member_metrics *out)
{
    struct coord_replica_counters counters;

    coord_replica_counters(m->replica, &counters);
    out->leader_changes = counters.leader_changes;
    out->elections = counters.elections;
    out->appended = counters.appended;
    out->applied = counters.applied;
    out->saves = counters.saves;
    out->save_failures = counters.save_failures;
    out->snapshots_made = counters.snapshots_made;
    out->snapshots_fetched = counters.snapshots_fetched;
    out->append = counters.append;
    out->links = coord_replica_link_count(m->replica);
}

void coord_member_metrics(const struct coord_member *m, struct coord_member_metrics *out)
{
    struct coord_fsm *fsm;

    *out = (struct coord_member_metrics){.state = member_state_name(m),
                                         .role = "",
                                         .heard_age_ms = UINT64_MAX,
                                         .calls = m->ask_count,
                                         .denials = m->denial_count,
                                         .command = m->command_times,
                                         .write = *coord_disk_file_writes(m->disk)};
    for (size_t i = 0; i < COORD_MEMBER_COMMAND_ENDS; i++) {
        out->commands[i] = m->command_counts[i];
    }
    out->event_streams = member_event_stream_count(m);
    if (m->replica == NULL) {
        return;
    }
    out->has_replica = true;
    show_status(m, out);
    show_counters(m, out);
    fsm = coord_replica_fsm(m->replica);
    out->sessions = coord_fsm_session_count(fsm);
    out->watch_streams = m->hub == NULL ? 0 : coord_watch_hub_count(m->hub);
    count_objects(fsm, out);
}
