/* node/init/power_button.h - the ACPI power button, and any keyboard's power key, by evdev.
 *
 * Memory: one small struct per device.  Threads: the loop's.  Blocks: never.
 * Trust: input devices may be hostile USB ones: only the key KEY_POWER is looked at, a device
 * that talks too much is still read in bounded pieces. */
#ifndef RAY_NODE_INIT_POWER_BUTTON_H
#define RAY_NODE_INIT_POWER_BUTTON_H

#include <stddef.h>

#include "base/loop.h"

enum { POWER_BUTTON_COUNT_MAX = 16 };

struct power_buttons;

struct power_button {
    struct power_buttons *owner;
    struct ray_poll poll;
    int fd;        /* -1: free; owned */
    char name[32]; /* "event3" */
};

struct power_buttons {
    struct ray_loop *loop;
    const char *root;
    struct power_button buttons[POWER_BUTTON_COUNT_MAX];
    void (*on_press)(void *arg);
    void *arg;
};

void power_buttons_init(struct power_buttons *buttons, struct ray_loop *loop, const char *root,
                        void (*on_press)(void *arg), void *arg);
void power_buttons_fini(struct power_buttons *buttons);
/* Takes all devices of <root>/dev/input that have such a key and are not taken yet. */
void power_buttons_scan(struct power_buttons *buttons);

#endif
