/* tests/sim/disk.h - one machine's disk as struct coord_disk: it outlives the processes that use
 * it, and it tears, loses, rots, fills up, fails and stalls.
 *
 * What a write under way leaves at a power cut: nothing, all of it, or any subset of its
 * 512-byte sectors; each write for itself. Names are made, changed and removed whole. A killed
 * process alone tears nothing: its writes happen whole or not at all. The memory of a write must
 * stay as it was until its callback: that is checked.
 *
 * Memory: create and destroy; sim_disk_open's result belongs to one life of a process and goes
 * with its own destroy.  Threads: one.  Blocks: never.  Trust: none. */
#ifndef RAY_TESTS_SIM_DISK_H
#define RAY_TESTS_SIM_DISK_H

#include <stdbool.h>
#include <stdint.h>

#include "coordinator/store/disk.h"
#include "tests/sim/world.h"

struct sim_disk_config {
    uint64_t delay_ns; /* of every write, at least */
    uint64_t jitter_ns;
    uint32_t stall_ppm; /* of writes that take up to stall_ns */
    uint64_t stall_ns;
    uint64_t capacity;  /* bytes of all files; UINT64_MAX: no limit */
    uint32_t error_ppm; /* of writes and creations: RAY_EIO */
};

struct sim_disk;

struct sim_disk *sim_disk_create(struct sim_world *world, const struct sim_disk_config *config);
/* After sim_world_drain. */
void sim_disk_destroy(struct sim_disk *disk);
void sim_disk_set_config(struct sim_disk *disk, const struct sim_disk_config *config);
const struct sim_disk_config *sim_disk_config(const struct sim_disk *disk);

struct coord_disk *sim_disk_open(struct sim_disk *disk, struct sim_proc *proc);
/* The process is gone: settles what was under way. Then its coord_disk is destroyed. */
void sim_disk_crash(struct sim_disk *disk, bool is_power_cut);

/* The power fails within the process's `count`th next write_now or creation of a write: the
 * process becomes a ghost (world.h). 0: never. */
void sim_disk_cut_within(struct sim_disk *disk, uint64_t count);

/* Flips one bit, or makes a block unreadable, in a file whose name begins with `prefix`, in a
 * block that was written a while ago: of the writes of files with the same first letter, the
 * `age`th that began after it was done is done. False: there is none. */
bool sim_disk_rot(struct sim_disk *disk, const char *prefix, uint64_t age, bool is_unreadable);
/* Heals what was made unreadable (the medium only; the bytes are what they were). */
void sim_disk_heal(struct sim_disk *disk);
/* Everything is gone. While no process uses it. */
void sim_disk_wipe(struct sim_disk *disk);
/* `to` becomes what `from` has on stable storage. */
void sim_disk_clone(const struct sim_disk *from, struct sim_disk *to);

uint64_t sim_disk_write_count(const struct sim_disk *disk);
bool sim_disk_is_empty(const struct sim_disk *disk);

#endif
