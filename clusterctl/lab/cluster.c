#include "clusterctl/lab/cluster.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "base/size.h"
#include "net/port.h"

enum { NAME_SIZE = 33, HEX_SIZE = 2 * RAY_KEY_SIZE + 1 };

_Static_assert((int)RAY_TOKEN_VERIFIER_SIZE == (int)RAY_KEY_SIZE, "one size of hexadecimal text");

int lab_cluster_init(struct lab_cluster *cluster, const struct lab_config *config,
                     struct ray_err *err)
{
    int rc = RAY_OK;

    *cluster = (struct lab_cluster){.node_count = config->node_count};
    for (size_t i = 0; rc == RAY_OK && i < LAB_CLUSTER_TOKEN_COUNT; i++) {
        rc = ray_token_generate(&cluster->tokens[i], err);
    }
    if (rc != RAY_OK) {
        lab_cluster_fini(cluster);
    }
    return rc;
}

void lab_cluster_fini(struct lab_cluster *cluster)
{
    for (size_t i = 0; i < LAB_CLUSTER_TOKEN_COUNT; i++) {
        ray_token_destroy(cluster->tokens[i]);
    }
    *cluster = (struct lab_cluster){.node_count = 0};
}

/* Names of labs may have dots and underscores, those of clusters not; a lab's begins with none. */
static void cluster_name(const char *lab_name, char out[static NAME_SIZE])
{
    size_t size = strnlen(lab_name, NAME_SIZE - 1);

    for (size_t i = 0; i < size; i++) {
        out[i] = lab_name[i];
        if (out[i] == '.' || out[i] == '_') {
            out[i] = '-';
        }
    }
    while (size > 1 && out[size - 1] == '-') {
        size--;
    }
    out[size] = '\0';
}

int lab_cluster_create_text(const struct lab_cluster *cluster, const char *name, const char *timing,
                            const uint8_t admin[static RAY_KEY_SIZE], struct ray_buf *out,
                            struct ray_err *err)
{
    uint8_t verifier[RAY_TOKEN_VERIFIER_SIZE];
    char cleaned[NAME_SIZE];
    char hex[HEX_SIZE];
    int rc;

    cluster_name(name, cleaned);
    (void)sodium_bin2hex(hex, sizeof hex, admin, RAY_KEY_SIZE);
    rc = ray_buf_appendf(out, "name=%s admin=" LAB_CLUSTER_ADMIN ":%s timing=%s", cleaned, hex,
                         timing);
    for (size_t i = 0; rc == RAY_OK && i < LAB_CLUSTER_TOKEN_COUNT; i++) {
        ray_token_verifier(cluster->tokens[i]->secret, verifier);
        (void)sodium_bin2hex(hex, sizeof hex, verifier, sizeof verifier);
        rc = ray_buf_appendf(out, " %s=%s", i < LAB_CLUSTER_JOIN_COUNT ? "replace-token" : "token",
                             hex);
    }
    sodium_memzero(verifier, sizeof verifier);
    sodium_memzero(hex, sizeof hex);
    return rc == RAY_OK ? RAY_OK : ray_fail(err, rc, "the first node's credential");
}

static int add_seed(struct ray_token *token, size_t index, struct ray_err *err)
{
    struct lab_identity who;
    char seed[RAY_TOKEN_SEED_SIZE_MAX];

    lab_identity(index, &who);
    (void)snprintf(seed, sizeof seed, "%s:" RAY_CLUSTER_PORT, who.address);
    return ray_token_add_seed(token, seed, err);
}

/* All others, or the first machine alone. */
static int add_seeds(const struct lab_cluster *cluster, size_t index, bool is_first,
                     struct ray_token *token, struct ray_err *err)
{
    int rc = RAY_OK;

    token->seed_count = 0;
    for (size_t i = 0; rc == RAY_OK && i < cluster->node_count; i++) {
        if (i != index && token->seed_count < RAY_TOKEN_SEEDS_MAX && (!is_first || i == 0)) {
            rc = add_seed(token, i, err);
        }
    }
    return rc;
}

static int put_token(const struct ray_token *token, struct ray_buf *out, struct ray_err *err)
{
    char text[RAY_TOKEN_TEXT_SIZE_MAX];
    int rc;

    ray_token_format(token, text);
    rc = ray_buf_append(out, text, strlen(text));
    sodium_memzero(text, sizeof text);
    return rc == RAY_OK ? RAY_OK : ray_fail(err, rc, "a token");
}

int lab_cluster_join_text(struct lab_cluster *cluster, size_t index, bool is_first,
                          struct ray_buf *out, struct ray_err *err)
{
    struct ray_token **token = cluster->tokens;
    struct ray_token **end = cluster->tokens + LAB_CLUSTER_JOIN_COUNT;
    int rc;

    while (token < end && *token == NULL) {
        token++;
    }
    if (token == end) {
        (void)ray_fail(err, RAY_ENOTFOUND, "all %d join tokens of this lab are used up",
                       LAB_CLUSTER_JOIN_COUNT);
        (void)ray_next(err, "make the lab anew: clusterctl lab down, lab up");
        return RAY_ENOTFOUND;
    }
    rc = add_seeds(cluster, index, is_first, *token, err);
    rc = rc == RAY_OK ? put_token(*token, out, err) : rc;
    if (rc == RAY_OK) {
        ray_token_destroy(*token);
        *token = NULL;
    }
    return rc;
}

int lab_cluster_contact_text(const struct lab_cluster *cluster, struct ray_buf *out,
                             struct ray_err *err)
{
    struct ray_token *token = cluster->tokens[LAB_CLUSTER_JOIN_COUNT];
    int rc = add_seeds(cluster, LAB_NODE_COUNT_MAX, false, token, err);

    return rc == RAY_OK ? put_token(token, out, err) : rc;
}

uint32_t lab_cluster_voters(uint32_t node_count)
{
    return node_count < 3 ? 1 : 3;
}

uint32_t lab_cluster_heard(const struct lab_markers *markers, uint32_t boot)
{
    const struct ray_marker_info *info = ray_marker_info(RAY_MARKER_CLUSTER_QUORATE);
    const struct lab_marker *last = NULL;
    uint64_t count;

    (void)lab_markers_count(markers, info->prefix, boot, SIZE_MAX, &last);
    if (last == NULL || last->line[strlen(info->prefix)] != ':' ||
        ray_parse_u64(last->line + strlen(info->prefix) + 1, 1, LAB_NODE_COUNT_MAX, &count) !=
            RAY_OK) {
        return 0;
    }
    return (uint32_t)count;
}
