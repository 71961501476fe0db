/* command.c - commands of the registry as this member makes them. */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "coordinator/api/impl.h"

ProtobufCBinaryData member_id_field(const struct ray_id *id)
{
    /* protobuf-c packs from pointers without const. */
    return (ProtobufCBinaryData){.len = RAY_ID_SIZE, .data = (uint8_t *)(uintptr_t)id->bytes};
}

int member_command_pack(const struct coord_member *m, Rayos__Registry__Command *command,
                        const char *principal, const char *reason, uint8_t **out_bytes,
                        size_t *out_size, struct ray_err *err)
{
    Rayos__Registry__Header own = RAYOS__REGISTRY__HEADER__INIT;
    Rayos__Registry__Header *given = command->header;
    Rayos__Registry__Header *header = given != NULL ? given : &own;
    uint8_t *bytes;
    size_t size;

    header->version = COORD_FSM_COMMAND_VERSION;
    header->principal = (char *)(uintptr_t)principal;
    if (reason != NULL && header->reason[0] == '\0') {
        header->reason = (char *)(uintptr_t)reason;
    }
    header->time_us = 0; /* the leader's */
    header->incarnation = member_id_field(&m->incarnation);
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
    out->node.identity_key.data = (uint8_t *)(uintptr_t)ray_key_identity(m->key);
    out->node.identity_key.len = RAY_KEY_SIZE;
    out->node.link_key.data = (uint8_t *)(uintptr_t)ray_key_static(m->key);
    out->node.link_key.len = RAY_KEY_SIZE;
    out->node.link_key_signature.data = out->proof + RAY_KEY_PROOF_SIZE - RAY_KEY_SIGNATURE_SIZE;
    out->node.link_key_signature.len = RAY_KEY_SIGNATURE_SIZE;
    out->node.address = (char *)(uintptr_t)m->address;
    out->node.domain = (char *)(uintptr_t)m->domain;
    out->node.is_fit_for_leases = m->config.is_fit_for_leases;
    out->object.kind = RAYOS__REGISTRY__KIND__KIND_NODE;
    out->object.id = member_id_field(&m->id);
    out->object.name = (char *)(uintptr_t)m->name;
    out->object.body_case = RAYOS__REGISTRY__OBJECT__BODY_NODE;
    out->object.node = &out->node;
}
