#include "clusterctl/verbs/policy_source.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/atomic_file.h"
#include "base/size.h"
#include "clusterctl/policy/policy_file.h"
#include "clusterctl/verbs/registry_call.h"

static void print_problems(const char *path, const struct policy_file_problems *problems)
{
    for (size_t i = 0; i < problems->count; i++) {
        const struct policy_file_problem *problem = &problems->list[i];

        (void)fprintf(stderr, "%s:%u:%u: %s\n", path, problem->line, problem->column,
                      problem->text);
        if (problem->next_step[0] != '\0') {
            (void)fprintf(stderr, "  next: %s\n", problem->next_step);
        }
    }
    if (problems->left_out > 0) {
        (void)fprintf(stderr, "%s: %zu more\n", path, problems->left_out);
    }
}

static int read_rules(const char *path, struct policy_file_problems *problems,
                      struct ray_buf *out_rules, struct ray_err *err)
{
    uint8_t *text = NULL;
    size_t size = 0;
    int rc = ray_file_read(AT_FDCWD, path, POLICY_FILE_SIZE_MAX, &text, &size, err);

    if (rc != RAY_OK) {
        return rc;
    }
    rc = policy_file_read((const char *)text, size, out_rules, problems, err);
    free(text);
    if (rc == RAY_OK) {
        return RAY_OK;
    }
    if (rc == RAY_EINVAL) {
        print_problems(path, problems);
        (void)ray_next(err, "repair them, then 'clusterctl policy check %s'", path);
    }
    return ray_wrap(err, rc, "%s", path);
}

int policy_source_file(const char *path, struct ray_buf *out_rules, struct ray_err *err)
{
    struct policy_file_problems *problems = calloc(1, sizeof *problems);
    int rc;

    if (problems == NULL) {
        return ray_fail(err, RAY_ENOMEM, "%s", path);
    }
    rc = read_rules(path, problems, out_rules, err);
    free(problems);
    return rc;
}

static const Rayos__Registry__Object *newest_of(const Rayos__Registry__Answer *answer)
{
    const Rayos__Registry__Object *newest = NULL;

    for (size_t i = 0; i < answer->n_entries; i++) {
        const Rayos__Registry__Object *object = answer->entries[i]->object;

        if (object != NULL && object->policy != NULL &&
            object->body_case == RAYOS__REGISTRY__OBJECT__BODY_POLICY &&
            (newest == NULL || object->policy->version > newest->policy->version)) {
            newest = object;
        }
    }
    return newest;
}

struct newest {
    struct ray_buf *rules;
    uint64_t *version;
};

/* The last of all pages has it: they come in the order of their versions. */
static int take_newest(void *arg, const struct registry_page *page, bool is_first,
                       struct ray_err *err)
{
    const Rayos__Registry__Object *object = newest_of(page->answer);
    const struct newest *newest = arg;

    (void)is_first;
    if (object == NULL) {
        return RAY_OK;
    }
    *newest->version = object->policy->version;
    ray_buf_clear(newest->rules);
    return ray_buf_append(newest->rules, object->spec.data, object->spec.len) == RAY_OK
               ? RAY_OK
               : ray_fail(err, RAY_ETOOBIG, "the rules of version %llu",
                          (unsigned long long)*newest->version);
}

int policy_source_cluster(const struct ray_args *args, uint64_t version, struct ray_buf *out_rules,
                          uint64_t *out_version, struct ray_err *err)
{
    Rayos__Registry__Query query = RAYOS__REGISTRY__QUERY__INIT;
    struct newest newest = {.rules = out_rules, .version = out_version};
    char name[24];
    int rc;

    *out_version = 0;
    query.kind = RAYOS__REGISTRY__KIND__KIND_POLICY;
    query.count_max = 2; /* of up to 256 KiB each */
    if (version != 0) {
        (void)snprintf(name, sizeof name, "%llu", (unsigned long long)version);
        query.name = name;
    }
    rc = registry_fetch_all(args, &query, false, take_newest, &newest, err);
    if (rc == RAY_ENOTFOUND) {
        (void)ray_fail(err, rc, "version %llu of the policy is not kept, or never was",
                       (unsigned long long)version);
        (void)ray_next(err, "clusterctl policy history");
    } else if (rc == RAY_OK && *out_version == 0) {
        rc = ray_fail(err, RAY_ENOTFOUND, "the cluster has no rules: admins may do everything");
        (void)ray_next(err, "clusterctl policy set FILE");
    }
    return rc;
}

bool policy_source_is_version(const char *text, uint64_t *out_version)
{
    return ray_parse_u64(text, 1, UINT64_MAX, out_version) == RAY_OK;
}

int policy_source_print(const struct ray_buf *rules, struct ray_buf *out_text, struct ray_err *err)
{
    struct coord_policy *policy;
    int rc = coord_policy_create(rules->data, rules->size, &policy, err);

    if (rc == RAY_OK) {
        rc = coord_policy_print(policy, out_text, err);
        coord_policy_destroy(policy);
    }
    return rc;
}
