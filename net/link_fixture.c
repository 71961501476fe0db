/* link_fixture.c - see link_fixture.h. A message is {instance, epoch, number} of the sender, then
 * bytes that follow from the number. */
#include "net/link_fixture.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <signal.h>
#include <sodium.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/test.h"

struct said {
    uint64_t instance;
    uint64_t epoch;
    uint64_t number;
};

static_assert(sizeof(struct said) == WORLD_MESSAGE_SIZE_MIN, "no holes");

static struct world_node *node_of(struct world *world, const struct ray_id *id)
{
    for (size_t i = 0; i < world->node_count; i++) {
        if (ray_id_equal(&world->nodes[i].id, id)) {
            return &world->nodes[i];
        }
    }
    return NULL;
}

static struct world_peer *peer_of(struct world_node *node, const struct ray_id *id)
{
    const struct world_node *other = node_of(node->world, id);

    assert_non_null(other);
    return &node->peers[other->index];
}

static int known(void *arg, const struct ray_id *id, uint8_t out_static[static RAY_KEY_SIZE],
                 uint8_t out_identity[static RAY_KEY_SIZE])
{
    struct world_node *node = arg;
    const struct world_node *other = node_of(node->world, id);
    const struct world_peer *peer;

    if (other == NULL) {
        return RAY_ENOTFOUND;
    }
    peer = &node->peers[other->index];
    if (peer->is_unknown || peer->is_revoked) {
        return peer->is_unknown ? RAY_ENOTFOUND : RAY_EDENIED;
    }
    if (peer->has_wrong_key) {
        other = node;
    }
    memcpy(out_static, ray_key_static(other->key), RAY_KEY_SIZE);
    memcpy(out_identity, ray_key_identity(other->key), RAY_KEY_SIZE);
    return RAY_OK;
}

/* ---- what a node hears ---- */

static void on_up(void *arg, const struct ray_id *id, uint64_t epoch)
{
    struct world_peer *peer = peer_of(arg, id);

    assert_int_equal(peer->epoch, 0); /* on_down comes before the next on_up */
    assert_true(epoch > peer->last_epoch);
    peer->epoch = epoch;
    peer->last_epoch = epoch;
    peer->sent = 0;
    peer->received = 0;
    peer->up_count++;
}

static void on_down(void *arg, const struct ray_id *id, uint64_t epoch)
{
    struct world_peer *peer = peer_of(arg, id);

    assert_int_equal(peer->epoch, epoch);
    peer->epoch = 0;
    peer->down_count++;
}

static uint8_t filler(uint64_t number)
{
    return (uint8_t)(number * 167 + 13);
}

static void check_message(struct world_peer *peer, const uint8_t *bytes, size_t size)
{
    struct said said;

    assert_true(size >= sizeof said);
    memcpy(&said, bytes, sizeof said);
    if (peer->received == 0) { /* a new epoch here is a new epoch there */
        assert_true(said.instance > peer->instance ||
                    (said.instance == peer->instance && said.epoch > peer->its_epoch));
        peer->instance = said.instance;
        peer->its_epoch = said.epoch;
    }
    assert_int_equal(said.instance, peer->instance);
    assert_int_equal(said.epoch, peer->its_epoch);
    assert_int_equal(said.number, peer->received);
    for (size_t i = sizeof said; i < size; i += i < size - 997 && size > 5000 ? 997 : 1) {
        assert_int_equal(bytes[i], filler(said.number));
    }
}

static void on_message(void *arg, const struct ray_id *id, uint64_t epoch,
                       enum ray_link_channel channel, const uint8_t *bytes, size_t size)
{
    struct world_node *node = arg;
    struct world_peer *peer = peer_of(node, id);

    assert_int_equal(epoch, peer->epoch);
    assert_true(epoch != 0);
    if (node->echoes) {
        peer->total++;
        peer->last_size = size;
        assert_int_equal(node->link->ops->send(node->link, id, RAY_LINK_WATCH, bytes, size),
                         RAY_OK);
        return;
    }
    if (channel == RAY_LINK_RAFT) {
        check_message(peer, bytes, size);
        peer->received++;
    }
    peer->total++;
    peer->last_size = size;
}

static void on_later_epoch(void *arg, const struct ray_id *id, uint64_t cluster_epoch)
{
    struct world_peer *peer = peer_of(arg, id);

    peer->told_epoch = cluster_epoch;
    peer->told_count++;
}

static int removed(void *arg, const struct ray_id *id, struct ray_link_removal *out)
{
    const struct world_peer *peer = peer_of(arg, id);

    *out = peer->says_removed;
    return out->last_number != 0 ? RAY_OK : RAY_ENOTFOUND;
}

