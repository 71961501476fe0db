#include "node/init/prompt.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "node/init/screen.h"

#define PROMPT_TEXT "rayos# "
#define ASK_TEXT "really? type yes: "
#define CLEAR_LINE "\r\033[K"

#define DISPLAY_TERMINAL "tty2"

enum { READS_PER_TURN = 4, ACTIVE_SIZE_MAX = 256 };

/* ---- output ---- */

static void put(struct terminal *terminal, const char *text, size_t size)
{
    (void)out_queue_put(terminal->out, text, size); /* a person will ask again */
}

static void put_text(struct terminal *terminal, const char *text)
{
    put(terminal, text, strlen(text));
}

void terminal_print(struct terminal *terminal, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    int size;

    va_start(ap, fmt);
    size = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (size > 0) {
        put(terminal, text, (size_t)size < sizeof text ? (size_t)size : sizeof text - 1);
    }
}

void terminal_print_bytes(struct terminal *terminal, const char *bytes, size_t size)
{
    while (size > 0) {
        const char *newline = memchr(bytes, '\n', size);
        size_t line_size = newline != NULL ? (size_t)(newline - bytes) : size;
        size_t piece_size = line_size < 200 ? line_size : 200;
        char escaped[4 * 200 + 1];
        size_t escaped_size = ray_escape(escaped, sizeof escaped, bytes, piece_size);

        put(terminal, escaped, escaped_size);
        bytes += piece_size;
        size -= piece_size;
        if (newline != NULL && piece_size == line_size) {
            put(terminal, "\n", 1);
            bytes++;
            size--;
        }
    }
}

static void show_line(struct terminal *terminal)
{
    if (terminal->state == TERMINAL_AWAKE || terminal->state == TERMINAL_ASKS) {
        put_text(terminal, terminal->state == TERMINAL_ASKS ? ASK_TEXT : PROMPT_TEXT);
        put(terminal, terminal->editor.line, terminal->editor.size);
    }
}

/* ---- input ---- */

void prompt_done(struct terminal *terminal)
{
    if (terminal->state != TERMINAL_ASLEEP) {
        terminal->state = TERMINAL_AWAKE;
        line_editor_reset(&terminal->editor);
        show_line(terminal);
    }
}

static void run(struct terminal *terminal, const struct prompt_command *command)
{
    struct prompt *prompt = terminal->owner;

    terminal->state = TERMINAL_BUSY;
    if (prompt->config.run(prompt->config.arg, terminal, command)) {
        prompt_done(terminal);
    }
}

static void take_line(struct terminal *terminal)
{
    struct prompt_command command;
    struct ray_err err = {0};
    int rc;

    if (terminal->state == TERMINAL_ASKS) {
        bool is_yes = strcmp(terminal->editor.line, "yes") == 0;
        command = terminal->asked;
        if (is_yes) {
            run(terminal, &command);
        } else {
            put_text(terminal, "nothing done\n");
            prompt_done(terminal);
        }
        return;
    }
    rc = prompt_command_parse(terminal->editor.line, &command, &err);
    if (rc == RAY_OK && prompt_word_info(command.word)->needs_confirmation) {
        terminal->asked = command;
        terminal->state = TERMINAL_ASKS;
        line_editor_reset(&terminal->editor);
        show_line(terminal);
        return;
    }
    if (rc == RAY_OK) {
        run(terminal, &command);
        return;
    }
    if (rc != RAY_EAGAIN) {
        terminal_print(terminal, "%s\n", err.text);
    }
    prompt_done(terminal);
}

static void wake(struct terminal *terminal)
{
    terminal->state = TERMINAL_AWAKE;
    line_editor_reset(&terminal->editor);
    put_text(terminal, CLEAR_LINE);
    terminal->owner->config.banner(terminal->owner->config.arg, terminal);
    show_line(terminal);
}

static void take_byte(struct terminal *terminal, char byte)
{
    char echo[LINE_EDITOR_ECHO_SIZE_MAX];
    size_t echo_size;

    switch (terminal->state) {
    case TERMINAL_ASLEEP:
        if (byte == '\r' || byte == '\n') { /* not on noise of an open line */
            wake(terminal);
        }
        break;
    case TERMINAL_BUSY:
        break; /* typed ahead: dropped */
    case TERMINAL_AWAKE:
    case TERMINAL_ASKS:
        switch (line_editor_feed(&terminal->editor, byte, echo, &echo_size)) {
        case LINE_EDITOR_MORE:
            put(terminal, echo, echo_size);
            break;
        case LINE_EDITOR_ENTERED:
            put(terminal, echo, echo_size);
            take_line(terminal);
            break;
        case LINE_EDITOR_ABANDONED:
            put(terminal, echo, echo_size);
            prompt_done(terminal);
            break;
        }
        break;
    }
}

