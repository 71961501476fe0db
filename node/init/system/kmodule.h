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

#include <stddef.h>

#include "base/err.h"
#include "base/log.h"

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

/* Modules that no modalias asks for in time: the watchdog core and its drivers, efivarfs,
 * efi_pstore, ramoops, KVM for this CPU with nesting, tun, vhost, bridge, ... What the image
 * or the machine lacks is skipped without a word above debug. `root_fd` is "/" (reads
 * proc/cpuinfo). */
int init_kmodule_load_listed(struct init_kmodule *kmodule, int root_fd, struct ray_logger *logger,
                             struct init_kmodule_summary *out, struct ray_err *err);

/* Reads every modalias below sys/devices of `root_fd` and loads what matches.
 * `thread_count` 0: as many as CPUs, at most INIT_KMODULE_THREAD_COUNT_MAX. */
int init_kmodule_coldplug(struct init_kmodule *kmodule, int root_fd, size_t thread_count,
                          struct ray_logger *logger, struct init_kmodule_summary *out,
                          struct ray_err *err);

/* Makes usr/lib/rayos/modprobe a link to `program` and tells the kernel to call that when
 * it wants a module itself (request_module: nft, dm, crypto, file systems). */
int init_kmodule_install_helper(int root_fd, const char *program, struct ray_err *err);

/* `modprobe [-q] [-a] [--] NAME...`: what the kernel runs. A program whose argv[0] ends in
 * "modprobe" and which is not PID 1 must return this from main before anything else. */
int init_modprobe_main(int argc, char **argv);

#endif
