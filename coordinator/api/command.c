/* command.c - commands of the registry as this member makes them. */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "base/varint.h"
#include "coordinator/api/impl.h"
#include "net/proto_codec.h"

const struct member_caller member_self = {.name = "rayos"};

/* No change without one: who looks at it later sees that nobody said why. */
static const char no_reason[] = "(no reason given)";

static void complete_header(const struct coord_member *m, const struct member_caller *caller,
                            Rayos__Registry__Header *header)
{
    header->version = COORD_FSM_COMMAND_VERSION;
    header->principal = (char *)(uintptr_t)caller->name;
    header->caller = caller->kind;
    header->time_us = 0; /* the leader's */
    header->incarnation = ray_proto_id(&m->incarnation);
    if (header->reason[0] == '\0') {
        header->reason = (char *)(uintptr_t)no_reason;
    }
}

int member_command_pack(const struct coord_member *m, Rayos__Registry__Command *command,
                        const struct member_caller *caller, const char *reason, uint8_t **out_bytes,
                        size_t *out_size, struct ray_err *err)
{
    Rayos__Registry__Header own = RAYOS__REGISTRY__HEADER__INIT;
    Rayos__Registry__Header *given = command->header;
    Rayos__Registry__Header *header = given != NULL ? given : &own;
    uint8_t *bytes;
    size_t size;

    if (reason != NULL && header->reason[0] == '\0') {
        header->reason = (char *)(uintptr_t)reason;
    }
    complete_header(m, caller, header);
    command->header = header;
    size = rayos__registry__command__get_packed_size(command);
    bytes = malloc(size);
    if (bytes != NULL) {
        (void)rayos__registry__command__pack(command, bytes);
    }
    command->header = given;
    if (bytes == NULL) {
        return ray_fail(err, RAY_ENOMEM, "a command of %zu bytes", size);
    }
    *out_bytes = bytes;
    *out_size = size;
    return RAY_OK;
}

/* ---- commands as clients pack them ---- */

enum { HEADER_FIELD = 1, TYPE_MESSAGE = 2 };

struct span {
    const uint8_t *at;
    size_t size;
};

static bool take_varint(struct span *rest, uint64_t *out)
{
    size_t size = ray_varint_take_short(rest->at, rest->size, RAY_VARINT_HEAD_SIZE_MAX, out);

    if (size == 0) {
        return false;
    }
    rest->at += size;
    rest->size -= size;
    return true;
}

/* A field that is a message. */
static bool take_message(struct span *rest, uint64_t *out_number, struct span *out)
{
    uint64_t key;
    uint64_t size;

    if (!take_varint(rest, &key) || (key & 7) != TYPE_MESSAGE || !take_varint(rest, &size) ||
        size > rest->size) {
        return false;
    }
    *out_number = key >> 3;
    *out = (struct span){rest->at, (size_t)size};
    rest->at += size;
    rest->size -= (size_t)size;
    return true;
}

static uint8_t *put_head(uint8_t *at, size_t size)
{
    *at++ = HEADER_FIELD << 3 | TYPE_MESSAGE;
    return ray_varint_put(at, size);
}

/* The usual form: a header, then the one field that says what to do, whose bytes stay as they
 * are (the state machine's check looks into them). RAY_EAGAIN: another form. */
static int adopt_usual(struct coord_member *m, struct span in, const struct member_caller *caller,
                       struct member_command *out, struct ray_err *err)
{
    enum { HEAD_SIZE_MAX = 6 };
    ProtobufCMessage *message = NULL;
    Rayos__Registry__Header *header;
    struct span header_bytes;
    struct span content;
    struct span body;
    uint64_t number;
    uint8_t *bytes;
    uint8_t *at;
    int rc;

    if (!take_message(&in, &number, &header_bytes) || number != HEADER_FIELD) {
        return RAY_EAGAIN;
    }
    body = in;
    if (!take_message(&in, &number, &content) || number == HEADER_FIELD || in.size > 0) {
        return RAY_EAGAIN;
    }
    rc = ray_proto_unpack(&rayos__registry__header__descriptor, header_bytes.at, header_bytes.size,
                          &m->arena, &message, err);
    if (rc != RAY_OK) {
        return rc;
    }
    header = (Rayos__Registry__Header *)message;
    complete_header(m, caller, header);
    bytes = ray_arena_alloc(&m->arena, HEAD_SIZE_MAX + body.size +
                                           rayos__registry__header__get_packed_size(header));
    if (bytes == NULL) {
        return ray_fail(err, RAY_ETOOBIG, "a command of %zu bytes", body.size);
    }
    at = put_head(bytes, rayos__registry__header__get_packed_size(header));
    at += rayos__registry__header__pack(header, at);
    memcpy(at, body.at, body.size);
    *out = (struct member_command){
        .body = number, .bytes = bytes, .size = (size_t)(at - bytes) + body.size};
    return RAY_OK;
}

