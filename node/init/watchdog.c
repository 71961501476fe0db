#include "node/init/watchdog.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/watchdog.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/atomic_file.h"

#define SOFTWARE_NAME "Software Watchdog"

static bool is_watchdog(const char *name, unsigned long *out_number)
{
    char *end;

    if (strncmp(name, "watchdog", 8) != 0 || name[8] < '0' || name[8] > '9') {
        return false;
    }
    *out_number = strtoul(name + 8, &end, 10);
    return *end == '\0' && *out_number < 1000;
}

int watchdog_choose(const char *root, struct watchdog_choice *out, struct ray_err *err)
{
    char path[512];
    unsigned long best_number = 0;
    struct watchdog_choice best = {0};
    const struct dirent *entry;
    DIR *folder;

    (void)snprintf(path, sizeof path, "%s/sys/class/watchdog", root);
    folder = opendir(path);
    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        struct watchdog_choice choice = {0};
        char identity[300];
        char name[WATCHDOG_NAME_SIZE_MAX];
        unsigned long number;

        if (!is_watchdog(entry->d_name, &number)) {
            continue;
        }
        (void)snprintf(identity, sizeof identity, "%s/identity", entry->d_name);
        if (ray_file_read_text(dirfd(folder), identity, name, sizeof name, NULL) != RAY_OK) {
            (void)snprintf(name, sizeof name, "unknown");
        }
        (void)ray_escape(choice.driver, sizeof choice.driver, name, strlen(name));
        (void)snprintf(choice.device, sizeof choice.device, "watchdog%lu", number);
        choice.is_hardware = strcmp(name, SOFTWARE_NAME) != 0;
        if (best.device[0] == '\0' || (choice.is_hardware && !best.is_hardware) ||
            (choice.is_hardware == best.is_hardware && number < best_number)) {
            best = choice;
            best_number = number;
        }
    }
    if (folder != NULL) {
        (void)closedir(folder);
    }
    if (best.device[0] == '\0') {
        return ray_fail(err, RAY_ENOTFOUND, "no watchdog");
    }
    *out = best;
    return RAY_OK;
}

static void feed(struct watchdog *watchdog)
{
    if (write(watchdog->fd, "", 1) == 1) {
        watchdog->fed_count++;
    }
}

static void on_timer(void *arg)
{
    struct watchdog *watchdog = arg;
    const char *why = watchdog->check(watchdog->arg);

    if (why == NULL) {
        watchdog->withheld[0] = '\0';
        feed(watchdog);
        return;
    }
    if (strcmp(why, watchdog->withheld) != 0) {
        (void)snprintf(watchdog->withheld, sizeof watchdog->withheld, "%s", why);
        watchdog->on_withheld(watchdog->arg, watchdog->withheld);
    }
}

int watchdog_init(struct watchdog *watchdog, struct ray_loop *loop, const char *(*check)(void *arg),
                  void (*on_withheld)(void *arg, const char *why), void *arg, struct ray_err *err)
{
    *watchdog = (struct watchdog){.fd = -1, .check = check, .on_withheld = on_withheld, .arg = arg};
    return ray_timer_init(&watchdog->timer, loop, on_timer, watchdog, err);
}

void watchdog_fini(struct watchdog *watchdog)
{
    ray_timer_fini(&watchdog->timer);
    if (watchdog->fd > 0) {
        (void)close(watchdog->fd);
    }
    watchdog->fd = -1;
}

/* What a device does not know stays at its default. */
static void configure(struct watchdog *watchdog, uint32_t timeout_s)
{
    int value = (int)timeout_s;
    int status = 0;

    if (ioctl(watchdog->fd, WDIOC_GETBOOTSTATUS, &status) == 0) {
        watchdog->bootstatus = (uint32_t)status;
    }
    if (ioctl(watchdog->fd, WDIOC_SETTIMEOUT, &value) < 0 &&
        ioctl(watchdog->fd, WDIOC_GETTIMEOUT, &value) < 0) {
        value = (int)timeout_s;
    }
    watchdog->timeout_s = value > 0 ? (uint32_t)value : timeout_s;
}

int watchdog_adopt(struct watchdog *watchdog, const char *root, uint32_t timeout_s,
                   bool only_hardware, struct ray_err *err)
{
    struct watchdog_choice choice = {0};
    char path[512];
    uint64_t period_ms;
    int rc;

    if (watchdog->fd > 0) {
        return RAY_OK;
    }
    rc = watchdog_choose(root, &choice, err);
    if (rc != RAY_OK) {
        return rc;
    }
    if (only_hardware && !choice.is_hardware) {
        return ray_fail(err, RAY_ENOTFOUND, "only a software watchdog so far");
    }
    (void)snprintf(path, sizeof path, "%s/dev/%s", root, choice.device);
    watchdog->fd = open(path, O_WRONLY | O_CLOEXEC);
    if (watchdog->fd < 0) {
        return ray_fail_errno(err, errno, "open %s", path);
    }
    watchdog->choice = choice;
    configure(watchdog, timeout_s);
    feed(watchdog);
    period_ms = (uint64_t)watchdog->timeout_s * 1000 / 4;
    ray_timer_start(&watchdog->timer, period_ms, period_ms);
    return RAY_OK;
}

void watchdog_last_feed(struct watchdog *watchdog)
{
    ray_timer_stop(&watchdog->timer);
    if (watchdog->fd > 0) {
        feed(watchdog);
    }
}

int watchdog_disarm(struct watchdog *watchdog, struct ray_err *err)
{
    ray_timer_stop(&watchdog->timer);
    if (watchdog->fd < 0) {
        return RAY_OK;
    }
    if (write(watchdog->fd, "V", 1) != 1) {
        return ray_fail(err, RAY_EUNSUPPORTED, "%s cannot be stopped", watchdog->choice.driver);
    }
    (void)close(watchdog->fd); /* the driver logs when it goes on counting */
    watchdog->fd = -1;
    return RAY_OK;
}
