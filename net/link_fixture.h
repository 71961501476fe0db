/* net/link_fixture.h - nodes with links on one loop, over loopback; every message is checked
 * against what the sender said in that epoch. For tests only.
 *
 * Memory: world_make and world_drop.  Threads: one.  Blocks: in run functions.
 * Trust: none. */
#ifndef RAY_NET_LINK_FIXTURE_H
#define RAY_NET_LINK_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/loop.h"
#include "net/link_peer.h"

enum { WORLD_NODES_MAX = 66, WORLD_MESSAGE_SIZE_MIN = 24 };

struct world;

/* What one node knows of another. */
struct world_peer {
    uint64_t epoch;      /* 0: down */
    uint64_t last_epoch; /* the highest ever */
    uint64_t sent;       /* in this epoch */
    uint64_t received;   /* in this epoch */
    uint64_t instance;   /* the sender's, of this epoch's messages */
    uint64_t its_epoch;  /* the sender's number of this epoch */
    unsigned up_count;
    unsigned down_count;
    unsigned writable_count;
    uint64_t total; /* messages received, ever */
    size_t last_size;
    bool is_unknown; /* this node's registry does not name it */
    bool is_revoked;
    bool has_wrong_key;  /* this node's registry has another key of it */
    uint64_t told_epoch; /* a later cluster epoch, as the peer has proven; 0: none */
    unsigned told_count;
    struct ray_link_removal says_removed;  /* of the peer, when asked; last_number 0: nothing */
    struct ray_link_removal hears_removed; /* by the peer, of this node */
    unsigned removed_count;
};

struct world_node {
    struct world *world;
    unsigned index;
    uint64_t instance; /* how often its link set was made */
    struct ray_id id;
    struct ray_key *key;
    struct ray_link *link; /* NULL: stopped */
    uint16_t port;         /* stays over restarts */
    struct world_peer peers[WORLD_NODES_MAX];
    unsigned guest_count;
    unsigned lost_count;
    enum ray_peer_kind lost; /* the last one's */
    struct ray_peer guest;
    int guest_fd; /* -1: none */
    struct ray_seal *guest_seal;
    bool echoes; /* sends back what comes */
};

typedef int (*world_create)(struct ray_link **out_link, struct ray_loop *loop,
                            const struct ray_link_config *config, struct ray_err *err);

struct world {
    struct ray_loop loop;
    struct ray_timer late; /* ends run_until */
    bool is_late;
    world_create create;
    struct ray_id cluster;
    uint64_t cluster_epoch;
    size_t node_count;
    struct world_node nodes[WORLD_NODES_MAX];
};

/* On the heap, for world_drop. */
struct world *world_make(world_create create, size_t node_count);
/* Two nodes with a link, which the first has dialled. */
struct world *world_make_pair(world_create create);
void world_drop(struct world *world);
/* Makes the node's link set; RAY_OK or what create said. */
int world_start(struct world_node *node);
void world_stop(struct world_node *node);
void world_add(struct world_node *node, const struct world_node *peer);
void world_add_at(struct world_node *node, const struct world_node *peer, uint16_t port);

/* Sends the next numbered message, at least WORLD_MESSAGE_SIZE_MIN bytes. */
int world_send(struct world_node *node, const struct world_node *peer, size_t size);

/* Turns the loop until `is_done`; false after 30 s. */
bool world_run_until(struct world *world, bool (*is_done)(void *arg), void *arg);
void world_turns(struct world *world, unsigned count, unsigned each_ms);

/* Both have a link to each other. */
bool world_is_linked(const struct world_node *a, const struct world_node *b);
bool world_run_until_linked(struct world_node *a, struct world_node *b);

/* Until `a` has got as many messages of `b`, ever; and not one more. */
void world_run_until_total(struct world_node *a, const struct world_node *b, uint64_t wanted);
/* Until `a` has found its link to `b` down. */
void world_run_until_down(struct world_node *a, const struct world_node *b);
/* Until what `a` says of why there is no link to `b` has `text` in it. */
void world_run_until_trouble(struct world_node *a, const struct world_node *b, const char *text);

/* What a main begins with: `PROGRAM uv|nng [TEST]` says of which kind the links are. NULL: it was
 * said on stderr what is wrong. */
world_create world_main(int argc, char **argv, world_create uv, world_create nng);

/* A TCP connection to the node, blocking. */
int world_connect_raw(const struct world_node *node);

#endif
