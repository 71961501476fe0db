/* node/init/system/kmodule.h - kernel modules by name, by alias, and for all the hardware
 * that is there (coldplug), with their dependencies, by libkmod.
 *
 * Memory: struct init_kmodule is created and destroyed here.  Threads: the object belongs
 * to one; coldplug uses a bounded number of short-lived threads with contexts of their own
 * and has joined them when it returns.  Blocks: while the kernel unpacks and starts a
 * module (tens of milliseconds; a bad driver: longer).
 * Trust: aliases come from the kernel, names from the kernel's request_module; both are
 * only looked up in the image's own index, never used as a path. */
#ifndef RAY_NODE_INIT_SYSTEM_KMODULE_H
#define RAY_NODE_INIT_SYSTEM_KMODULE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/log.h"
#include "node/init/system/kmodule_scan.h"

struct init_kmodule;

struct init_kmodule_summary {
    size_t alias_count;  /* distinct modaliases seen */
    size_t module_count; /* distinct modules wanted, without dependencies */
    size_t failed_count; /* the kernel refused them; logged */
};

enum { INIT_KMODULE_THREAD_COUNT_MAX = 8 };

/* `dir` NULL: /usr/lib/modules/<running kernel>. */
int init_kmodule_create(const char *dir, struct init_kmodule **out, struct ray_err *err);
void init_kmodule_destroy(struct init_kmodule *kmodule);

/* A module name or any alias of one. RAY_OK also when it is loaded or built in;
 * RAY_ENOTFOUND: the image has none. */
int init_kmodule_load(struct init_kmodule *kmodule, const char *name, struct ray_err *err);

/* Loads all of `names` (modules, without dependencies) on at most `thread_count` threads,
 * the caller's among them; 0: as many as CPUs. What the kernel refuses is logged at
 * `fail_level` and counted. RAY_ENOMEM: nobody could work. */
int init_kmodule_load_names(struct init_kmodule *kmodule, const struct init_kmodule_names *names,
                            size_t thread_count, enum ray_log_level fail_level,
                            struct ray_logger *logger, size_t *out_failed_count,
                            struct ray_err *err);

/* Adds the modules that `alias` asks for, that are not in the kernel, and whose path below
 * the index's folder `accepts` (NULL: all): "kernel/fs/xfs/xfs.ko.xz". */
int init_kmodule_resolve(struct init_kmodule *kmodule, const char *alias,
                         bool (*accepts)(const char *path), struct init_kmodule_names *out,
                         struct ray_err *err);

/* The rest is in kmodule_coldplug.c. A boot goes in three steps: listed, coldplug (what
 * leads to disks, network, watchdog), and coldplug_rest, which may run beside everything
 * else (init_hotplug_enable_loading starts it). */

/* Modules that no modalias asks for in time: watchdogs, xfs, bridge, and with EFI efivarfs
 * and efi_pstore; beside them, on the other CPUs, what coldplug would load for the devices
 * that show by now. What the image or the machine lacks is skipped. `root_fd` is "/". */
int init_kmodule_load_listed(struct init_kmodule *kmodule, int root_fd, struct ray_logger *logger,
                             struct init_kmodule_summary *out, struct ray_err *err);

/* Reads every modalias below sys/devices of `root_fd` and loads the drivers of storage,
 * network and their buses that match; after listed only those of devices that came since,
 * behind a bus that listed has brought up. `thread_count` 0: as many as CPUs, at most
 * INIT_KMODULE_THREAD_COUNT_MAX. */
int init_kmodule_coldplug(struct init_kmodule *kmodule, int root_fd, size_t thread_count,
                          struct ray_logger *logger, struct init_kmodule_summary *out,
                          struct ray_err *err);

/* All other drivers that match (displays, input, KVM, sensors, ...), and what guests need
 * without any alias: tun, vhost. One module after the other. */
int init_kmodule_coldplug_rest(struct init_kmodule *kmodule, int root_fd, struct ray_logger *logger,
                               struct init_kmodule_summary *out, struct ray_err *err);

/* Pure: does a boot wait for the module with this path? */
bool init_kmodule_is_wanted_early(const char *path);

/* Makes usr/lib/rayos/modprobe a link to `program` and tells the kernel to call that when
 * it wants a module itself (request_module: nft, dm, crypto, file systems). */
int init_kmodule_install_helper(int root_fd, const char *program, struct ray_err *err);

/* `modprobe [-q] [-a] [--] NAME...`: what the kernel runs. A program whose argv[0] ends in
 * "modprobe" and which is not PID 1 must return this from main before anything else. */
int init_modprobe_main(int argc, char **argv);

#endif