static int adopt_any(struct coord_member *m, struct span in, const struct member_caller *caller,
                     struct member_command *out, struct ray_err *err)
{
    Rayos__Registry__Header own = RAYOS__REGISTRY__HEADER__INIT;
    Rayos__Registry__Command *command;
    ProtobufCMessage *message = NULL;
    int rc = ray_proto_unpack(&rayos__registry__command__descriptor, in.at, in.size, &m->arena,
                              &message, err);

    if (rc != RAY_OK) {
        return rc;
    }
    command = (Rayos__Registry__Command *)message;
    command->header = command->header != NULL ? command->header : &own;
    complete_header(m, caller, command->header);
    out->body = command->body_case;
    return ray_proto_pack(message, COORD_FSM_COMMAND_SIZE_MAX, &m->arena, &out->bytes, &out->size,
                          err);
}

int member_command_adopt(struct coord_member *m, const uint8_t *bytes, size_t size,
                         const struct member_caller *caller, struct member_command *out,
                         struct ray_err *err)
{
    struct span in = {bytes, size};
    int rc;

    if (size > COORD_FSM_COMMAND_SIZE_MAX) {
        (void)ray_fail(err, RAY_ETOOBIG, "a command of %zu bytes, at most %d", size,
                       COORD_FSM_COMMAND_SIZE_MAX);
        (void)ray_next(err, "make several commands of it");
        return RAY_ETOOBIG;
    }
    ray_arena_reset(&m->arena);
    rc = adopt_usual(m, in, caller, out, err);
    return rc == RAY_EAGAIN ? adopt_any(m, in, caller, out, err) : rc;
}

int member_explain(int status, struct ray_err *err)
{
    static const char look[] = "clusterctl cluster status";

    switch (status) {
    case RAY_OK:
        return RAY_OK;
    case RAY_ENOQUORUM:
        (void)ray_fail(err, status, "no leader answered in time; nothing was changed");
        break;
    case RAY_ETIMEOUT:
        (void)ray_fail(err, status,
                       "no result in time; whether the change was made is not known yet");
        break;
    case RAY_EUNAVAILABLE:
        (void)ray_fail(err, status,
                       "the leader was lost; whether the change was made is not known");
        break;
    case RAY_ECANCELED:
        (void)ray_fail(err, status, "this member stops");
        break;
    case RAY_EDENIED:
        (void)ray_fail(err, status, "the leader does not take this from this node");
        break;
    case RAY_ENOSPC:
        (void)ray_fail(err, status, "the leader's log has no space left");
        break;
    default:
        (void)ray_fail(err, status, "%s", ray_err_text(status));
        break;
    }
    (void)ray_next(err, "%s", look);
    return status;
}

int member_timing(const char *profile, Rayos__Registry__Timing *out, struct ray_err *err)
{
    static const struct {
        const char *name;
        uint32_t heartbeat_ms, election_ms, grant_ms, renew_ms, margin_ms;
    } profiles[] = {
        {"lan", 40, 200, 3000, 500, 500},
        {"slow", 250, 2500, 15000, 2000, 3000},
        {"wan", 200, 2000, 10000, 1500, 1500},
    };
    enum { DRIFT_PPM = 10000 };

    for (size_t i = 0; i < RAY_ARRAY_COUNT(profiles); i++) {
        if (strcmp(profile, profiles[i].name) == 0) {
            rayos__registry__timing__init(out);
            out->profile = (char *)(uintptr_t)profiles[i].name;
            out->heartbeat_ms = profiles[i].heartbeat_ms;
            out->election_ms = profiles[i].election_ms;
            out->grant_ms = profiles[i].grant_ms;
            out->renew_ms = profiles[i].renew_ms;
            out->margin_ms = profiles[i].margin_ms;
            out->drift_ppm = DRIFT_PPM;
            return RAY_OK;
        }
    }
    return ray_fail(err, RAY_EINVAL, "timing is lan, slow or wan");
}

void member_describe_self(const struct coord_member *m, struct member_self *out)
{
    rayos__registry__object__init(&out->object);
    rayos__registry__node__init(&out->node);
    ray_key_proof(m->key, out->proof);
    out->node.identity_key = ray_proto_bytes(ray_key_identity(m->key), RAY_KEY_SIZE);
    out->node.link_key = ray_proto_bytes(ray_key_static(m->key), RAY_KEY_SIZE);
    out->node.link_key_signature = ray_proto_bytes(
        out->proof + RAY_KEY_PROOF_SIZE - RAY_KEY_SIGNATURE_SIZE, RAY_KEY_SIGNATURE_SIZE);
    out->node.address = (char *)(uintptr_t)m->address;
    out->node.domain = (char *)(uintptr_t)m->domain;
    out->node.is_fit_for_leases = m->config.is_fit_for_leases;
    out->object.kind = RAYOS__REGISTRY__KIND__KIND_NODE;
    out->object.id = ray_proto_id(&m->id);
    out->object.name = (char *)(uintptr_t)m->name;
    out->object.body_case = RAYOS__REGISTRY__OBJECT__BODY_NODE;
    out->object.node = &out->node;
}