static bool on_removed(void *arg, const struct ray_id *id, const struct ray_link_removal *removal)
{
    struct world_peer *peer = peer_of(arg, id);

    peer->hears_removed = *removal;
    peer->removed_count++;
    return removal->last_number > 1;
}

static void on_writable(void *arg, const struct ray_id *id)
{
    peer_of(arg, id)->writable_count++;
}

/* ---- guests ---- */

static int on_hello(void *arg, const struct ray_hello *hello, struct ray_peer_terms *out_terms,
                    struct ray_err *err)
{
    (void)arg;
    assert_int_not_equal(hello->kind, RAY_PEER_MEMBER);
    if (hello->kind == RAY_PEER_JOIN) {
        memset(out_terms->psk, 7, sizeof out_terms->psk);
    }
    return hello->kind == RAY_PEER_CLAIM ? ray_fail(err, RAY_EDENIED, "already claimed") : RAY_OK;
}

static void on_lost(void *arg, const struct ray_hello *hello)
{
    struct world_node *node = arg;

    node->lost_count++;
    node->lost = hello->kind;
}

static int on_proven(void *arg, const struct ray_peer *peer, struct ray_err *err)
{
    (void)arg;
    (void)peer;
    (void)err;
    return RAY_OK;
}

static void on_guest(void *arg, int fd, struct ray_seal *seal, const struct ray_peer *peer)
{
    struct world_node *node = arg;

    node->guest_count++;
    node->guest = *peer;
    node->guest_fd = fd;
    node->guest_seal = seal;
}

/* ---- nodes ---- */

int world_start(struct world_node *node)
{
    struct world *world = node->world;
    char listen[RAY_LINK_ADDRESS_SIZE];
    struct ray_link_config config = {
        .listen = listen,
        .key = node->key,
        .self = node->id,
        .cluster = world->cluster,
        .cluster_epoch = world->cluster_epoch,
        .known = known,
        .on_later_epoch = on_later_epoch,
        .removed = removed,
        .on_removed = on_removed,
        .guests = {.on_hello = on_hello,
                   .on_proven = on_proven,
                   .on_lost = on_lost,
                   .on_guest = on_guest},
        .arg = node,
    };
    int rc;

    assert_null(node->link);
    (void)snprintf(listen, sizeof listen, "127.0.0.1:%u", node->port);
    rc = world->create(&node->link, &world->loop, &config, NULL);
    if (rc != RAY_OK) {
        return rc;
    }
    node->instance++;
    node->port = ray_link_port(node->link);
    node->link->user = (struct ray_link_user){.on_up = on_up,
                                              .on_down = on_down,
                                              .on_message = on_message,
                                              .on_writable = on_writable,
                                              .arg = node};
    return RAY_OK;
}

void world_stop(struct world_node *node)
{
    if (node->link != NULL) {
        node->link->ops->destroy(node->link);
        node->link = NULL;
    }
    for (size_t i = 0; i < WORLD_NODES_MAX; i++) {
        node->peers[i].epoch = 0;
        node->peers[i].last_epoch = 0; /* epochs are a process's own */
    }
    if (node->guest_fd >= 0) {
        (void)close(node->guest_fd);
        ray_seal_destroy(node->guest_seal);
        node->guest_fd = -1;
        node->guest_seal = NULL;
    }
}

void world_add_at(struct world_node *node, const struct world_node *peer, uint16_t port)
{
    char address[RAY_LINK_ADDRESS_SIZE];

    (void)snprintf(address, sizeof address, "127.0.0.1:%u", port);
    assert_int_equal(node->link->ops->add_peer(node->link, &peer->id, address, NULL), RAY_OK);
}

void world_add(struct world_node *node, const struct world_node *peer)
{
    world_add_at(node, peer, peer->port);
}

int world_send(struct world_node *node, const struct world_node *other, size_t size)
{
    struct world_peer *peer = &node->peers[other->index];
    struct said said = {node->instance, peer->epoch, peer->sent};
    uint8_t *bytes = malloc(size);
    int rc;

    assert_true(size >= sizeof said && bytes != NULL);
    memset(bytes, filler(said.number), size);
    memcpy(bytes, &said, sizeof said);
    rc = node->link->ops->send(node->link, &other->id, RAY_LINK_RAFT, bytes, size);
    free(bytes);
    if (rc == RAY_OK) {
        assert_true(peer->epoch != 0);
        peer->sent++;
    }
    return rc;
}

/* ---- the world ---- */

static void on_late(void *arg)
{
    ((struct world *)arg)->is_late = true;
}

struct world *world_make(world_create create, size_t node_count)
{
    struct world *world = malloc(sizeof *world);

