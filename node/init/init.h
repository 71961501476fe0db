/* node/init/init.h - PID 1 as a whole: all its modules in one struct, wired together in init.c.
 *
 * Memory: one struct init, static in main.c.  Threads: everything here belongs to the loop's;
 * thread stages of boot (stages.c) write only the members that their comment names, and those
 * are read by others only after the stage's `done`.
 * Blocks: see the modules.  Trust: see the modules. */
#ifndef RAY_NODE_INIT_INIT_H
#define RAY_NODE_INIT_INIT_H

#include <stdbool.h>

#include "base/log.h"
#include "base/loop.h"
#include "net/rpc.h"
#include "node/init/boot.h"
#include "node/init/disks.h"
#include "node/init/job.h"
#include "node/init/kernel_log.h"
#include "node/init/log_tail.h"
#include "node/init/marker_sink.h"
#include "node/init/member.h"
#include "node/init/notify_server.h"
#include "node/init/persist_log.h"
#include "node/init/power_button.h"
#include "node/init/pressure.h"
#include "node/init/prompt.h"
#include "node/init/reaper.h"
#include "node/init/screen.h"
#include "node/init/shutdown.h"
#include "node/init/supervise.h"
#include "node/init/system/boot_facts.h"
#include "node/init/system/cgroup.h"
#include "node/init/system/core_pattern.h"
#include "node/init/system/crash.h"
#include "node/init/system/data_disk.h"
#include "node/init/system/hotplug.h"
#include "node/init/system/identity.h"
#include "node/init/system/kmodule.h"
#include "node/init/system/net_setup.h"
#include "node/init/system/rtc_clock.h"
#include "node/init/system/smbios.h"
#include "node/init/timeline.h"
#include "node/init/watchdog.h"

enum init_state {
    INIT_BOOTING,
    INIT_RUNNING, /* subsystems are up */
    INIT_READY,
    INIT_STOPPING,
    INIT_EMERGENCY, /* a fatal stage failed: only the prompt and the way down */
};

enum {
    INIT_PATH_SIZE_MAX = 256,
    INIT_METHOD_COUNT_MAX = 24,
    INIT_STOP_REASON_SIZE_MAX = 128,
    INIT_HEALTH_LOG_MS = 60000,    /* the log's writer may hang so long before the watchdog */
    INIT_HEALTH_WEDGED_MS = 60000, /* and a killed needed service may not die so long */
    INIT_EMERGENCY_REBOOT_MS = 300000,
    INIT_SEEN_CLOCK_MS = 300000,
    INIT_SOCKET_RETRY_MS = 2000,
    INIT_PRESSURE_TOP_COUNT = 3, /* so many groups are named when pressure is high */
    INIT_START_COUNT = 10,       /* tries to make the core, a second apart */
    INIT_CAD_FORCED_COUNT = 7,   /* Ctrl-Alt-Del so often within 2 s reboots at once */
};

/* The newest lines of the log that tell of trouble, for the status screen. */
struct status_problems {
    uint64_t seen_line_count;
    char lines[STATUS_PROBLEM_COUNT_MAX][STATUS_PROBLEM_SIZE_MAX];
    size_t count;
};

struct init {
    const char *root; /* "" on a node; the folder of hosted mode */
    bool is_hosted;
    int root_fd;
    enum init_state state;
    char run_path[INIT_PATH_SIZE_MAX];
    char notify_path[INIT_PATH_SIZE_MAX];
    char control_path[INIT_PATH_SIZE_MAX];

