#include "node/metrics/metrics.h"

#include <string.h>

#include "base/clock.h"
#include "base/size.h"
#include "node/metrics/text.h"

enum { MS_PER_S = 1000, PERCENT = 100 };

static const struct metrics_label no_label = {.name = NULL};

static struct metrics_label label(const char *name, const char *value)
{
    return (struct metrics_label){.name = name, .value = value};
}

static void one_ratio(struct metrics_text *text, const char *name, uint64_t value, uint64_t unit)
{
    metrics_family(text, name);
    metrics_ratio(text, no_label, value, unit);
}

static void one_histogram(struct metrics_text *text, const char *name,
                          const struct ray_histogram *histogram)
{
    metrics_family(text, name);
    metrics_histogram(text, histogram);
}

/* ---- the machine ---- */

static void write_process(struct metrics_text *text, const struct metrics_input *input)
{
    metrics_family(text, "rayos_info");
    metrics_labelled_twice(text, label("version", input->version), label("node", input->node), 1);
    one_ratio(text, "rayos_uptime_seconds", input->uptime_ns, RAY_NS_PER_S);
    if (input->resident_bytes != 0) {
        metrics_one(text, "rayos_process_resident_memory_bytes", input->resident_bytes);
    }
    one_ratio(text, "rayos_process_cpu_seconds_total", input->cpu_ns, RAY_NS_PER_S);
}

static void write_machine(struct metrics_text *text, const struct health_input *facts)
{
    if (facts->memory_total_bytes != 0) {
        metrics_one(text, "rayos_memory_total_bytes", facts->memory_total_bytes);
        metrics_one(text, "rayos_memory_available_bytes", facts->memory_available_bytes);
    }
    if (facts->has_space) {
        metrics_one(text, "rayos_data_total_bytes", facts->total_bytes);
        metrics_one(text, "rayos_data_free_bytes", facts->free_bytes);
    }
}

static void write_checks(struct metrics_text *text, const Rayos__Node__Health *health)
{
    metrics_family(text, "rayos_check_ok");
    for (size_t i = 0; i < health->n_checks && i < METRICS_LABELS_MAX; i++) {
        metrics_labelled(text, label("check", health->checks[i]->name),
                         strcmp(health->checks[i]->state, "ok") == 0);
    }
}

/* ---- PID 1 ---- */

static uint64_t is_ready(const Rayos__Init__Service *service)
{
    return strcmp(service->state, "ready") == 0;
}

static uint64_t starts_of(const Rayos__Init__Service *service)
{
    return service->start_count;
}

static uint64_t failures_of(const Rayos__Init__Service *service)
{
    return service->failure_count;
}

static uint64_t memory_of(const Rayos__Init__Service *service)
{
    return service->memory_bytes;
}

static void write_services(struct metrics_text *text, const Rayos__Init__Status *init)
{
    static const struct {
        const char *family;
        uint64_t (*value)(const Rayos__Init__Service *service);
    } rows[] = {{"rayos_service_ready", is_ready},
                {"rayos_service_starts_total", starts_of},
                {"rayos_service_failures_total", failures_of},
                {"rayos_service_memory_bytes", memory_of}};

    for (size_t row = 0; row < RAY_ARRAY_COUNT(rows); row++) {
        metrics_family(text, rows[row].family);
        for (size_t i = 0; i < init->n_services && i < METRICS_LABELS_MAX; i++) {
            metrics_labelled(text, label("service", init->services[i]->name),
                             rows[row].value(init->services[i]));
        }
    }
}

static void write_init(struct metrics_text *text, const Rayos__Init__Status *init)
{
    if (init->n_services > 0) {
        write_services(text, init);
    }
    if (init->n_pressures > 0) {
        metrics_family(text, "rayos_pressure_full_ratio");
    }
    for (size_t i = 0; i < init->n_pressures && i < METRICS_LABELS_MAX; i++) {
        metrics_ratio(text, label("resource", init->pressures[i]->resource),
                      init->pressures[i]->full_percent, PERCENT);
    }
    if (init->log != NULL) {
        metrics_one(text, "rayos_log_lines_total", init->log->line_count);
        metrics_one(text, "rayos_log_lines_lost_total", init->log->lost_count);
    }
}

/* ---- the member ---- */

/* One series per name, of which one is 1: an alert can name a state that was never there. */
static void write_set(struct metrics_text *text, const char *family, const char *label_name,
                      const char *const *names, size_t count, const char *now)
{
    metrics_family(text, family);
    for (size_t i = 0; i < count; i++) {
        metrics_labelled(text, label(label_name, names[i]), strcmp(names[i], now) == 0);
    }
}

