/* node/metrics/families.h - what a node shows to Prometheus, and what each means. The page
 * docs/reference/metrics.md is made from it (tools/metrics_docs).
 *
 * Memory: none.  Threads: any.  Blocks: never.  Trust: ours. */
#ifndef RAY_NODE_METRICS_FAMILIES_H
#define RAY_NODE_METRICS_FAMILIES_H

/* X(name, type, label or "", help). A counter begins with the process, except of what PID 1 counts:
 * with the boot. */
#define METRICS_FAMILIES(X)                                                                        \
    X("rayos_info", "gauge", "version, node", "1; which build this is, and which node")            \
    X("rayos_uptime_seconds", "gauge", "", "Time since the machine was started.")                  \
    X("rayos_process_resident_memory_bytes", "gauge", "", "Memory of rayosd that is resident.")    \
    X("rayos_process_cpu_seconds_total", "counter", "", "CPU time that rayosd has used.")          \
    X("rayos_memory_total_bytes", "gauge", "", "Memory of the machine.")                           \
    X("rayos_memory_available_bytes", "gauge", "",                                                 \
      "Memory that can be had without pushing out what is in use.")                                \
    X("rayos_data_total_bytes", "gauge", "", "Size of the file system with the data folder.")      \
    X("rayos_data_free_bytes", "gauge", "", "Room on the file system with the data folder.")       \
    X("rayos_check_ok", "gauge", "check", "1 when this check of 'clusterctl node health' is ok.")  \
    X("rayos_service_ready", "gauge", "service", "1 when the service is ready.")                   \
    X("rayos_service_starts_total", "counter", "service", "How often it was started.")             \
    X("rayos_service_failures_total", "counter", "service", "How often it has failed.")            \
    X("rayos_service_memory_bytes", "gauge", "service", "Memory of its control group.")            \
    X("rayos_pressure_full_ratio", "gauge", "resource",                                            \
      "Share of the last 10 s in which nothing could go on for lack of it.")                       \
    X("rayos_log_lines_total", "counter", "", "Lines that PID 1's log has taken.")                 \
    X("rayos_log_lines_lost_total", "counter", "", "Lines that it could not keep.")                \
    X("rayos_member_state", "gauge", "state", "1 for the state that this node is in as a member.") \
    X("rayos_raft_role", "gauge", "role", "1 for the role that this node has in consensus.")       \
    X("rayos_cluster_quorate", "gauge", "",                                                        \
      "1 when this node has heard a leader with a majority just now.")                             \
    X("rayos_cluster_epoch", "gauge", "", "Rises when a lost majority is recovered from.")         \
    X("rayos_raft_voters", "gauge", "", "Voters of the configuration that this node has.")         \
    X("rayos_raft_standbys", "gauge", "", "Standbys of it.")                                       \
    X("rayos_raft_term", "gauge", "", "Term that this node is in.")                                \
    X("rayos_raft_leader_age_seconds", "gauge", "",                                                \
      "Time since the leader was heard, or by the leader a majority.")                             \
    X("rayos_raft_leader_changes_total", "counter", "",                                            \
      "How often a leader was known that was not known before.")                                   \
    X("rayos_raft_elections_total", "counter", "", "Elections that this node began.")              \
    X("rayos_raft_last_index", "gauge", "", "Last entry of the log here.")                         \
    X("rayos_raft_durable_index", "gauge", "", "Last entry that is on stable storage here.")       \
    X("rayos_raft_commit_index", "gauge", "", "Last entry that this node knows as committed.")     \
    X("rayos_raft_applied_index", "gauge", "",                                                     \
      "Last entry that the registry shows here: its revision.")                                    \
    X("rayos_raft_snapshot_index", "gauge", "", "Last entry in the snapshot on the disk.")         \
    X("rayos_raft_appended_entries_total", "counter", "", "Entries appended to the log here.")     \
    X("rayos_raft_applied_entries_total", "counter", "", "Entries applied to the registry here.")  \
    X("rayos_raft_append_seconds", "histogram", "",                                                \
      "From an entry's append until it is on stable storage here.")                                \
    X("rayos_raft_write_seconds", "histogram", "",                                                 \
      "One write of the log's disk, until it is on stable storage.")                               \
    X("rayos_raft_log_full", "gauge", "", "1 when the log takes nothing more for lack of room.")   \
    X("rayos_raft_proposals", "gauge", "", "Commands under way at this node.")                     \
    X("rayos_raft_reads", "gauge", "", "Linearizable reads under way at this node.")               \
    X("rayos_commands_total", "counter", "result",                                                 \
      "Commands of callers that have ended: done, refused, unsettled.")                            \
    X("rayos_command_seconds", "histogram", "",                                                    \
      "From a caller's command until its end is known here.")                                      \
    X("rayos_calls", "gauge", "", "Calls that wait for an answer of the cluster.")                 \
    X("rayos_checkpoints_total", "counter", "", "Checkpoints that were written.")                  \
    X("rayos_checkpoint_failures_total", "counter", "", "Checkpoints that could not be written.")  \
    X("rayos_snapshots_made_total", "counter", "", "Snapshots that were made here.")               \
    X("rayos_snapshots_fetched_total", "counter", "", "Snapshots that came from another member.")  \
    X("rayos_links", "gauge", "", "Nodes that there is a link to.")                                \
    X("rayos_sessions", "gauge", "", "Sessions that the registry has open.")                       \
    X("rayos_watch_streams", "gauge", "", "Streams of changes that this node serves.")             \
    X("rayos_event_streams", "gauge", "", "Streams of events that this node serves.")              \
    X("rayos_registry_objects", "gauge", "kind", "Objects of the registry, as it is here.")        \
    X("rayos_policy_denials_total", "counter", "", "What rules denied to callers of this node.")

#define METRICS_FAMILY_ONE(name, type, label, help) +1
enum { METRICS_FAMILY_COUNT = METRICS_FAMILIES(METRICS_FAMILY_ONE) };
#undef METRICS_FAMILY_ONE

#endif
