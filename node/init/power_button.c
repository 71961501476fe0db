#include "node/init/power_button.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/input.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { EVENTS_PER_READ = 16, READS_PER_TURN = 8, PRESSED = 1 };

static void drop(struct power_button *button)
{
    ray_poll_fini(&button->poll);
    if (button->fd > 0) {
        (void)close(button->fd);
    }
    button->fd = -1;
    button->name[0] = '\0';
}

static void on_readable(void *arg, int status, int events)
{
    struct power_button *button = arg;
    struct input_event input[EVENTS_PER_READ];

    (void)events;
    if (status < 0) {
        drop(button);
        return;
    }
    for (int i = 0; i < READS_PER_TURN; i++) {
        ssize_t size = read(button->fd, input, sizeof input);
        if (size <= 0) {
            if (size == 0 || (errno != EAGAIN && errno != EINTR)) {
                drop(button); /* unplugged */
            }
            return;
        }
        for (size_t e = 0; e < (size_t)size / sizeof input[0]; e++) {
            if (input[e].type == EV_KEY && input[e].code == KEY_POWER &&
                input[e].value == PRESSED) {
                button->owner->on_press(button->owner->arg);
            }
        }
    }
}

static bool has_power_key(int fd)
{
    uint8_t keys[KEY_MAX / 8 + 1] = {0};

    return ioctl(fd, EVIOCGBIT(EV_KEY, sizeof keys), keys) >= 0 &&
           (keys[KEY_POWER / 8] & (1U << (KEY_POWER % 8))) != 0;
}

static void take(struct power_buttons *buttons, const char *name)
{
    struct power_button *button = NULL;
    char path[512];

    for (size_t i = 0; i < POWER_BUTTON_COUNT_MAX; i++) {
        if (buttons->buttons[i].fd > 0 && strcmp(buttons->buttons[i].name, name) == 0) {
            return;
        }
        if (buttons->buttons[i].fd < 0) {
            button = &buttons->buttons[i];
        }
    }
    if (button == NULL || strlen(name) >= sizeof button->name) {
        return;
    }
    (void)snprintf(path, sizeof path, "%s/dev/input/%s", buttons->root, name);
    button->fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (button->fd < 0) {
        return;
    }
    button->owner = buttons;
    memcpy(button->name, name, strlen(name) + 1);
    if (!has_power_key(button->fd) ||
        ray_poll_init(&button->poll, buttons->loop, button->fd, on_readable, button, NULL) !=
            RAY_OK ||
        ray_poll_set(&button->poll, UV_READABLE) != RAY_OK) {
        drop(button);
    }
}

void power_buttons_init(struct power_buttons *buttons, struct ray_loop *loop, const char *root,
                        void (*on_press)(void *arg), void *arg)
{
    *buttons = (struct power_buttons){.loop = loop, .root = root, .on_press = on_press, .arg = arg};
    for (size_t i = 0; i < POWER_BUTTON_COUNT_MAX; i++) {
        buttons->buttons[i].fd = -1;
    }
}

void power_buttons_fini(struct power_buttons *buttons)
{
    for (size_t i = 0; i < POWER_BUTTON_COUNT_MAX; i++) {
        drop(&buttons->buttons[i]);
    }
}

void power_buttons_scan(struct power_buttons *buttons)
{
    char path[512];
    const struct dirent *entry;
    DIR *folder;

    (void)snprintf(path, sizeof path, "%s/dev/input", buttons->root);
    folder = opendir(path);
    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        if (strncmp(entry->d_name, "event", 5) == 0) {
            take(buttons, entry->d_name);
        }
    }
    if (folder != NULL) {
        (void)closedir(folder);
    }
}