static void close_terminal(struct terminal *terminal)
{
    ray_poll_fini(&terminal->poll);
    if (terminal->fd > 0) {
        (void)close(terminal->fd);
    }
    terminal->fd = -1;
    terminal->state = TERMINAL_ASLEEP;
}

static void on_readable(void *arg, int status, int events)
{
    struct terminal *terminal = arg;
    char bytes[256];

    (void)events;
    for (int i = 0; i < READS_PER_TURN && status >= 0; i++) {
        ssize_t size = read(terminal->fd, bytes, sizeof bytes);
        if (size < 0 && (errno == EAGAIN || errno == EINTR)) {
            return;
        }
        if (size <= 0) {
            status = RAY_ECLOSED;
            break;
        }
        ray_timer_start(&terminal->idle, PROMPT_IDLE_MS, 0);
        for (ssize_t b = 0; b < size; b++) {
            take_byte(terminal, bytes[b]);
        }
    }
    if (status < 0) { /* hung up; opened again by the timer */
        close_terminal(terminal);
        ray_timer_start(&terminal->owner->reopen, PROMPT_REOPEN_MS, 0);
    }
}

static void on_idle(void *arg)
{
    struct terminal *terminal = arg;

    if (terminal->state == TERMINAL_AWAKE || terminal->state == TERMINAL_ASKS) {
        put_text(terminal, CLEAR_LINE "asleep; press Enter\n");
        terminal->state = TERMINAL_ASLEEP;
    }
}

void prompt_sleep(struct prompt *prompt)
{
    for (size_t i = 0; i < prompt->count; i++) {
        prompt->terminals[i].state = TERMINAL_ASLEEP;
    }
}

/* ---- around markers on the console ---- */

static void step_aside(void *arg)
{
    struct prompt *prompt = arg;

    for (size_t i = 0; i < prompt->count; i++) {
        struct terminal *terminal = &prompt->terminals[i];
        if (terminal->is_console &&
            (terminal->state == TERMINAL_AWAKE || terminal->state == TERMINAL_ASKS)) {
            put_text(terminal, "\n"); /* a marker stands at the beginning of its line */
        }
    }
}

static void come_back(void *arg)
{
    struct prompt *prompt = arg;

    for (size_t i = 0; i < prompt->count; i++) {
        if (prompt->terminals[i].is_console) {
            show_line(&prompt->terminals[i]);
        }
    }
}

/* ---- terminals ---- */

static int open_terminal(struct terminal *terminal, struct ray_err *err)
{
    struct prompt *prompt = terminal->owner;
    struct termios settings;
    char path[512];
    int fd;
    int rc;

    (void)snprintf(path, sizeof path, "%s/dev/%s", prompt->config.root, terminal->name);
    fd = open(path, O_RDWR | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0) {
        return ray_fail_errno(err, errno, "open %s", path);
    }
    if (tcgetattr(fd, &settings) == 0) {
        /* Raw input, but "\n" still becomes CR LF: markers of others share the line. */
        settings.c_iflag = IGNBRK | IGNPAR;
        settings.c_oflag = OPOST | ONLCR;
        settings.c_lflag = 0;
        settings.c_cflag |= CLOCAL | CREAD;
        settings.c_cc[VMIN] = 1;
        settings.c_cc[VTIME] = 0;
        (void)tcsetattr(fd, TCSANOW, &settings); /* then it is usable, if not pretty */
    }
    terminal->fd = fd;
    rc = ray_poll_init(&terminal->poll, prompt->config.loop, fd, on_readable, terminal, err);
    if (rc == RAY_OK) {
        rc = ray_poll_set(&terminal->poll, UV_READABLE);
    }
    if (rc == RAY_OK && !terminal->is_console) {
        int out_fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        if (out_fd >= 0) {
            out_queue_attach(&terminal->own_out, out_fd);
        }
    }
    if (rc != RAY_OK) {
        close_terminal(terminal);
    }
    return rc;
}

static void on_reopen(void *arg)
{
    struct prompt *prompt = arg;

    for (size_t i = 0; i < prompt->count; i++) {
        if (prompt->terminals[i].fd < 0 && open_terminal(&prompt->terminals[i], NULL) != RAY_OK) {
            ray_timer_start(&prompt->reopen, PROMPT_REOPEN_MS, 0);
        }
    }
}

