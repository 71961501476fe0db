/* coordinator/core/config.c - decoding is strict: it accepts only what encoding writes, so one
 * configuration has one form, in every log and snapshot. */
#include "coordinator/core/config.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/le.h"

enum { FORMAT = 1, HEADER_SIZE = 9, ADDRESS_SIZE_MAX = 17 };

static_assert(HEADER_SIZE + COORD_SERVERS_MAX * (8 + ADDRESS_SIZE_MAX + 1) + 7 <=
                  COORD_CONFIG_ENCODED_SIZE_MAX,
              "an encoded configuration fits");

int coord_config_check(const struct coord_config *config, struct ray_err *err)
{
    if (config->count == 0 || config->count > COORD_SERVERS_MAX) {
        return ray_fail(err, RAY_EINVAL, "a configuration of %zu servers, not 1 to %d",
                        config->count, COORD_SERVERS_MAX);
    }
    for (size_t i = 0; i < config->count; i++) {
        const struct coord_server *server = &config->servers[i];

        if (server->id == 0 || (i > 0 && server->id <= config->servers[i - 1].id)) {
            return ray_fail(err, RAY_EINVAL, "server %" PRIu64 " is out of order", server->id);
        }
        if (server->role != COORD_STANDBY && server->role != COORD_VOTER) {
            return ray_fail(err, RAY_EINVAL, "server %" PRIu64 " has no known role", server->id);
        }
    }
    if (coord_config_voter_count(config) == 0) {
        return ray_fail(err, RAY_EINVAL, "a configuration without a voter");
    }
    return RAY_OK;
}

size_t coord_config_encode(const struct coord_config *config,
                           uint8_t out[static COORD_CONFIG_ENCODED_SIZE_MAX])
{
    uint8_t *at = out;
    size_t size;

    assert(config->count > 0 && config->count <= COORD_SERVERS_MAX);
    *at++ = FORMAT;
    ray_store64le(at, config->count);
    at += 8;
    for (size_t i = 0; i < config->count; i++) {
        char address[ADDRESS_SIZE_MAX];
        int length = snprintf(address, sizeof address, "%" PRIx64, config->servers[i].id);

        assert(length > 0 && length < ADDRESS_SIZE_MAX);
        ray_store64le(at, config->servers[i].id);
        at += 8;
        memcpy(at, address, (size_t)length + 1);
        at += length + 1;
        *at++ = (uint8_t)config->servers[i].role;
    }
    size = ((size_t)(at - out) + 7) / 8 * 8;
    memset(at, 0, size - (size_t)(at - out));
    return size;
}

/* The servers without a look at the addresses; false: cut short. */
static bool parse(const uint8_t *bytes, size_t size, struct coord_config *config)
{
    const uint8_t *end = bytes + size;
    const uint8_t *at = bytes + HEADER_SIZE;

    for (size_t i = 0; i < config->count; i++) {
        const uint8_t *nul;

        if ((size_t)(end - at) < 8 + 2) {
            return false;
        }
        config->servers[i].id = ray_load64le(at);
        at += 8;
        nul = memchr(at, 0, (size_t)(end - at));
        if (nul == NULL || end - nul < 2 || nul[1] > COORD_VOTER) {
            return false;
        }
        config->servers[i].role = (enum coord_role)nul[1];
        at = nul + 2;
    }
    return true;
}

int coord_config_decode(const uint8_t *bytes, size_t size, struct coord_config *out,
                        struct ray_err *err)
{
    struct coord_config config = {0};
    uint8_t again[COORD_CONFIG_ENCODED_SIZE_MAX];
    uint64_t count;

    if (size < HEADER_SIZE || size > sizeof again || bytes[0] != FORMAT) {
        return ray_fail(err, RAY_EMALFORMED, "not a configuration");
    }
    count = ray_load64le(bytes + 1);
    if (count == 0 || count > COORD_SERVERS_MAX) {
        return ray_fail(err, RAY_EMALFORMED, "a configuration of %" PRIu64 " servers", count);
    }
    config.count = (size_t)count;
    if (!parse(bytes, size, &config)) {
        return ray_fail(err, RAY_EMALFORMED, "a configuration that is cut short");
    }
    if (coord_config_check(&config, err) != RAY_OK) {
        return ray_wrap(err, RAY_EMALFORMED, "configuration");
    }
    if (coord_config_encode(&config, again) != size || memcmp(again, bytes, size) != 0) {
        return ray_fail(err, RAY_EMALFORMED, "a configuration in an unknown form");
    }
    *out = config;
    return RAY_OK;
}

