/* node/core/core_line.h - the one line in the kernel's log by which PID 1 hears of a crash:
 *
 *   rayos-core: crash what=rayosd signal=SIGSEGV kept=info pid=301 uncounted=0 note...
 *
 * The kernel's log is the way, because it needs no folder, no socket and no PID 1 that serves:
 * it is open before the collector gives its rights up, is there before the data disk is, and
 * PID 1 reads it anyway. Only root can write there.
 * Memory: none.  Threads: any.  Blocks: never.
 * Trust: parse takes lines of any process with that right: strict, bounded. */
#ifndef RAY_NODE_CORE_CORE_LINE_H
#define RAY_NODE_CORE_CORE_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/core/core_rate.h"

enum { CORE_LINE_SIZE_MAX = 512, CORE_WHAT_SIZE_MAX = 33, CORE_SIGNAL_SIZE_MAX = 16 };

struct core_line {
    char what[CORE_WHAT_SIZE_MAX];     /* service, else command: [A-Za-z0-9._-] */
    char signal[CORE_SIGNAL_SIZE_MAX]; /* "SIGSEGV" */
};

/* Any bytes as a word of [A-Za-z0-9._-], others as '_', never empty, never beginning with '.';
 * cut to out_size. Also for the names of folders. */
void core_word(char *out, size_t out_size, const char *text);
/* "SIGSEGV", "SIG64" where there is no name. */
void core_signal_name(char out[static CORE_SIGNAL_SIZE_MAX], int signum);
const char *core_keep_word(enum core_keep keep); /* "nothing", "info", "memory" */

/* With the priority for /dev/kmsg in front and a newline; `note` may be NULL. Returns its size. */
size_t core_line_format(char out[static CORE_LINE_SIZE_MAX], const char *what, int signum,
                        enum core_keep keep, uint64_t pid, uint64_t uncounted, const char *note);
/* `text` is what the kernel's log gives back, without priority. */
bool core_line_parse(const char *text, size_t size, struct core_line *out);

#endif
