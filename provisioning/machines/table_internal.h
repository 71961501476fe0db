/* provisioning/machines/table_internal.h - what the table's parts share. Private.
 *
 *   table.c         life, slots
 *   table_machine.c what machines do
 *   table_operator.c what operators do
 *   table_query.c   reading: find, decide, statistics
 *   table_load.c    the folder at start
 *   table_batch.c   copies of what is dirty, and their way to the disk
 *   table_write.c   when, and who hears of it
 *
 * Memory: all is the table's.  Threads: the loop's; a batch that is being written belongs to
 * the thread pool and shares nothing with the table but the folder's descriptor.
 * Blocks: see table.h.  Trust: see table.h. */
#ifndef RAY_PROVISIONING_MACHINES_TABLE_INTERNAL_H
#define RAY_PROVISIONING_MACHINES_TABLE_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/loop.h"
#include "provisioning/machines/table.h"

#define TABLE_FOLDER "machines"
#define TABLE_GROUPS_FILE "groups.json"

enum {
    TABLE_FILE_NAME_SIZE = PROVISION_MAC_TEXT_SIZE + 5, /* "52-54-00-77-00-15.json" */
    TABLE_REMOVAL_COUNT_MAX = PROVISION_TABLE_MACHINE_COUNT_MAX,
    TABLE_GOOD_COUNT_MAX = 256,
};

/* `urgent` of what is dirty: the operator's change that waits for it, 0 none. */
struct table_slot {
    struct provision_record record;
    bool is_dirty;
    bool may_have_file; /* written, or on its way */
    uint64_t urgent;
    /* In the list of those that may give way, by when they were last heard of. */
    bool is_listed;
    struct table_slot *older;
    struct table_slot *newer;
};

/* A file that must go. */
struct table_removal {
    struct provision_mac mac;
    bool is_in_flight;
    uint64_t urgent;
};

/* When an image was last good on any machine. */
struct table_good {
    char image_id[PROVISION_SHA256_TEXT_SIZE];
    uint64_t good_us;
};

struct table_job;

struct provision_table {
    struct ray_loop *loop; /* NULL: written only by flush */
    struct provision_table_config config;
    int dir_fd;                                                  /* DIR/machines */
    struct table_slot *slots[PROVISION_TABLE_MACHINE_COUNT_MAX]; /* by MAC */
    size_t slot_count;
    struct table_slot *oldest;
    struct table_slot *newest;
    struct provision_group groups[PROVISION_TABLE_GROUP_COUNT_MAX]; /* by name */
    size_t group_count;
    bool groups_are_dirty;
    uint64_t groups_urgent;
    struct table_removal removals[TABLE_REMOVAL_COUNT_MAX];
    size_t removal_count;
    struct table_good goods[TABLE_GOOD_COUNT_MAX];
    size_t good_count;
    uint64_t change;       /* of operators, counted */
    size_t next_slot;      /* where the next batch begins to look */
    struct table_job *job; /* in the pool; NULL none */
    struct provision_table_sync *syncs;
    struct ray_timer flush_timer;
    struct ray_timer expire_timer;
    bool is_failing; /* the last batch was not written whole */
    bool has_said_full;
    struct provision_table_stats stats; /* only the counters that grow */
};

/* "52-54-00-77-00-15.json"; returns `out`. */
const char *table_file_name(const struct provision_mac *mac, char out[static TABLE_FILE_NAME_SIZE]);

void table_problem(struct provision_table *table, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Where the MAC is, or would be. */
size_t table_position(const struct provision_table *table, const struct provision_mac *mac,
                      bool *out_is_found);
/* Takes the slot over and puts it at `position`. */
void table_insert(struct provision_table *table, struct table_slot *slot, size_t position);
/* Puts the slot at the new end of the list of those that may give way, or takes it out. */
void table_place(struct provision_table *table, struct table_slot *slot);
void table_note_good(struct provision_table *table, const char *image_id, uint64_t good_us);
/* NULL: not known. */
struct table_slot *table_find_slot(const struct provision_table *table,
                                   const struct provision_mac *mac);
/* The slot of a MAC, made when there is none. RAY_ENOSPC, RAY_ENOMEM. */
int table_touch(struct provision_table *table, const struct provision_mac *mac,
                const struct provision_time *now, struct table_slot **out_slot,
                struct ray_err *err);
/* The record has changed since its timeline ended at sequence `before`. */
void table_changed(struct provision_table *table, struct table_slot *slot, uint64_t before);
/* Takes the slot out of the table; its file goes with the next batch. RAY_ENOSPC: too many
 * files wait for that. */
int table_drop_slot(struct provision_table *table, struct table_slot *slot, uint64_t urgent);
/* Ends of tries come from a timer while there are open ones. */
void table_watch_tries(struct provision_table *table);

/* Loads the folder. What is damaged is set aside. */
int table_load(struct provision_table *table, struct ray_err *err);

void table_on_flush_timer(void *table);
/* Something is dirty: it will be written. */
void table_wake_writer(struct provision_table *table);
/* Takes the removal of a MAC back; true when there was one. *io_urgent becomes its, if older. */
bool table_cancel_removal(struct provision_table *table, const struct provision_mac *mac,
                          uint64_t *io_urgent);
/* Answers the syncs that still wait. */
void table_end_syncs(struct provision_table *table, const struct ray_err *err);

#endif
