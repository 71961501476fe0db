/* clusterctl/verbs/registry_call.h - pages of a query, and changes that run once, for verbs that
 * have --socket, --timeout and, to change something, --reason.
 *
 * Memory: a page is the caller's to fini.  Threads: one.  Blocks: until the end or --timeout.
 * Trust: answers are checked by net/rpc. */
#ifndef RAY_CLUSTERCTL_VERBS_REGISTRY_CALL_H
#define RAY_CLUSTERCTL_VERBS_REGISTRY_CALL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/args.h"
#include "base/buf.h"
#include "base/err.h"
#include "net/proto/registry.pb-c.h"

struct registry_page {
    struct ray_buf bytes;
    Rayos__Registry__Answer *answer;
    uint64_t revision;
    uint64_t age_ms;
    int code; /* of putting its parts together */
};

/* `page` is the caller's to fini, whatever is returned. */
int registry_fetch(const struct ray_args *args, const Rayos__Registry__Query *query,
                   bool is_linearizable, struct registry_page *page, struct ray_err *err);
void registry_page_fini(struct registry_page *page);

/* Page after page of `query`, whose cursor it sets; `on_page` borrows each, and what it returns but
 * RAY_OK ends it. A later page may be of a later revision. */
int registry_fetch_all(const struct ray_args *args, Rayos__Registry__Query *query,
                       bool is_linearizable,
                       int (*on_page)(void *arg, const struct registry_page *page, bool is_first,
                                      struct ray_err *err),
                       void *arg, struct ray_err *err);

/* By a session, so that it runs once even when the leader is lost meanwhile; header and reason are
 * set here. A refusal is an error like any other. */
int registry_change_once(const struct ray_args *args, Rayos__Registry__Command *command,
                         uint64_t *out_revision, struct ray_err *err);
/* The same with what the command answers; the reply is the caller's (free_unpacked). */
int registry_change_reply(const struct ray_args *args, Rayos__Registry__Command *command,
                          uint64_t *out_revision, Rayos__Registry__Reply **out_reply,
                          struct ray_err *err);

#endif