/* "tty0" is whatever is in front; "tty1" would be the status screen's. */
static bool is_display(const char *console)
{
    return strcmp(console, "tty0") == 0 || strcmp(console, SCREEN_TERMINAL) == 0;
}

static int read_active(const char *root, char out[static ACTIVE_SIZE_MAX], struct ray_err *err)
{
    char path[512];

    (void)snprintf(path, sizeof path, "%s/sys/class/tty/console/active", root);
    return ray_file_read_text(AT_FDCWD, path, out, ACTIVE_SIZE_MAX, err);
}

const char *prompt_terminal_name(const char *console)
{
    return is_display(console) ? DISPLAY_TERMINAL : console;
}

void prompt_console_name(const char *root, char out[static MARKER_SINK_NAME_SIZE_MAX])
{
    char active[ACTIVE_SIZE_MAX];
    const char *last;

    (void)snprintf(out, MARKER_SINK_NAME_SIZE_MAX, "console");
    if (read_active(root, active, NULL) == RAY_OK) {
        last = strrchr(active, ' ');
        if (is_display(last != NULL ? last + 1 : active)) {
            (void)snprintf(out, MARKER_SINK_NAME_SIZE_MAX, DISPLAY_TERMINAL);
        }
    }
}

bool prompt_has_display(const char *root)
{
    char active[ACTIVE_SIZE_MAX];
    char *next = NULL;

    if (read_active(root, active, NULL) != RAY_OK) {
        return true;
    }
    for (const char *word = strtok_r(active, " ", &next); word != NULL;
         word = strtok_r(NULL, " ", &next)) {
        if (is_display(word)) {
            return true;
        }
    }
    return false;
}

static int add_terminal(struct prompt *prompt, const char *console, bool is_console,
                        struct ray_err *err)
{
    struct terminal *terminal = &prompt->terminals[prompt->count];
    const char *name = prompt_terminal_name(console);
    int rc;

    if (prompt->count >= PROMPT_TERMINAL_COUNT_MAX || strlen(name) >= sizeof terminal->name ||
        strchr(name, '/') != NULL) {
        return ray_fail(err, RAY_ETOOBIG, "console %s", name);
    }
    *terminal = (struct terminal){.owner = prompt, .fd = -1, .is_console = is_console};
    memcpy(terminal->name, name, strlen(name) + 1);
    rc = out_queue_init(&terminal->own_out, prompt->config.loop, PROMPT_OUT_SIZE_MAX, NULL, NULL,
                        err);
    if (rc == RAY_OK) {
        rc = ray_timer_init(&terminal->idle, prompt->config.loop, on_idle, terminal, err);
    }
    if (rc == RAY_OK) {
        terminal->out = is_console ? &prompt->config.sink->console : &terminal->own_out;
        rc = open_terminal(terminal, err);
    }
    if (rc != RAY_OK) {
        out_queue_fini(&terminal->own_out);
        ray_timer_fini(&terminal->idle);
        return rc;
    }
    prompt->count++;
    return RAY_OK;
}

int prompt_init(struct prompt *prompt, const struct prompt_config *config, struct ray_err *err)
{
    char active[ACTIVE_SIZE_MAX];
    char *next = NULL;
    char *word;
    int rc;

    *prompt = (struct prompt){.config = *config};
    rc = ray_timer_init(&prompt->reopen, config->loop, on_reopen, prompt, err);
    if (rc != RAY_OK) {
        return rc;
    }
    rc = read_active(config->root, active, err);
    if (rc != RAY_OK) {
        return rc;
    }
    word = strtok_r(active, " ", &next);
    while (word != NULL) {
        char *following = strtok_r(NULL, " ", &next);
        /* The last one is what /dev/console means. */
        int added = add_terminal(prompt, word, following == NULL, err);
        rc = prompt->count > 0 ? RAY_OK : added;
        word = following;
    }
    if (prompt->count == 0) {
        return rc != RAY_OK ? rc : ray_fail(err, RAY_ENOTFOUND, "the kernel has no console");
    }
    config->sink->before_console = step_aside;
    config->sink->after_console = come_back;
    config->sink->arg = prompt;
    return RAY_OK;
}

void prompt_fini(struct prompt *prompt)
{
    if (prompt->config.sink != NULL) {
        prompt->config.sink->before_console = NULL;
        prompt->config.sink->after_console = NULL;
    }
    for (size_t i = 0; i < prompt->count; i++) {
        close_terminal(&prompt->terminals[i]);
        out_queue_fini(&prompt->terminals[i].own_out);
        ray_timer_fini(&prompt->terminals[i].idle);
    }
    prompt->count = 0;
    ray_timer_fini(&prompt->reopen);
}