    assert_non_null(world);
    *world = (struct world){.create = create, .cluster_epoch = 1, .node_count = node_count};
    assert_int_equal(ray_loop_init(&world->loop, NULL), RAY_OK);
    assert_int_equal(ray_timer_init(&world->late, &world->loop, on_late, world, NULL), RAY_OK);
    memset(world->cluster.bytes, 0xc1, RAY_ID_SIZE);
    for (size_t i = 0; i < node_count; i++) {
        struct world_node *node = &world->nodes[i];

        node->world = world;
        node->index = (unsigned)i;
        node->guest_fd = -1;
        randombytes_buf(node->id.bytes, RAY_ID_SIZE);
        node->id.bytes[1] = (uint8_t)i + 1;
        assert_int_equal(ray_key_generate(&node->key, NULL), RAY_OK);
        assert_int_equal(world_start(node), RAY_OK);
    }
    return world;
}

struct world *world_make_pair(world_create create)
{
    struct world *world = world_make(create, 2);

    world_add(&world->nodes[0], &world->nodes[1]);
    assert_true(world_run_until_linked(&world->nodes[0], &world->nodes[1]));
    return world;
}

void world_drop(struct world *world)
{
    for (size_t i = 0; i < world->node_count; i++) {
        world_stop(&world->nodes[i]);
        ray_key_destroy(world->nodes[i].key);
    }
    ray_timer_fini(&world->late);
    ray_loop_fini(&world->loop);
    free(world);
}

bool world_run_until(struct world *world, bool (*is_done)(void *arg), void *arg)
{
    world->is_late = false;
    ray_timer_start(&world->late, 30000, 0);
    while (!is_done(arg) && !world->is_late) {
        ray_loop_once(&world->loop);
    }
    ray_timer_stop(&world->late);
    return !world->is_late;
}

void world_turns(struct world *world, unsigned count, unsigned each_ms)
{
    for (unsigned i = 0; i < count; i++) {
        world->is_late = false;
        ray_timer_start(&world->late, each_ms, 0);
        ray_loop_once(&world->loop);
    }
    ray_timer_stop(&world->late);
}

bool world_is_linked(const struct world_node *a, const struct world_node *b)
{
    return a->peers[b->index].epoch != 0 && b->peers[a->index].epoch != 0;
}

/* What a run waits for between two nodes. */
struct wait {
    const struct world_node *a;
    const struct world_node *b;
    uint64_t total;
    const char *text;
};

static bool is_linked(void *arg)
{
    const struct wait *wait = arg;

    return world_is_linked(wait->a, wait->b);
}

bool world_run_until_linked(struct world_node *a, struct world_node *b)
{
    struct wait wait = {.a = a, .b = b};

    return world_run_until(a->world, is_linked, &wait);
}

static bool has_total(void *arg)
{
    const struct wait *wait = arg;

    return wait->a->peers[wait->b->index].total >= wait->total;
}

void world_run_until_total(struct world_node *a, const struct world_node *b, uint64_t wanted)
{
    struct wait wait = {.a = a, .b = b, .total = wanted};

    assert_true(world_run_until(a->world, has_total, &wait));
    assert_int_equal(a->peers[b->index].total, wanted);
}

static bool is_down(void *arg)
{
    const struct wait *wait = arg;

    return wait->a->peers[wait->b->index].epoch == 0;
}

void world_run_until_down(struct world_node *a, const struct world_node *b)
{
    struct wait wait = {.a = a, .b = b};

    assert_true(world_run_until(a->world, is_down, &wait));
}

static bool has_trouble(void *arg)
{
    const struct wait *wait = arg;

    return strstr(ray_link_trouble(wait->a->link, &wait->b->id), wait->text) != NULL;
}

void world_run_until_trouble(struct world_node *a, const struct world_node *b, const char *text)
{
    struct wait wait = {.a = a, .b = b, .text = text};

    assert_true(world_run_until(a->world, has_trouble, &wait));
}

int world_connect_raw(const struct world_node *node)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(node->port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

world_create world_main(int argc, char **argv, world_create uv, world_create nng)
{
    world_create create = argc < 2                      ? NULL
                          : strcmp(argv[1], "uv") == 0  ? uv
                          : strcmp(argv[1], "nng") == 0 ? nng
                                                        : NULL;

    if (create == NULL) {
        (void)fprintf(stderr, "usage: %s uv|nng [TEST]\n", argv[0]);
        return NULL;
    }
    (void)signal(SIGPIPE, SIG_IGN); /* a peer that goes is no end */
    if (argc > 2) {
        cmocka_set_test_filter(argv[2]);
    }
    return sodium_init() < 0 ? NULL : create;
}