bool coord_config_equal(const struct coord_config *a, const struct coord_config *b)
{
    if (a->count != b->count) {
        return false;
    }
    for (size_t i = 0; i < a->count; i++) {
        if (a->servers[i].id != b->servers[i].id || a->servers[i].role != b->servers[i].role) {
            return false;
        }
    }
    return true;
}

const struct coord_server *coord_config_find(const struct coord_config *config, uint64_t id)
{
    for (size_t i = 0; i < config->count; i++) {
        if (config->servers[i].id == id) {
            return &config->servers[i];
        }
    }
    return NULL;
}

bool coord_config_is_voter(const struct coord_config *config, uint64_t id)
{
    const struct coord_server *server = coord_config_find(config, id);

    return server != NULL && server->role == COORD_VOTER;
}

size_t coord_config_voter_count(const struct coord_config *config)
{
    size_t count = 0;

    for (size_t i = 0; i < config->count; i++) {
        count += config->servers[i].role == COORD_VOTER;
    }
    return count;
}

int coord_config_add(struct coord_config *config, uint64_t id, enum coord_role role,
                     struct ray_err *err)
{
    size_t at = 0;

    if (coord_config_find(config, id) != NULL) {
        return ray_fail(err, RAY_EEXISTS, "server %" PRIu64 " is a member", id);
    }
    if (config->count == COORD_SERVERS_MAX) {
        return ray_fail(err, RAY_ETOOBIG, "more than %d servers", COORD_SERVERS_MAX);
    }
    while (at < config->count && config->servers[at].id < id) {
        at++;
    }
    memmove(&config->servers[at + 1], &config->servers[at],
            (config->count - at) * sizeof config->servers[0]);
    config->servers[at] = (struct coord_server){.id = id, .role = role};
    config->count++;
    return RAY_OK;
}

int coord_config_remove(struct coord_config *config, uint64_t id, struct ray_err *err)
{
    for (size_t i = 0; i < config->count; i++) {
        if (config->servers[i].id == id) {
            memmove(&config->servers[i], &config->servers[i + 1],
                    (config->count - i - 1) * sizeof config->servers[0]);
            config->count--;
            return RAY_OK;
        }
    }
    return ray_fail(err, RAY_ENOTFOUND, "server %" PRIu64 " is not a member", id);
}

int coord_config_set_role(struct coord_config *config, uint64_t id, enum coord_role role,
                          struct ray_err *err)
{
    for (size_t i = 0; i < config->count; i++) {
        if (config->servers[i].id == id) {
            config->servers[i].role = role;
            return RAY_OK;
        }
    }
    return ray_fail(err, RAY_ENOTFOUND, "server %" PRIu64 " is not a member", id);
}

/* Servers of `a` that `b` does not have in the same role. */
static size_t count_missing(const struct coord_config *a, const struct coord_config *b)
{
    size_t count = 0;

    for (size_t i = 0; i < a->count; i++) {
        const struct coord_server *other = coord_config_find(b, a->servers[i].id);

        count += other == NULL || other->role != a->servers[i].role;
    }
    return count;
}

int coord_config_check_next(const struct coord_config *config, const struct coord_config *next,
                            struct ray_err *err)
{
    size_t gone;
    size_t came;
    int rc = coord_config_check(next, err);

    if (rc != RAY_OK) {
        return rc;
    }
    gone = count_missing(config, next);
    came = count_missing(next, config);
    /* A changed role counts on both sides, at equal size; a replaced server would, too. */
    if (gone + came == 1) {
        return RAY_OK;
    }
    if (gone == 1 && came == 1) {
        for (size_t i = 0; i < next->count; i++) {
            if (coord_config_find(config, next->servers[i].id) == NULL) {
                return ray_fail(err, RAY_EINVAL, "one server replaced by another in one step");
            }
        }
        return RAY_OK;
    }
    return ray_fail(err, RAY_EINVAL, "a change of %zu servers, not of one",
                    gone > came ? gone : came);
}