static void write_standing(struct metrics_text *text, const struct coord_member_metrics *member)
{
    static const char *const states[] = {"unclaimed",   "creating", "joining", "member",
                                         "quarantined", "removed",  "failed",  "recovering"};
    static const char *const roles[] = {"leader",      "follower", "candidate", "waiting",
                                        "quarantined", "removed",  "failed"};

    write_set(text, "rayos_member_state", "state", states, RAY_ARRAY_COUNT(states), member->state);
    if (!member->has_replica) {
        return;
    }
    write_set(text, "rayos_raft_role", "role", roles, RAY_ARRAY_COUNT(roles), member->role);
    metrics_one(text, "rayos_cluster_quorate", member->is_quorate);
    metrics_one(text, "rayos_cluster_epoch", member->cluster_epoch);
    metrics_one(text, "rayos_raft_voters", member->voters);
    metrics_one(text, "rayos_raft_standbys", member->standbys);
    metrics_one(text, "rayos_raft_term", member->term);
    if (member->heard_age_ms != UINT64_MAX) {
        one_ratio(text, "rayos_raft_leader_age_seconds", member->heard_age_ms, MS_PER_S);
    }
}

static void write_raft(struct metrics_text *text, const struct coord_member_metrics *member)
{
    metrics_one(text, "rayos_raft_leader_changes_total", member->leader_changes);
    metrics_one(text, "rayos_raft_elections_total", member->elections);
    metrics_one(text, "rayos_raft_last_index", member->last_index);
    metrics_one(text, "rayos_raft_durable_index", member->durable_index);
    metrics_one(text, "rayos_raft_commit_index", member->commit_index);
    metrics_one(text, "rayos_raft_applied_index", member->applied_index);
    metrics_one(text, "rayos_raft_snapshot_index", member->snapshot_index);
    metrics_one(text, "rayos_raft_appended_entries_total", member->appended);
    metrics_one(text, "rayos_raft_applied_entries_total", member->applied);
    one_histogram(text, "rayos_raft_append_seconds", &member->append);
    one_histogram(text, "rayos_raft_write_seconds", &member->write);
    metrics_one(text, "rayos_raft_log_full", member->is_full);
    metrics_one(text, "rayos_raft_proposals", member->proposals);
    metrics_one(text, "rayos_raft_reads", member->reads);
}

static void write_commands(struct metrics_text *text, const struct coord_member_metrics *member)
{
    static const char *const ends[] = {[COORD_MEMBER_DONE] = "done",
                                       [COORD_MEMBER_REFUSED] = "refused",
                                       [COORD_MEMBER_UNSETTLED] = "unsettled"};

    metrics_family(text, "rayos_commands_total");
    for (size_t i = 0; i < COORD_MEMBER_COMMAND_ENDS; i++) {
        metrics_labelled(text, label("result", ends[i]), member->commands[i]);
    }
    one_histogram(text, "rayos_command_seconds", &member->command);
    metrics_one(text, "rayos_calls", member->calls);
}

static void write_registry(struct metrics_text *text, const struct coord_member_metrics *member)
{
    metrics_one(text, "rayos_checkpoints_total", member->saves);
    metrics_one(text, "rayos_checkpoint_failures_total", member->save_failures);
    metrics_one(text, "rayos_snapshots_made_total", member->snapshots_made);
    metrics_one(text, "rayos_snapshots_fetched_total", member->snapshots_fetched);
    metrics_one(text, "rayos_links", member->links);
    metrics_one(text, "rayos_sessions", member->sessions);
    metrics_one(text, "rayos_watch_streams", member->watch_streams);
    metrics_one(text, "rayos_event_streams", member->event_streams);
    metrics_family(text, "rayos_registry_objects");
    for (size_t i = 0; member->objects[i].name != NULL; i++) {
        metrics_labelled(text, label("kind", member->objects[i].name), member->objects[i].count);
    }
}

static void write_member(struct metrics_text *text, const struct coord_member_metrics *member)
{
    write_standing(text, member);
    if (member->has_replica) {
        write_raft(text, member);
    }
    write_commands(text, member);
    if (member->has_replica) {
        write_registry(text, member);
    }
    metrics_one(text, "rayos_policy_denials_total", member->denials);
}

int metrics_write(const struct metrics_input *input, struct ray_buf *out)
{
    struct metrics_text text;

    metrics_begin(&text, out);
    write_process(&text, input);
    write_machine(&text, input->facts);
    write_checks(&text, input->health);
    if (input->init != NULL) {
        write_init(&text, input->init);
    }
    if (input->member != NULL) {
        write_member(&text, input->member);
    }
    return text.code;
}
