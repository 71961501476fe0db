/* The terminal is raw and its keys are thrown away: no echo may scribble on the picture, and no
 * Ctrl-S can stop it. */
#include "node/init/screen.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kd.h>
#include <linux/tiocl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/size.h"

enum {
    LINE_CODEPOINT = 0x2500,
    UNIMAP_COUNT_MAX = 4096,
    DEFAULT_WIDTH = 80,
    DEFAULT_HEIGHT = 25,
    TEXT_SIZE_MAX = 64 << 10,
};

/* Whether the console's font has the line across; on a terminal that is no VT: no. */
static bool find_lines(int fd)
{
    struct unipair *pairs = calloc(UNIMAP_COUNT_MAX, sizeof *pairs);
    struct unimapdesc map = {.entry_ct = UNIMAP_COUNT_MAX, .entries = pairs};
    bool has_lines = false;

    if (pairs != NULL && ioctl(fd, GIO_UNIMAP, &map) == 0) {
        for (unsigned i = 0; i < map.entry_ct && i < UNIMAP_COUNT_MAX; i++) {
            has_lines = has_lines || pairs[i].unicode == LINE_CODEPOINT;
        }
    }
    free(pairs);
    return has_lines;
}

/* Messages of the kernel go to the terminal in front unless they are sent elsewhere; that one
 * must have been opened once. Where this fails the picture is only less tidy. */
static void redirect_messages(const struct screen *screen, int fd)
{
    char request[2] = {TIOCL_SETKMSGREDIRECT, SCREEN_MESSAGES_VT};
    char path[512];
    int messages_fd;

    (void)snprintf(path, sizeof path, "%s/dev/tty%d", screen->config.root, SCREEN_MESSAGES_VT);
    messages_fd = open(path, O_RDWR | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (messages_fd >= 0) {
        (void)ioctl(fd, TIOCLINUX, request);
        (void)close(messages_fd);
    }
}

static int open_terminal(struct screen *screen, struct ray_err *err)
{
    int fault = ray_fault(RAY_FAULT_OPEN);
    struct termios settings;
    char path[512];
    int fd;

    (void)snprintf(path, sizeof path, "%s/dev/" SCREEN_TERMINAL, screen->config.root);
    fd = fault != 0 ? -1 : open(path, O_RDWR | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    screen->opened_ns = ray_clock_monotonic_ns();
    if (fd < 0) {
        return ray_fail_errno(err, fault != 0 ? fault : errno, "open %s", path);
    }
    if (tcgetattr(fd, &settings) == 0) {
        settings.c_iflag = IGNBRK | IGNPAR;
        settings.c_oflag = OPOST | ONLCR;
        settings.c_lflag = 0;
        (void)tcsetattr(fd, TCSANOW, &settings); /* then keys may scribble, no worse */
    }
    redirect_messages(screen, fd);
    screen->has_lines = find_lines(fd);
    screen->shown.width = 0;
    ray_buf_clear(&screen->out.pending); /* half a picture of a terminal that is gone */
    out_queue_attach(&screen->out, fd);
    return RAY_OK;
}

static void draw(struct screen *screen)
{
    struct winsize size = {0};
    uint64_t now_ns = ray_clock_monotonic_ns();
    struct ray_buf bytes;
    uint64_t redraw_ms;
    bool is_whole;

    if (ioctl(screen->out.fd, TIOCGWINSZ, &size) != 0) {
        screen->shown.width = 0; /* hung up: the write below finds out */
    }
    if (size.ws_col == 0 || size.ws_row == 0) {
        size = (struct winsize){.ws_col = DEFAULT_WIDTH, .ws_row = DEFAULT_HEIGHT};
    }
    (void)tcflush(screen->out.fd, TCIFLUSH); /* keys; nobody reads them */
    screen->config.fill(screen->config.arg, &screen->facts);
    status_screen_render(&screen->facts, size.ws_col, size.ws_row, &screen->next);
    redraw_ms = screen->facts.up_s < SCREEN_YOUNG_S ? SCREEN_REDRAW_MS : SCREEN_IDLE_REDRAW_MS;
    is_whole = now_ns - screen->drawn_ns > redraw_ms * RAY_NS_PER_MS;
    if (is_whole || screen->shown.width == 0) {
        screen->drawn_ns = now_ns;
    }
    ray_buf_init(&bytes, TEXT_SIZE_MAX);
    /* Without memory, or room in the queue, the next tick draws it. */
    if (status_screen_encode(&screen->next,
                             is_whole && screen->shown.width != 0 ? NULL : &screen->shown,
                             screen->has_lines, &bytes) == RAY_OK &&
        (bytes.size == 0 || out_queue_put(&screen->out, bytes.data, bytes.size))) {
        screen->shown = screen->next;
    }
    ray_buf_fini(&bytes);
}

static void tick(struct screen *screen)
{
    if (!out_queue_is_open(&screen->out)) {
        if (screen->opened_ns != 0 &&
            ray_clock_monotonic_ns() - screen->opened_ns < SCREEN_REOPEN_MS * RAY_NS_PER_MS) {
            return;
        }
        if (open_terminal(screen, NULL) != RAY_OK) {
            return; /* again later */
        }
    }
    if (screen->out.pending.size == 0) {
        draw(screen);
    }
}

static void on_timer(void *arg)
{
    struct screen *screen = arg;
    bool is_calm;

    tick(screen);
    is_calm = screen->facts.state == STATUS_READY || screen->facts.state == STATUS_EMERGENCY;
    ray_timer_start(&screen->timer, is_calm ? SCREEN_IDLE_TICK_MS : SCREEN_TICK_MS, 0);
}

/* Hung up, or its driver is gone. */
static void on_broken(void *arg)
{
    struct screen *screen = arg;

    screen->shown.width = 0;
    screen->opened_ns = ray_clock_monotonic_ns();
}

int screen_start(struct screen *screen, const struct screen_config *config, struct ray_err *err)
{
    int rc;

    assert(config->fill != NULL);
    if (screen->is_started) {
        return RAY_OK;
    }
    *screen = (struct screen){.config = *config};
    rc = out_queue_init(&screen->out, config->loop, SCREEN_OUT_SIZE_MAX, on_broken, screen, err);
    if (rc == RAY_OK) {
        rc = ray_timer_init(&screen->timer, config->loop, on_timer, screen, err);
    }
    if (rc != RAY_OK) {
        screen_fini(screen);
        return rc;
    }
    screen->is_started = true;
    on_timer(screen);
    return RAY_OK;
}

void screen_fini(struct screen *screen)
{
    ray_timer_fini(&screen->timer);
    out_queue_fini(&screen->out);
    screen->is_started = false;
}

void screen_flush(struct screen *screen)
{
    if (screen->is_started) {
        tick(screen);
        out_queue_flush(&screen->out);
    }
}
