/* provisioning/machines/table.h - all machines that were ever seen, and the groups; in memory,
 * and durable below DIR/machines: <mac>.json and groups.json.
 *
 * Each file is replaced atomically, so a power cut leaves the old or the new record. Changes are
 * written together at most a second later, in libuv's thread pool: the loop never waits for the
 * disk. Operators' changes are acknowledged through provision_table_sync, when they are
 * durable. A file that cannot be read is set aside as <name>.damaged and reported.
 * Memory: create/destroy; records are the table's and stay where they are until the machine is
 * forgotten or gives way (only in calls that take a MAC); about 10 KiB each.
 * Threads: the loop's.  Blocks: create (reads all files), flush and destroy (write all that
 * is left); the others never.
 * Trust: MACs and facts are foreign and may come in floods: there are at most
 * PROVISION_TABLE_MACHINE_COUNT_MAX records, and only ones of which no operator has said
 * anything give way. Files are ours, but a hostile one only becomes damaged. */
#ifndef RAY_PROVISIONING_MACHINES_TABLE_H
#define RAY_PROVISIONING_MACHINES_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/loop.h"
#include "provisioning/machines/assign.h"
#include "provisioning/machines/filter.h"
#include "provisioning/machines/hello.h"
#include "provisioning/machines/record.h"

enum {
    PROVISION_TABLE_MACHINE_COUNT_MAX = 4096,
    PROVISION_TABLE_GROUP_COUNT_MAX = 256,
    PROVISION_TABLE_FLUSH_AFTER_MS = 1000,
};

struct provision_table;

struct provision_table_config {
    const char *dir; /* the state folder; borrowed until create returns */
    /* A damaged file, a failed write and its end, a full table: a line for the log. May be
     * NULL. */
    void (*on_problem)(void *arg, const char *text);
    /* Something was added to a timeline (`machine watch`, metrics). May be NULL. Must not call
     * the table. */
    void (*on_event)(void *arg, const struct provision_record *record,
                     const struct provision_record_event *event);
    void *arg;
};

struct provision_group {
    char name[PROVISION_RECORD_NAME_SIZE];
    struct provision_assignment assignment; /* is_set */
};

/* `loop` may be NULL: then nothing is written before flush or destroy, and
 * provision_table_expire is the caller's to call. RAY_OK also with damaged files; fails when the
 * folder cannot be made or read, or memory is short. */
int provision_table_create(struct provision_table **out_table, struct ray_loop *loop,
                           const struct provision_table_config *config, struct ray_err *err);
/* Writes what is left, then frees; waiting syncs get RAY_OK or what the disk said. */
void provision_table_destroy(struct provision_table *table);

/* ---- reading ---- */

size_t provision_table_count(const struct provision_table *table);
/* In the order of the MACs. index < count. */
const struct provision_record *provision_table_at(const struct provision_table *table,
                                                  size_t index);
/* NULL: not known. */
const struct provision_record *provision_table_find(const struct provision_table *table,
                                                    const struct provision_mac *mac);
/* By MAC, or by the operator's name, or by the name that the node says when only one machine has
 * it. RAY_ENOTFOUND, RAY_ECONFLICT (several). */
int provision_table_resolve(const struct provision_table *table, const char *text,
                            const struct provision_record **out, struct ray_err *err);

size_t provision_table_group_count(const struct provision_table *table);
const struct provision_group *provision_table_group_at(const struct provision_table *table,
                                                       size_t index); /* by name */
const struct provision_group *provision_table_group_find(const struct provision_table *table,
                                                         const char *name);

/* What this machine gets now. Sets good_us of the images from all records. */
void provision_table_decide(const struct provision_table *table, const struct provision_mac *mac,
                            struct provision_candidate *images, size_t image_count,
                            struct provision_decision *out);

/* Whether an assignment names the image, or a machine was given it since `since_us`: what the
 * store must not collect. */
bool provision_table_uses_image(const struct provision_table *table, const char *image_id,
                                uint64_t since_us);

struct provision_table_stats {
    size_t machine_count;
    size_t outcome_counts[PROVISION_OUTCOME_COUNT];
    size_t known_count; /* an operator has said something of it */
    size_t group_count;
    size_t dirty_count;                                       /* not yet durable */
    uint64_t event_counts[PROVISION_RECORD_EVENT_KIND_COUNT]; /* these since create */
    uint64_t good_count;                                      /* tries that ended good */
    uint64_t damaged_file_count;                              /* set aside */
    uint64_t given_way_count;                                 /* records that made room */
    uint64_t turned_away_count;   /* machines for which there was none */
    uint64_t write_count;         /* files written */
    uint64_t write_failure_count; /* tried again later */
};