    struct ray_loop loop;
    struct ray_logger logger;
    struct timeline timeline;
    struct persist_log log;
    struct marker_sink sink;
    struct kernel_log kernel_log;
    struct log_tails log_tails; /* who reads the logs from outside */
    struct reaper reaper;
    struct watchdog watchdog;
    struct supervise supervise;
    struct notify_server notify;
    struct ray_rpc_server *control;
    struct ray_rpc_method methods[INIT_METHOD_COUNT_MAX]; /* of the control socket */
    struct pressure pressure;
    struct power_buttons power;
    struct prompt prompt;
    struct screen screen;
    struct status_problems problems;
    char stop_reason[INIT_STOP_REASON_SIZE_MAX]; /* "reboot: asked for at the prompt" */
    const char *fatal_stage;                     /* of the emergency; a literal of the table */
    uint64_t emergency_reboot_ns;                /* CLOCK_BOOTTIME */
    struct job job;                              /* of the prompt */
    struct disks disks;
    struct terminal *job_terminal; /* who asked for it */
    struct shutdown shutdown;
    struct boot boot;
    struct ray_signal signals[6];
    struct ray_timer emergency;
    struct ray_timer socket_retry;
    struct ray_timer seen_clock; /* records the time now and then, against a dead RTC */
    uv_work_t seen_clock_work;
    bool seen_clock_busy;
    uint64_t cad_first_ns;
    unsigned cad_count;
    bool is_all_ready; /* of the services */

    struct init_cgroup cgroup;
    struct init_cmdline cmdline;
    enum init_cores cores; /* of the command line */
    uint32_t watchdog_timeout_s;
    struct init_kmodule *kmodule; /* thread stages modules and coldplug */
    struct init_hotplug *hotplug;
    struct init_credentials credentials;
    struct init_boot_facts facts; /* boot_counter: thread stage identity */
    struct init_net *net;
    uint64_t dhcp_begin_us; /* 0: no card yet */
    struct init_lease lease;
    struct init_data_search *search;
    struct init_data_found found;
    struct init_data data;          /* thread stage data */
    bool has_data;                  /* it is done */
    struct init_crash_report crash; /* thread stage data */
    bool has_crash_report;
    unsigned crashes_call_count;   /* init.crashes under way on threads */
    bool is_provision_busy;        /* its configuration is being written on a thread */
    bool is_boot_image_busy;       /* its disk is looked at on a thread */
    struct init_identity identity; /* thread stage identity */
    bool has_identity;
    struct init_member member; /* thread stage identity */
};

/* Wires all up. Fails only without memory or descriptors for the core: loop, log, sinks,
 * supervision, shutdown, boot; init_fini, then try again. */
int init_start(struct init *init, const char *root, bool is_hosted, struct ray_err *err);
/* Frees all; safe after a failed start and on a zeroed struct. */
void init_fini(struct init *init);
/* Turns the loop for ever, or until a hosted shutdown is over. */
void init_run(struct init *init);

/* The table of boot (stages.c). */
const struct boot_stage *init_stages(size_t *out_count);

const char *init_state_name(enum init_state state);
const char *init_node_name(const struct init *init); /* "unnamed" before there is one */
/* What rayosd says of its part in a cluster; "": nothing, or it is not ready. */
const char *init_cluster_standing(struct init *init);
int init_shutdown(struct init *init, enum shutdown_mode mode, const char *reason,
                  struct ray_err *err);

/* down.c: for shutdown_config, power_buttons_init and init_start */
void init_save_state(void *arg);
void init_close_files(void *arg);
void init_over(void *arg, enum shutdown_mode mode);
void init_power_button(void *arg);
void init_take_signals(struct init *init);

/* For a timer: sockets that could not be opened at boot (stages.c). */
void init_retry_sockets(void *arg);

/* init.c; safe to call again */
void init_start_screen(struct init *init);

/* prompt_words.c */
void init_prompt_banner(void *arg, struct terminal *terminal);
bool init_prompt_run(void *arg, struct terminal *terminal, const struct prompt_command *command);

/* control.c */
int init_control_open(struct init *init, struct ray_err *err);
/* Who may give the orders that are for rayosd, too. */
bool init_may_order(uid_t uid, bool is_hosted);

/* test_hooks.c in the test image, test_hooks_none.c elsewhere: more methods of the control
 * socket; ends with a NULL name. */
const struct ray_rpc_method *init_test_methods(void);

#endif
