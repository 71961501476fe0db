/* tests/hosted/history/history_file.h - a history of clients as lines of text, one an event, so
 * that one whose writer was killed is good up to there:
 *
 *   NS CLIENT SEQUENCE invoke read|write|swap KEY VALUE EXPECTED
 *   NS CLIENT SEQUENCE ok VALUE         read: what it saw
 *   NS CLIENT SEQUENCE fail             swap: the register had something else
 *   NS CLIENT SEQUENCE unknown          it may have run, or may yet run
 *
 * NS is CLOCK_MONOTONIC of the machine that all clients run on. A value is written once.
 * Memory: the history is the caller's (sim_history_fini).  Threads: one owner.
 * Blocks: on the file.  Trust: a file may hold anything. */
#ifndef RAY_TESTS_HOSTED_HISTORY_HISTORY_FILE_H
#define RAY_TESTS_HOSTED_HISTORY_HISTORY_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "tests/sim/history.h"

enum history_event_kind {
    HISTORY_INVOKE,
    HISTORY_OK,
    HISTORY_FAIL,
    HISTORY_UNKNOWN,
};

struct history_event {
    enum history_event_kind kind;
    uint64_t at_ns;
    uint32_t client;
    uint64_t sequence;
    enum sim_op_kind op; /* of invoke, with key and expected */
    uint32_t key;
    uint64_t value; /* of invoke and ok */
    uint64_t expected;
};

/* False: errno says why. The line is in the file when this returns. */
bool history_event_write(FILE *file, const struct history_event *event);

/* RAY_EMALFORMED names the line; *out holds what came before. An unfinished last line counts as
 * not written. */
int history_file_read(FILE *file, struct sim_history *out, struct ray_err *err);

#endif
