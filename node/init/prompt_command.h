/* node/init/prompt_command.h - a line typed at the emergency prompt, understood.
 *
 * Memory: the result copies.  Threads: any.  Blocks: never.
 * Trust: typed by whoever sits there; any text is fine. */
#ifndef RAY_NODE_INIT_PROMPT_COMMAND_H
#define RAY_NODE_INIT_PROMPT_COMMAND_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* X(id, word, argument shown in help, must be confirmed, explanation) */
#define PROMPT_WORD_MAP(X)                                                                         \
    X(HELP, "help", "", false, "this list")                                                        \
    X(STATUS, "status", "", false, "node, data, watchdog, what is degraded")                       \
    X(SERVICES, "services", "", false, "every service and its state")                              \
    X(LOG, "log", "[N]", false, "the last N lines of the log (20)")                                \
    X(TIMELINE, "timeline", "", false, "boot step by step")                                        \
    X(FACTS, "facts", "", false, "hardware and image, from rayosd")                                \
    X(WORDS, "words", "", false, "the node's fingerprint, as words and hex")                       \
    X(VERSION, "version", "", false, "image and kernel")                                           \
    X(NODE, "node", "WORDS", false,                                                                \
      "as 'clusterctl node WORDS': disk, list, show, approve, confirm-off")                        \
    X(RESTART, "restart", "SERVICE", false, "stop a service and start it again")                   \
    X(REPAIR, "repair", "[force]", true, "xfs_repair of a data disk that could not be used")       \
    X(REBOOT, "reboot", "", true, "ordered shutdown, then start again")                            \
    X(POWEROFF, "poweroff", "", true, "ordered shutdown, then power off")

enum prompt_word {
#define PROMPT_WORD_ENUM(id, word, argument, confirm, explanation) PROMPT_##id,
    PROMPT_WORD_MAP(PROMPT_WORD_ENUM)
#undef PROMPT_WORD_ENUM
        PROMPT_WORD_COUNT
};

struct prompt_word_info {
    const char *word;
    const char *argument;
    bool needs_confirmation;
    const char *explanation;
};

enum {
    PROMPT_ARGUMENT_SIZE_MAX = 64,
    PROMPT_LOG_LINES_DEFAULT = 20,
    PROMPT_LOG_LINES_MAX = 1000,
    PROMPT_NODE_SIZE_MAX = 256,
    PROMPT_NODE_WORD_COUNT_MAX = 12,
};

struct prompt_command {
    enum prompt_word word;
    char argument[PROMPT_ARGUMENT_SIZE_MAX]; /* RESTART: the name */
    uint32_t count;                          /* LOG */
    bool is_forced;                          /* REPAIR */
    char words[PROMPT_NODE_SIZE_MAX];        /* NODE: each with its NUL, no empty ones */
    uint32_t word_count;                     /* NODE */
};

const struct prompt_word_info *prompt_word_info(enum prompt_word word);

/* RAY_EAGAIN: the line is empty. RAY_EUSAGE: err says what is wrong. */
int prompt_command_parse(const char *line, struct prompt_command *out, struct ray_err *err);

#endif
