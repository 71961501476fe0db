/* clusterctl/lab/qmp_message.h - what a line of QMP says, and how a command is written.
 *
 * Memory: a message owns its document until fini; the rest of it borrows from that.
 * Threads: any.  Blocks: never (pure).  Trust: any bytes. */
#ifndef RAY_LAB_QMP_MESSAGE_H
#define RAY_LAB_QMP_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <yyjson.h>

#include "base/err.h"

enum ray_qmp_kind {
    RAY_QMP_GREETING,
    RAY_QMP_RETURN,
    RAY_QMP_ERROR,
    RAY_QMP_EVENT,
};

struct ray_qmp_message {
    enum ray_qmp_kind kind;
    bool has_id;
    uint64_t id;       /* of return and error, as we sent it */
    yyjson_val *value; /* return's value, event's data (or NULL) */
    const char *name;  /* event's name, error's class */
    const char *text;  /* error's description */
    uint64_t t_us;     /* event's time; 0: none */
    yyjson_doc *doc;
};

/* `line` without its end; RAY_EMALFORMED says what is wrong with it. RAY_ENOMEM. */
int ray_qmp_message_parse(const char *line, size_t size, struct ray_qmp_message *out,
                          struct ray_err *err);
void ray_qmp_message_fini(struct ray_qmp_message *message); /* safe on zeroed */

/* {"execute": command, "arguments": arguments, "id": id}\n as malloc'ed text. RAY_EINVAL when
 * `arguments` (may be NULL) is not a JSON object. */
int ray_qmp_command_make(const char *command, const char *arguments, uint64_t id, char **out_text,
                         size_t *out_size, struct ray_err *err);

#endif
