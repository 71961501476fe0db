/* policy_diff.c - rules as text, one block each; the longest common sequence of blocks stays. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clusterctl/cli/output.h"
#include "clusterctl/verbs/policy.h"
#include "clusterctl/verbs/policy_source.h"

struct block {
    const char *at;
    size_t size;
};

struct blocks {
    struct ray_buf text;
    struct block list[COORD_POLICY_RULES_MAX];
    size_t count;
};

/* Each begins with its header; what comes before the first one is a comment. */
static void split(struct blocks *blocks)
{
    static const char head[] = "[[rule]]";
    const char *at = strstr((const char *)blocks->text.data, head);

    while (at != NULL && blocks->count < COORD_POLICY_RULES_MAX) {
        const char *next = strstr(at + 1, "\n[[rule]]");

        next = next != NULL ? next + 1 : NULL;
        blocks->list[blocks->count++] =
            (struct block){at, next != NULL ? (size_t)(next - at) : strlen(at)};
        at = next;
    }
}

static int read_blocks(const struct ray_buf *rules, struct blocks *out, struct ray_err *err)
{
    int rc = policy_source_print(rules, &out->text, err);

    if (rc == RAY_OK) {
        split(out);
    }
    return rc;
}

static bool is_same(const struct block *a, const struct block *b)
{
    return a->size == b->size && memcmp(a->at, b->at, a->size) == 0;
}

static void print_block(char sign, const struct block *block)
{
    const char *at = block->at;
    const char *end = block->at + block->size;

    while (at < end) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        size_t size = line_end != NULL ? (size_t)(line_end - at) : (size_t)(end - at);

        if (size > 0) {
            (void)printf("%c %.*s\n", sign, (int)size, at);
        }
        at += size + 1;
    }
}

/* lengths[i][j]: of the longest common sequence of old from i and new from j on. */
static void measure(const struct blocks *old, const struct blocks *new_blocks, uint16_t *lengths)
{
    size_t width = new_blocks->count + 1;

    for (size_t i = old->count; i-- > 0;) {
        for (size_t j = new_blocks->count; j-- > 0;) {
            uint16_t down = lengths[(i + 1) * width + j];
            uint16_t right = lengths[i * width + j + 1];

            lengths[i * width + j] = is_same(&old->list[i], &new_blocks->list[j])
                                         ? (uint16_t)(lengths[(i + 1) * width + j + 1] + 1)
                                     : down > right ? down
                                                    : right;
        }
    }
}

static bool print_difference(const struct blocks *old, const struct blocks *new_blocks,
                             const uint16_t *lengths)
{
    size_t width = new_blocks->count + 1;
    bool is_any = false;
    size_t i = 0;
    size_t j = 0;

    while (i < old->count || j < new_blocks->count) {
        if (i < old->count && j < new_blocks->count &&
            is_same(&old->list[i], &new_blocks->list[j])) {
            i++;
            j++;
            continue;
        }
        is_any = true;
        if (j == new_blocks->count ||
            (i < old->count && lengths[(i + 1) * width + j] >= lengths[i * width + j + 1])) {
            print_block('-', &old->list[i++]);
        } else {
            print_block('+', &new_blocks->list[j++]);
        }
    }
    return is_any;
}

static int show_difference(const struct blocks *old, const struct blocks *new_blocks,
                           struct ray_err *err)
{
    uint16_t *lengths = calloc((old->count + 1) * (new_blocks->count + 1), sizeof *lengths);

    if (lengths == NULL) {
        return ray_fail(err, RAY_ENOMEM, "the rules");
    }
    measure(old, new_blocks, lengths);
    if (!print_difference(old, new_blocks, lengths)) {
        (void)printf("no difference\n");
    }
    free(lengths);
    return RAY_OK;
}

static int compare(const struct ray_buf *in_force, const struct ray_buf *other, struct ray_err *err)
{
    struct blocks *both = calloc(2, sizeof *both);
    int rc;

    if (both == NULL) {
        return ray_fail(err, RAY_ENOMEM, "the rules");
    }
    ray_buf_init(&both[0].text, POLICY_SOURCE_TEXT_SIZE_MAX);
    ray_buf_init(&both[1].text, POLICY_SOURCE_TEXT_SIZE_MAX);
    rc = read_blocks(in_force, &both[0], err);
    if (rc == RAY_OK) {
        rc = read_blocks(other, &both[1], err);
    }
    if (rc == RAY_OK) {
        rc = show_difference(&both[0], &both[1], err);
    }
    ray_buf_fini(&both[0].text);
    ray_buf_fini(&both[1].text);
    free(both);
    return rc;
}

int policy_run_diff(const struct ray_args *args, void *context)
{
    struct ray_err err = {0};
    struct ray_buf in_force;
    struct ray_buf other;
    uint64_t version = 0;
    uint64_t shown;
    int rc;

    (void)context;
    ray_buf_init(&in_force, POLICY_SOURCE_SIZE_MAX);
    ray_buf_init(&other, POLICY_SOURCE_SIZE_MAX);
    rc = policy_source_is_version(args->positionals[0], &version)
             ? policy_source_cluster(args, version, &other, &shown, &err)
             : policy_source_file(args->positionals[0], &other, &err);
    if (rc == RAY_OK) {
        rc = policy_source_cluster(args, 0, &in_force, &shown, &err);
    }
    if (rc == RAY_OK) {
        rc = compare(&in_force, &other, &err);
    }
    ray_buf_fini(&in_force);
    ray_buf_fini(&other);
    return rc == RAY_OK ? 0 : output_error(&err);
}
