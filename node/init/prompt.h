/* node/init/prompt.h - the emergency prompt on the local consoles: terminals, lines, asking
 * "yes". What the words do is prompt_words.c.
 *
 * It needs nothing but PID 1: no network, no service, no disk. It sleeps until a key is
 * pressed, so that the console stays readable for machines; on the console that markers go
 * to, it starts a new line for each and comes back behind it.
 * Memory: fixed number of terminals.  Threads: the loop's.  Blocks: never.
 * Trust: whoever sits at the machine may type anything (line_editor.h). */
#ifndef RAY_NODE_INIT_PROMPT_H
#define RAY_NODE_INIT_PROMPT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/loop.h"
#include "node/init/line_editor.h"
#include "node/init/marker_sink.h"
#include "node/init/out_queue.h"
#include "node/init/prompt_command.h"

enum {
    PROMPT_TERMINAL_COUNT_MAX = 4,
    PROMPT_OUT_SIZE_MAX = 64 << 10,
    PROMPT_IDLE_MS = 300000, /* then it sleeps again */
    PROMPT_REOPEN_MS = 5000,
};

struct prompt;

struct terminal {
    struct prompt *owner;
    char name[32]; /* "ttyS0" */
    int fd;        /* input; -1: closed; owned */
    struct ray_poll poll;
    struct out_queue own_out;
    struct out_queue *out; /* own_out, or the console's when this is the console */
    bool is_console;
    struct line_editor editor;
    enum { TERMINAL_ASLEEP, TERMINAL_AWAKE, TERMINAL_ASKS, TERMINAL_BUSY } state;
    struct prompt_command asked; /* waits for "yes" */
    struct ray_timer idle;
};

struct prompt_config {
    struct ray_loop *loop;
    const char *root;
    struct marker_sink *sink;
    /* Prints who this node is. */
    void (*banner)(void *arg, struct terminal *terminal);
    /* Performs a word; false: it goes on, prompt_done follows. */
    bool (*run)(void *arg, struct terminal *terminal, const struct prompt_command *command);
    void *arg;
};

struct prompt {
    struct prompt_config config;
    struct terminal terminals[PROMPT_TERMINAL_COUNT_MAX];
    size_t count;
    struct ray_timer reopen;
};

/* Opens the terminals that the kernel lists as consoles. RAY_ENOTFOUND: none could be. */
int prompt_init(struct prompt *prompt, const struct prompt_config *config, struct ray_err *err);
void prompt_fini(struct prompt *prompt);
/* Nobody is asked any more: the node goes down. Safe on a zeroed struct. */
void prompt_sleep(struct prompt *prompt);

void terminal_print(struct terminal *terminal, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* Bytes of a command: lines pass, everything unprintable is escaped. */
void terminal_print_bytes(struct terminal *terminal, const char *bytes, size_t size);
void prompt_done(struct terminal *terminal);

/* Pure: the terminal for a word of /sys/class/tty/console/active. The display's prompt is on
 * tty2: the first virtual terminal has the status screen. */
const char *prompt_terminal_name(const char *console);
/* Where lines for /dev/console go: there, unless the kernel's last console is the display;
 * then to the display's prompt, because they would run across the status screen. */
void prompt_console_name(const char *root, char out[static MARKER_SINK_NAME_SIZE_MAX]);
/* Whether the display is one of the kernel's consoles; true when nobody knows. */
bool prompt_has_display(const char *root);

#endif
