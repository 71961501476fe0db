#include "clusterctl/verbs/node_find.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clusterctl/verbs/cluster_call.h"

enum { ID_DIGITS_MIN = 4, CANDIDATES_SHOWN_MAX = 6, CANDIDATES_SIZE = 400 };

static int fetch_page(const struct ray_args *args, Rayos__Cluster__NodesRequest *request,
                      Rayos__Cluster__Nodes **out, struct ray_err *err)
{
    ProtobufCMessage *body = NULL;
    int rc = cluster_call(args, "node.list", &request->base, &rayos__cluster__nodes__descriptor,
                          &body, err);

    if (rc == RAY_OK) {
        *out = (Rayos__Cluster__Nodes *)body;
    }
    return rc;
}

/* `all` gets the nodes of `page`. */
static int append(Rayos__Cluster__Nodes *all, Rayos__Cluster__Nodes *page, struct ray_err *err)
{
    Rayos__Cluster__NodeStatus **nodes =
        realloc(all->nodes, (all->n_nodes + page->n_nodes + 1) * sizeof(*nodes));

    if (nodes == NULL) {
        return ray_fail(err, RAY_ENOMEM, "a list of nodes");
    }
    memcpy(nodes + all->n_nodes, page->nodes, page->n_nodes * sizeof(*nodes));
    all->nodes = nodes;
    all->n_nodes += page->n_nodes;
    page->n_nodes = 0;
    return RAY_OK;
}

int node_list_fetch(const struct ray_args *args, bool is_linearizable, Rayos__Cluster__Nodes **out,
                    struct ray_err *err)
{
    Rayos__Cluster__NodesRequest request = RAYOS__CLUSTER__NODES_REQUEST__INIT;
    Rayos__Cluster__Nodes *all = NULL;
    bool is_more;
    int rc;

    request.is_linearizable = is_linearizable;
    rc = fetch_page(args, &request, &all, err);
    is_more = rc == RAY_OK && all->n_nodes > 0 && all->n_nodes < all->node_count;
    while (rc == RAY_OK && is_more) {
        Rayos__Cluster__Nodes *page = NULL;

        request.after_name = all->nodes[all->n_nodes - 1]->name;
        rc = fetch_page(args, &request, &page, err);
        if (rc == RAY_OK) {
            is_more = page->n_nodes > 0 && all->n_nodes + page->n_nodes < all->node_count;
            rc = append(all, page, err);
        }
        node_list_free(page);
    }
    if (rc != RAY_OK) {
        node_list_free(all);
        return rc;
    }
    *out = all;
    return RAY_OK;
}

void node_list_free(Rayos__Cluster__Nodes *nodes)
{
    if (nodes != NULL) {
        rayos__cluster__nodes__free_unpacked(nodes, NULL);
    }
}

void node_list_keep(Rayos__Cluster__Nodes *nodes, const char *state)
{
    size_t count = 0;

    for (size_t i = 0; i < nodes->n_nodes; i++) {
        if (strcmp(nodes->nodes[i]->state, state) == 0) {
            nodes->nodes[count++] = nodes->nodes[i];
        } else {
            rayos__cluster__node_status__free_unpacked(nodes->nodes[i], NULL);
        }
    }
    nodes->n_nodes = count;
    nodes->node_count = count;
}

/* ---- which one is meant ---- */

static bool is_meant(const Rayos__Cluster__NodeStatus *node, const char *wanted)
{
    size_t size = strlen(wanted);

    return strcmp(node->name, wanted) == 0 || strcmp(node->id, wanted) == 0 ||
           (wanted[0] != '\0' && strcmp(node->wanted_name, wanted) == 0) ||
           (size >= ID_DIGITS_MIN && strncmp(node->id, wanted, size) == 0);
}

static bool is_candidate(const Rayos__Cluster__NodeStatus *node, const char *state)
{
    return state == NULL || strcmp(node->state, state) == 0;
}

/* Those that may be meant; `wanted` NULL: all. */
static void describe(const Rayos__Cluster__Nodes *nodes, const char *state, const char *wanted,
                     char *out, size_t size)
{
    size_t used = 0;
    size_t shown = 0;

    (void)snprintf(out, size, "none");
    for (size_t i = 0; i < nodes->n_nodes && used < size; i++) {
        int n;

        if (!is_candidate(nodes->nodes[i], state) ||
            (wanted != NULL && !is_meant(nodes->nodes[i], wanted))) {
            continue;
        }
        n = shown == CANDIDATES_SHOWN_MAX
                ? snprintf(out + used, size - used, ", ...")
                : snprintf(out + used, size - used, "%s%s (%.8s)", shown == 0 ? "" : ", ",
                           nodes->nodes[i]->name, nodes->nodes[i]->id);
        used += n > 0 ? (size_t)n : 0;
        if (shown++ == CANDIDATES_SHOWN_MAX) {
            return;
        }
    }
}

int node_find(const Rayos__Cluster__Nodes *nodes, const char *state, const char *wanted,
              const Rayos__Cluster__NodeStatus **out, struct ray_err *err)
{
    const Rayos__Cluster__NodeStatus *found = NULL;
    char candidates[CANDIDATES_SIZE];
    size_t count = 0;
    int rc;

    for (size_t i = 0; i < nodes->n_nodes; i++) {
        if (!is_candidate(nodes->nodes[i], state)) {
            continue;
        }
        if (strcmp(nodes->nodes[i]->name, wanted) == 0) {
            *out = nodes->nodes[i]; /* a name is of one node */
            return RAY_OK;
        }
        if (is_meant(nodes->nodes[i], wanted)) {
            found = nodes->nodes[i];
            count++;
        }
    }
    if (count == 1) {
        *out = found;
        return RAY_OK;
    }
    describe(nodes, state, count == 0 ? NULL : wanted, candidates, sizeof candidates);
    rc = count > 0
             ? ray_fail(err, RAY_ENOTFOUND, "'%s' may be any of %s", wanted, candidates)
             : ray_fail(err, RAY_ENOTFOUND, "no %s%snode '%s'; those that there are: %s",
                        state != NULL ? state : "", state != NULL ? " " : "", wanted, candidates);
    (void)ray_next(err, "give its whole name or id; 'clusterctl node list'");
    return rc;
}
