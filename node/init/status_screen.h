/* node/init/status_screen.h - what the status screen says, as cells: facts in, rows out.
 *
 * Memory: plain structs; texts of the facts are borrowed during the call.  Threads: any.
 * Blocks: never.  Trust: texts may be anything: each byte that is not printable ASCII becomes
 * '?', and whatever does not fit is cut. No secret is among the facts. */
#ifndef RAY_NODE_INIT_STATUS_SCREEN_H
#define RAY_NODE_INIT_STATUS_SCREEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

enum {
    STATUS_WIDTH_MIN = 40,
    STATUS_WIDTH_MAX = 256, /* what a display has beyond these stays empty */
    STATUS_HEIGHT_MAX = 64,
    STATUS_ADDRESS_COUNT_MAX = 4,
    STATUS_ADDRESS_SIZE_MAX = 52, /* an IPv6 address with its prefix */
    STATUS_SERVICE_COUNT_MAX = 32,
    STATUS_STAGE_COUNT_MAX = 4,
    STATUS_PRESSURE_COUNT_MAX = 3,
    STATUS_PROBLEM_COUNT_MAX = 8,
    STATUS_PROBLEM_SIZE_MAX = 160,
};

enum status_state {
    STATUS_BOOTING,
    STATUS_WAITING, /* booted; needed services are not ready yet */
    STATUS_READY,
    STATUS_STOPPING,
    STATUS_EMERGENCY,
};

/* One that is not well. */
struct status_service {
    const char *name;
    const char *state;     /* "gave-up" */
    const char *why;       /* "exited"; may be "" */
    const char *last_exit; /* may be "" */
    bool gave_up;
};

struct status_stage {
    const char *name;
    const char *error;
};

struct status_pressure {
    const char *name;
    bool is_high;
    bool is_trouble;
    unsigned percent;
};

struct status_facts {
    enum status_state state;
    const char *detail;   /* the stage that runs or failed, or how and why it stops */
    unsigned reboot_in_s; /* emergency: 0: it does not reboot by itself */
    const char *prompt;   /* where the prompt is: "Alt-F2" */
    const char *version;
    const char *node_name;       /* "": none yet, as the next two */
    const char *words;           /* the fingerprint as words */
    const char *fingerprint_hex; /* its head is shown */
    char addresses[STATUS_ADDRESS_COUNT_MAX][STATUS_ADDRESS_SIZE_MAX];
    size_t address_count;
    const char *no_address_why;
    const char *cluster;   /* how its member stands; "": nothing is known */
    const char *boot_path; /* "pxe" */
    bool is_uefi;
    uint64_t boot_counter; /* 0: unknown */
    uint64_t up_s;
    const char *last_end; /* how the boot before ended, if badly: "panic"; else "" */
    bool has_data;        /* the next ones are known */
    bool is_disk;
    const char *data_device;
    const char *data_why; /* RAM, because */
    bool is_data_absent;  /* diskless on purpose */
    bool can_repair_data;
    bool is_log_full;
    const char *watchdog; /* "": none */
    unsigned watchdog_s;
    const char *withheld; /* why it is not fed; "": it is */
    struct status_pressure pressures[STATUS_PRESSURE_COUNT_MAX];
    size_t pressure_count; /* 0: not measured */
    struct status_service services[STATUS_SERVICE_COUNT_MAX];
    size_t service_count;
    size_t ready_count; /* of the others */
    size_t waiting_count;
    struct status_stage stages[STATUS_STAGE_COUNT_MAX]; /* of boot that failed */
    size_t stage_count;
    char problems[STATUS_PROBLEM_COUNT_MAX][STATUS_PROBLEM_SIZE_MAX]; /* oldest first */
    size_t problem_count;
};

enum status_style {
    STATUS_PLAIN,
    STATUS_TITLE,
    STATUS_GOOD,
    STATUS_UNSURE,
    STATUS_BAD,
    STATUS_FAINT,
};

struct status_row {
    char text[STATUS_WIDTH_MAX + 1]; /* ASCII */
    enum status_style style;         /* of the cells from begin to end */
    unsigned begin;
    unsigned end;
    bool is_rule; /* a line across */
};

struct status_screen {
    unsigned width; /* 0: nothing drawn yet */
    unsigned height;
    struct status_row rows[STATUS_HEIGHT_MAX];
};

/* Small displays lose what stands lowest, but never the state and the last row. */
void status_screen_render(const struct status_facts *facts, unsigned width, unsigned height,
                          struct status_screen *out);

/* The bytes that turn a terminal that shows `before` into one that shows `now`: of rows that
 * are equal, none. Before of width 0 or of another size: everything, after a reset; NULL:
 * everything, over what is there. `has_lines`: its font can draw lines. RAY_ENOMEM,
 * RAY_ETOOBIG. */
int status_screen_encode(const struct status_screen *now, const struct status_screen *before,
                         bool has_lines, struct ray_buf *out);

/* A line of the log as a problem to show. False: it is none (below warning, or no line). */
bool status_problem_parse(const char *line, char out[static STATUS_PROBLEM_SIZE_MAX]);

#endif