void provision_table_stats(const struct provision_table *table, struct provision_table_stats *out);

/* ---- what machines do; the record is made when there is none ---- */

/* These return RAY_OK, or RAY_ENOSPC when the table is full of machines that operators know,
 * or RAY_ENOMEM: the machine is then served all the same, it only is not listed. */
int provision_table_note(struct provision_table *table, const struct provision_mac *mac,
                         enum provision_record_event_kind kind, const char *detail,
                         const struct provision_time *now);
int provision_table_learn(struct provision_table *table, const struct provision_mac *mac,
                          const struct provision_record_facts *facts,
                          const struct provision_time *now);
/* A decision has reached the machine: its script was sent whole (`how` is SCRIPT), or the firmware
 * began to fetch the image by itself (IMAGE_START, from its first byte; not for the HEAD before
 * it). A BOOT begins a try, a fallback is said in the timeline. */
int provision_table_served(struct provision_table *table, const struct provision_mac *mac,
                           const struct provision_decision *decision,
                           enum provision_record_event_kind how, const struct provision_time *now);
int provision_table_image_start(struct provision_table *table, const struct provision_mac *mac,
                                const struct provision_time *now);
int provision_table_image_done(struct provision_table *table, const struct provision_mac *mac,
                               const struct provision_time *now);
int provision_table_image_broken(struct provision_table *table, const struct provision_mac *mac,
                                 const char *why, const struct provision_time *now);
int provision_table_hello(struct provision_table *table, const struct provision_hello *hello,
                          const struct provision_time *now);
/* Ends tries that took too long. Called by the table's own timer when it has a loop. */
void provision_table_expire(struct provision_table *table, const struct provision_time *now);

/* ---- what operators do; durable when provision_table_sync says so ---- */

/* is_set false takes the assignment away. The assigned image gets new tries. A machine that was
 * never seen is made. RAY_EINVAL, RAY_ENOSPC, RAY_ENOMEM. */
int provision_table_assign(struct provision_table *table, const struct provision_mac *mac,
                           const struct provision_assignment *assignment,
                           const struct provision_time *now, struct ray_err *err);
/* "" takes it away. RAY_EEXISTS when another machine has that name. */
int provision_table_set_name(struct provision_table *table, const struct provision_mac *mac,
                             const char *name, const struct provision_time *now,
                             struct ray_err *err);
/* A group is a label; it need not have an assignment (yet). "" takes the machine out. */
int provision_table_set_group(struct provision_table *table, const struct provision_mac *mac,
                              const char *group, const struct provision_time *now,
                              struct ray_err *err);
/* Sets or (is_set false) clears what machines with this label get. */
int provision_table_group_assign(struct provision_table *table, const char *group,
                                 const struct provision_assignment *assignment,
                                 const struct provision_time *now, struct ray_err *err);
/* Forgets that tries of its images failed: they get new ones. RAY_ENOTFOUND. */
int provision_table_retry(struct provision_table *table, const struct provision_mac *mac,
                          const struct provision_time *now, struct ray_err *err);
/* Why the operator did it, into the timeline. RAY_ENOTFOUND. */
int provision_table_note_reason(struct provision_table *table, const struct provision_mac *mac,
                                const char *reason, const struct provision_time *now,
                                struct ray_err *err);
/* Record and file. RAY_ENOTFOUND. The machine is unknown when it comes back. */
int provision_table_forget(struct provision_table *table, const struct provision_mac *mac,
                           struct ray_err *err);

/* Caller's memory, at its address until the callback or cancel. */
struct provision_table_sync {
    void (*cb)(void *arg, const struct ray_err *err); /* err->code RAY_OK: durable */
    void *arg;
    uint64_t change;                   /* private: up to which change it waits */
    struct provision_table_sync *next; /* private */
};

/* Calls back once, perhaps before it returns, when all changes that operators made so far are
 * durable or their write has failed (they are kept in memory and tried again). Needs a loop. */
void provision_table_sync(struct provision_table *table, struct provision_table_sync *sync);
void provision_table_sync_cancel(struct provision_table *table, struct provision_table_sync *sync);
/* Everything, at once and blocking. */
int provision_table_flush(struct provision_table *table, struct ray_err *err);

#endif
