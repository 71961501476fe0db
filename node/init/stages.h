/* node/init/stages.h - the stages of boot by name, in several files; stages.c has the table.
 *
 * Each gets struct init as `arg`. Memory: see init.h.  Threads: those that the table says run
 * on a thread write only the members that their comment names.  Blocks: only those.
 * Trust: see the modules that they call. */
#ifndef RAY_NODE_INIT_STAGES_H
#define RAY_NODE_INIT_STAGES_H

#include "base/err.h"
#include "node/init/init.h"

#define STAGE_RTC_PATH "/dev/rtc0"

enum { STAGE_ENTROPY_WAIT_MS = 60000 };

/* stages.c */
int stage_root(void *arg, struct ray_err *err);
int stage_console(void *arg, struct ray_err *err);
int stage_clock(void *arg, struct ray_err *err);
int stage_cgroups(void *arg, struct ray_err *err);
int stage_sysctls(void *arg, struct ray_err *err);
int stage_cmdline(void *arg, struct ray_err *err);
int stage_control(void *arg, struct ray_err *err);
int stage_services(void *arg, struct ray_err *err);
void stage_log_clock(struct init *init, const struct init_clock_decision *decision);

/* stage_devices.c */
int stage_hotplug(void *arg, struct ray_err *err);
int stage_first_modules(void *arg, struct ray_err *err);
int stage_modules(void *arg, struct ray_err *err);
int stage_watchdog(void *arg, struct ray_err *err);
int stage_late_mounts(void *arg, struct ray_err *err);
int stage_coldplug(void *arg, struct ray_err *err);
int stage_devices(void *arg, struct ray_err *err);
int stage_credentials(void *arg, struct ray_err *err);

/* stage_pressure.c */
int stage_pressure(void *arg, struct ray_err *err);

/* stage_network.c */
int stage_network(void *arg, struct ray_err *err);

/* stage_data.c */
int stage_search(void *arg, struct ray_err *err);
int stage_data(void *arg, struct ray_err *err);
int stage_entropy(void *arg, struct ray_err *err);
int stage_identity(void *arg, struct ray_err *err);
void stage_data_done(void *arg, int rc);
void stage_identity_done(void *arg, int rc);

#endif
