/* node/init/system/crash.h - how the previous boot ended, and what it left behind, kept below
 * crash/<boot id>/ of the data folder.
 *
 * PID 1 writes log/boot-state at start ({"boot_id","state":"running"}), updates it with each
 * marker, and sets it to "clean" as its last act. Whatever else is found there at the next
 * boot was a crash. A folder is made whole under a temporary name, then renamed.
 * Memory: none kept.  Threads: PID 1's.  Blocks: on the disk, bounded by the size limits.
 * Trust: boot-state, log and pstore records may be torn or foreign: bounded, copied as
 * bytes; the boot id is checked before it becomes a folder's name. */
#ifndef RAY_NODE_INIT_SYSTEM_CRASH_H
#define RAY_NODE_INIT_SYSTEM_CRASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/log.h"
#include "base/marker.h"

#define INIT_CRASH_STATE_FILE "log/boot-state"

enum {
    INIT_BOOT_ID_SIZE = 37, /* "xxxxxxxx-xxxx-...", with NUL */
    INIT_CRASH_FOLDER_COUNT_MAX = 16,
    INIT_CRASH_PSTORE_COUNT_MAX = 64,
    INIT_CRASH_PSTORE_SIZE_MAX = 4 * 1024 * 1024, /* all records together */
    INIT_CRASH_LOG_TAIL_SIZE_MAX = 256 * 1024,
};

enum init_end {
    INIT_END_FIRST_BOOT, /* no boot before this one on this disk */
    INIT_END_CLEAN,
    INIT_END_DIRTY,    /* power cut or reset: it just stopped */
    INIT_END_WATCHDOG, /* the hardware watchdog bit */
    INIT_END_PANIC,    /* pstore holds records of a panic or oops */
};
const char *init_end_word(enum init_end end); /* "clean", "dirty", "watchdog", ... */

struct init_crash_inputs {
    int data_fd;
    int root_fd;                  /* for sys/fs/pstore */
    const char *boot_id;          /* of this boot, to tell it from the previous */
    uint32_t watchdog_bootstatus; /* WDIOF_*; 0: none or unknown */
    const char *log_name;         /* "log/rayos.log", relative to data_fd */
    bool is_volatile;             /* data_fd is in RAM: pstore records are copied, not moved */
};

struct init_crash_report {
    enum init_end end;
    bool has_folder;
    char folder[INIT_BOOT_ID_SIZE];           /* below crash/; detail of RAYOS_LOG:crash:<folder> */
    char previous_boot_id[INIT_BOOT_ID_SIZE]; /* "" when unknown */
    char last_marker[RAY_MARKER_LINE_SIZE_MAX];
    size_t pstore_count; /* stored, then unlinked */
};

/* Decides, collects, prunes to INIT_CRASH_FOLDER_COUNT_MAX. Call before
 * init_crash_begin of this boot and before the log of this boot is written to. When the
 * folder cannot be written (disk full), pstore records stay where they are. */
int init_crash_collect(const struct init_crash_inputs *inputs, struct ray_logger *logger,
                       struct init_crash_report *out, struct ray_err *err);

/* This boot's state. mark is called with each marker line; end as the last act. */
int init_crash_begin(int data_fd, const char *boot_id, struct ray_err *err);
int init_crash_mark(int data_fd, const char *boot_id, const char *marker_line, struct ray_err *err);
int init_crash_end(int data_fd, const char *boot_id, struct ray_err *err);

/* Pure, exported for tests: is this a boot id as the kernel prints it? */
bool init_crash_is_boot_id(const char *text);

#endif
