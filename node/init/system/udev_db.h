/* node/init/system/udev_db.h - the few entries of udev's database that libinput reads, so
 * that no udevd is needed: /run/udev/data/c<major>:<minor> with ID_INPUT_*.
 *
 * Memory: none kept.  Threads: any.  Blocks: short file system calls.
 * Trust: capabilities come from input devices, also hostile USB ones: bit maps are bounded,
 * and no text of a device is copied into the database. */
#ifndef RAY_NODE_INIT_SYSTEM_UDEV_DB_H
#define RAY_NODE_INIT_SYSTEM_UDEV_DB_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/log.h"
#include "node/init/system/uevent.h"

/* What an input device is, by what it can send. */
struct init_input_class {
    bool is_keyboard; /* ID_INPUT_KEYBOARD: has the ordinary keys */
    bool is_key;      /* ID_INPUT_KEY: has some keys (power button) */
    bool is_mouse;
    bool is_touchpad;
    bool is_touchscreen;
    bool is_tablet;
    bool is_joystick;
    bool is_accelerometer;
    bool is_pointing_stick;
    bool is_switch;
};

/* Texts as in sysfs: hexadecimal words, most significant first; NULL counts as empty. */
struct init_input_caps {
    const char *ev;
    const char *key;
    const char *rel;
    const char *abs;
    const char *sw;
    const char *properties;
};

int init_input_classify(const struct init_input_caps *caps, struct init_input_class *out,
                        struct ray_err *err);

/* Handles an event of subsystem "input" (others are ignored): writes or removes the entry
 * of its event device. `root_fd` is "/" (run/udev and sys are looked up there). */
int init_udev_db_handle(int root_fd, const struct init_uevent *event, struct ray_err *err);
/* Entries for all input devices that are there; *out_count (may be NULL) of them. */
int init_udev_db_scan(int root_fd, struct ray_logger *logger, size_t *out_count,
                      struct ray_err *err);

#endif
