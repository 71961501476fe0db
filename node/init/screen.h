/* node/init/screen.h - the status screen on the first virtual terminal, tty1.
 *
 * Looks at the facts a few times a second, draws what has changed. Kernel messages that would
 * go to the terminal in front go to VT 12 instead (Alt-F12).
 * Memory: fixed, and a bounded queue.  Threads: the loop's.  Blocks: never: what the terminal
 * does not take waits, and nothing new is drawn until it is gone.
 * Trust: nothing is read from the terminal. */
#ifndef RAY_NODE_INIT_SCREEN_H
#define RAY_NODE_INIT_SCREEN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/loop.h"
#include "node/init/out_queue.h"
#include "node/init/status_screen.h"

enum {
    SCREEN_TICK_MS = 250, /* while booting, stopping, or anything changes */
    SCREEN_IDLE_TICK_MS = 1000,
    /* All of it: somebody may have written across, or a display driver that took over may have
     * cut it to the 80x25 of no display at all and back, between two looks. */
    SCREEN_REDRAW_MS = 2000,
    SCREEN_IDLE_REDRAW_MS = 15000,
    SCREEN_YOUNG_S = 120, /* until then drivers come */
    SCREEN_REOPEN_MS = 5000,
    SCREEN_OUT_SIZE_MAX = 128 << 10,
    SCREEN_MESSAGES_VT = 12,
};

#define SCREEN_TERMINAL "tty1"

struct screen_config {
    struct ray_loop *loop;
    const char *root; /* "" on a node */
    void (*fill)(void *arg, struct status_facts *facts);
    void *arg;
};

struct screen {
    struct screen_config config;
    struct out_queue out;
    struct ray_timer timer;
    struct status_facts facts;
    struct status_screen shown; /* width 0: nothing */
    struct status_screen next;
    uint64_t drawn_ns; /* all of it */
    uint64_t opened_ns;
    bool has_lines;
    bool is_started;
};

/* Starts to draw; safe to call again. A terminal that is not there is tried again now and
 * then. */
int screen_start(struct screen *screen, const struct screen_config *config, struct ray_err *err);
/* Safe on a zeroed struct. The last picture stays. */
void screen_fini(struct screen *screen);
/* Draws now, as far as it goes without waiting: for the last state before reboot. */
void screen_flush(struct screen *screen);

#endif
