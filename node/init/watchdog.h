/* node/init/watchdog.h - the hardware watchdog: adopted at once, fed only by a loop that turns
 * and only while the node is healthy.
 *
 * Opening the device arms it. Without a feed for `timeout_s` the machine resets. It is fed
 * every quarter of that, after the health check; when the check withholds, that is said once
 * and the machine has the rest of the time to get better. It stays armed over a reboot, so
 * that a hang in firmware or kernel ends too; only a planned power-off or halt closes it.
 *
 * Memory: none; owns one descriptor.  Threads: the loop's.  Blocks: never.  Trust: sysfs. */
#ifndef RAY_NODE_INIT_WATCHDOG_H
#define RAY_NODE_INIT_WATCHDOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/loop.h"

enum {
    WATCHDOG_TIMEOUT_DEFAULT_S = 30,
    WATCHDOG_TIMEOUT_MIN_S = 4,
    WATCHDOG_TIMEOUT_MAX_S = 600,
    WATCHDOG_NAME_SIZE_MAX = 48,
    WATCHDOG_WHY_SIZE_MAX = 96,
};

struct watchdog_choice {
    char device[32]; /* "watchdog0" */
    char driver[WATCHDOG_NAME_SIZE_MAX];
    bool is_hardware;
};

struct watchdog {
    int fd; /* -1: none; owned */
    struct watchdog_choice choice;
    uint32_t timeout_s; /* what the device took */
    uint32_t bootstatus;
    uint64_t fed_count;
    char withheld[WATCHDOG_WHY_SIZE_MAX]; /* why it is not fed now; "" when it is */
    struct ray_timer timer;
    /* NULL: healthy; else why not. */
    const char *(*check)(void *arg);
    void (*on_withheld)(void *arg, const char *why);
    void *arg;
};

/* The best below <root>/sys/class/watchdog: hardware before software, then the lowest
 * number. RAY_ENOTFOUND: there is none. */
int watchdog_choose(const char *root, struct watchdog_choice *out, struct ray_err *err);

int watchdog_init(struct watchdog *watchdog, struct ray_loop *loop, const char *(*check)(void *arg),
                  void (*on_withheld)(void *arg, const char *why), void *arg, struct ray_err *err);
/* Leaves it armed. */
void watchdog_fini(struct watchdog *watchdog);

/* Opens, arms, reads the boot status, begins to feed. With `only_hardware` a software one is
 * RAY_ENOTFOUND. Nothing to do when it is open already. */
int watchdog_adopt(struct watchdog *watchdog, const char *root, uint32_t timeout_s,
                   bool only_hardware, struct ray_err *err);

/* Feeds once more without a check and stops the timer: the machine reboots now and has
 * timeout_s for it. */
void watchdog_last_feed(struct watchdog *watchdog);
/* Closes it for a planned power-off or halt. RAY_EUNSUPPORTED: the device cannot be stopped. */
int watchdog_disarm(struct watchdog *watchdog, struct ray_err *err);

#endif
