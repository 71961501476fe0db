/* net_rename_test.c - virtual cards in a network namespace of their own, with a sysfs that says
 * they were hardware: who gets which name, and who is left alone. */
#include "node/init/system/fake_link.h"
#include "node/init/system/net_rename.h"

#define PCI0 "pci0000:00/"

struct world {
    const struct fake_root *root;
    struct init_netlink netlink;
    struct init_net_namer namer;
    struct init_link links[INIT_LINK_COUNT_MAX];
    size_t count;
};

static int world_init(struct world *world, const struct fake_root *root)
{
    *world = (struct world){.root = root};
    init_netlink_init(&world->netlink);
    world->namer = (struct init_net_namer){
        .root_fd = root->fd, .takes_software_links = true, .netlink = &world->netlink};
    FAKE_CHECK(init_netlink_open(&world->netlink, NULL) == RAY_OK);
    return 0;
}

static int run(struct world *world)
{
    FAKE_CHECK(init_netlink_links(&world->netlink, world->links, INIT_LINK_COUNT_MAX, &world->count,
                                  NULL) == RAY_OK);
    init_net_namer_run(&world->namer, world->links, world->count);
    return 0;
}

static uint32_t index_of(struct world *world, const char *name)
{
    struct init_link link;

    return init_netlink_link_by_name(&world->netlink, name, &link, NULL) == RAY_OK ? link.index : 0;
}

/* A card of PCI function `address`, and its other end, which is of no device. */
static int add_card(struct world *world, const char *name, const char *address)
{
    char path[128];
    char peer[INIT_LINK_NAME_SIZE];

    (void)snprintf(peer, sizeof peer, "%.10s-peer", name);
    if (fake_make_veth(name, peer) != 0) {
        return 1;
    }
    (void)snprintf(path, sizeof path, PCI0 "%s", address);
    fake_device(world->root, path, "pci");
    fake_card(world->root, path, name, index_of(world, name), "");
    return 0;
}

static const char *network_file(const struct world *world)
{
    static char text[4096];

    return fake_get(world->root, INIT_NETWORK_FILE, text);
}

static int name_body(void *arg)
{
    struct world world;
    uint32_t card;
    uint32_t later;

    if (world_init(&world, arg) != 0 || add_card(&world, "card0", "0000:00:02.0") != 0) {
        return 1;
    }
    card = index_of(&world, "card0");
    if (run(&world) != 0) {
        return 1;
    }
    FAKE_CHECK(index_of(&world, "enp0s2") == card && index_of(&world, "card0") == 0);
    FAKE_CHECK(index_of(&world, "card0-peer") != 0); /* of no device */
    FAKE_CHECK(strstr(network_file(&world), "\"enp0s2\"") != NULL);
    FAKE_CHECK(strstr(network_file(&world), "\"kernel_name\": \"card0\"") != NULL);
    FAKE_CHECK(strstr(network_file(&world), "peer") == NULL);
    for (size_t i = 0; i < world.count; i++) {
        FAKE_CHECK(world.links[i].index != card || strcmp(world.links[i].name, "enp0s2") == 0);
    }
    /* Looked at once: a name given by hand stays. */
    FAKE_CHECK(init_netlink_rename(&world.netlink, card, "mine0", NULL) == RAY_OK);
    if (run(&world) != 0) {
        return 1;
    }
    FAKE_CHECK(index_of(&world, "mine0") == card);
    /* A card that comes later; and the file forgets the one that went. */
    if (add_card(&world, "card1", "0001:0a:1f.3") != 0) {
        return 1;
    }
    later = index_of(&world, "card1");
    if (fake_delete_link("mine0") != 0 || run(&world) != 0) {
        return 1;
    }
    FAKE_CHECK(index_of(&world, "enP1p10s31f3") == later);
    FAKE_CHECK(strstr(network_file(&world), "enp0s2") == NULL);
    FAKE_CHECK(strstr(network_file(&world), "enP1p10s31f3") != NULL);
    init_netlink_fini(&world.netlink);
    return 0;
}

static void test_names(void **state)
{
    fake_in_namespaces(CLONE_NEWNET, name_body, *state);
}

static struct init_link *find(struct world *world, const char *name)
{
    for (size_t i = 0; i < world->count; i++) {
        if (strcmp(world->links[i].name, name) == 0) {
            return &world->links[i];
        }
    }
    return NULL;
}

/* A virtual card has no permanent MAC of its own: given in, with what sysfs says of it. */
static int give_mac(struct world *world, const char *name, const char *address, uint8_t last)
{
    struct init_link *link = find(world, name);
    char path[128];

    FAKE_CHECK(link != NULL);
    (void)snprintf(path, sizeof path, "sys/devices/" PCI0 "%s/net/%s/addr_assign_type", address,
                   name);
    fake_put(world->root, path, "0\n");
    link->has_permanent_mac = true;
    memset(link->permanent_mac, 0, INIT_MAC_SIZE);
    link->permanent_mac[5] = last;
    return 0;
}

/* Four cards on one function, as of a driver that numbers no ports. */
static int twin_body(void *arg)
{
    static const char address[] = "0000:01:00.0";
    struct world world;
    char names[4][8];
    uint32_t cards[4];

    if (world_init(&world, arg) != 0 || add_card(&world, "card0", address) != 0) {
        return 1;
    }
    (void)snprintf(names[0], sizeof names[0], "card0");
    for (uint32_t i = 1; i < 4; i++) {
        char peer[16];

        (void)snprintf(names[i], sizeof names[i], "card%u", i);
        (void)snprintf(peer, sizeof peer, "peer%u", i);
        FAKE_CHECK(fake_make_veth(names[i], peer) == 0);
        fake_card(world.root, PCI0 "0000:01:00.0", names[i], index_of(&world, names[i]), "");
    }
    FAKE_CHECK(init_netlink_links(&world.netlink, world.links, INIT_LINK_COUNT_MAX, &world.count,
                                  NULL) == RAY_OK);
    for (size_t i = 0; i < 4; i++) {
        cards[i] = index_of(&world, names[i]);
        /* The last two have one MAC; only one of them can be called after it. */
        if (give_mac(&world, names[i], address, i < 3 ? (uint8_t)i : 2) != 0) {
            return 1;
        }
    }
    find(&world, "card0")->permanent_mac[5] = 9;
    init_net_namer_run(&world.namer, world.links, world.count);
    /* The kernel lists new links in the order in which they came, by number. */
    FAKE_CHECK(index_of(&world, "enp1s0") == cards[0]);
    FAKE_CHECK(index_of(&world, "enx000000000009") == cards[0]); /* its other name */
    FAKE_CHECK(index_of(&world, "enx000000000001") == cards[1]);
    FAKE_CHECK(index_of(&world, "enx000000000002") == cards[2]);
    FAKE_CHECK(index_of(&world, "card3") == cards[3]);
    FAKE_CHECK(strstr(network_file(&world), "\"permanent_mac\": \"00:00:00:00:00:02\"") != NULL);
    init_netlink_fini(&world.netlink);
    return 0;
}

static void test_twins(void **state)
{
    fake_in_namespaces(CLONE_NEWNET, twin_body, *state);
}

static int alone_body(void *arg)
{
    struct world world;
    uint32_t up;
    uint32_t port;

    if (world_init(&world, arg) != 0 || add_card(&world, "up0", "0000:00:02.0") != 0 ||
        add_card(&world, "port0", "0000:00:03.0") != 0 ||
        add_card(&world, "taken0", "0000:00:04.0") != 0) {
        return 1;
    }
    up = index_of(&world, "up0");
    port = index_of(&world, "port0");
    FAKE_CHECK(init_netlink_set_up(&world.netlink, up, true, NULL) == RAY_OK);
    FAKE_CHECK(init_netlink_make_bridge(&world.netlink, "ray0", NULL, NULL) == RAY_OK);
    FAKE_CHECK(init_netlink_set_master(&world.netlink, port, index_of(&world, "ray0"), NULL) ==
               RAY_OK);
    /* A name that nobody in the list has, but the kernel knows: as an alternative one. */
    FAKE_CHECK(init_netlink_add_name(&world.netlink, up, "enp0s4", NULL) == RAY_OK);
    if (run(&world) != 0) {
        return 1;
    }
    FAKE_CHECK(find(&world, "up0") != NULL && find(&world, "port0") != NULL);
    FAKE_CHECK(find(&world, "taken0") != NULL && find(&world, "ray0") != NULL);
    FAKE_CHECK(strstr(network_file(&world), "\"name\": \"up0\"") != NULL);
    /* Nor later, when it is down for a moment. */
    FAKE_CHECK(init_netlink_set_up(&world.netlink, up, false, NULL) == RAY_OK);
    if (run(&world) != 0) {
        return 1;
    }
    FAKE_CHECK(find(&world, "up0") != NULL);
    init_netlink_fini(&world.netlink);
    return 0;
}

static void test_left_alone(void **state)
{
    fake_in_namespaces(CLONE_NEWNET, alone_body, *state);
}

static int kernel_body(void *arg)
{
    struct world world;

    if (world_init(&world, arg) != 0 || add_card(&world, "card0", "0000:00:02.0") != 0) {
        return 1;
    }
    world.namer.keeps_kernel_names = true;
    if (run(&world) != 0) {
        return 1;
    }
    FAKE_CHECK(find(&world, "card0") != NULL);
    FAKE_CHECK(strstr(network_file(&world), "\"name\": \"card0\"") != NULL);
    /* And what software made never is a card. */
    world.namer.keeps_kernel_names = false;
    world.namer.takes_software_links = false;
    world.namer.count = 0;
    if (run(&world) != 0) {
        return 1;
    }
    FAKE_CHECK(find(&world, "card0") != NULL && index_of(&world, "enp0s2") == 0);
    init_netlink_fini(&world.netlink);
    return 0;
}

static void test_kernel_names(void **state)
{
    fake_in_namespaces(CLONE_NEWNET, kernel_body, *state);
}

/* One fault at any place: the card has its name in the end, at once or at the next look. */
static int try_once(const struct fake_root *root, unsigned card, const char *point, unsigned n,
                    bool *out_is_over)
{
    struct world world;
    char name[INIT_LINK_NAME_SIZE];
    char address[24];
    char wanted[INIT_LINK_NAME_SIZE];
    char path[64];
    char target[128];
    uint32_t index;

    (void)snprintf(name, sizeof name, "card%u", card);
    (void)snprintf(address, sizeof address, "0000:%02x:%02x.0", card / 32, card % 32);
    (void)snprintf(wanted, sizeof wanted, "enp%us%u", card / 32, card % 32);
    if (world_init(&world, root) != 0 || add_card(&world, name, address) != 0) {
        return 1;
    }
    index = index_of(&world, name);
    (void)snprintf(path, sizeof path, "sys/class/net/%s", wanted);
    (void)snprintf(target, sizeof target, "../../devices/" PCI0 "%s/net/%s", address, name);
    fake_symlink(root, target, path);
    FAKE_CHECK(init_netlink_links(&world.netlink, world.links, INIT_LINK_COUNT_MAX, &world.count,
                                  NULL) == RAY_OK);
    ray_test_fault_arm(point, n);
    init_net_namer_run(&world.namer, world.links, world.count);
    *out_is_over = !ray_test_fault_disarm();
    FAKE_CHECK(run(&world) == 0);
    FAKE_CHECK(index_of(&world, wanted) == index);
    FAKE_CHECK(strstr(network_file(&world), wanted) != NULL);
    init_netlink_fini(&world.netlink);
    return fake_delete_link(wanted);
}

static int fault_body(void *arg)
{
    static const char *const points[] = {"alloc", "open",  "read",  "send",
                                         "write", "fsync", "rename"};
    unsigned card = 0;

    for (size_t i = 0; i < sizeof points / sizeof points[0]; i++) {
        bool is_over = false;

        for (unsigned n = 1; !is_over; n++) {
            if (try_once(arg, card++, points[i], n, &is_over) != 0) {
                (void)fprintf(stderr, "fault %s:%u\n", points[i], n);
                return 1;
            }
        }
    }
    return 0;
}

static void test_faults(void **state)
{
    fake_in_namespaces(CLONE_NEWNET, fault_body, *state);
}

/* A kernel that never answers well: after some tries the card keeps its name. */
static int refused_body(void *arg)
{
    struct world world;

    if (world_init(&world, arg) != 0 || add_card(&world, "card0", "0000:00:02.0") != 0) {
        return 1;
    }
    FAKE_CHECK(init_netlink_links(&world.netlink, world.links, INIT_LINK_COUNT_MAX, &world.count,
                                  NULL) == RAY_OK);
    for (int i = 0; i < 20; i++) {
        ray_test_fault_arm("send", 1);
        init_net_namer_run(&world.namer, world.links, world.count);
        FAKE_CHECK(ray_test_fault_disarm() == (i < 8));
    }
    FAKE_CHECK(find(&world, "card0") != NULL && index_of(&world, "card0") != 0);
    init_netlink_fini(&world.netlink);
    return 0;
}

static void test_refused(void **state)
{
    fake_in_namespaces(CLONE_NEWNET, refused_body, *state);
}

#define TEST(function)                                                                             \
    cmocka_unit_test_setup_teardown(function, fake_root_setup, fake_root_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_names),        TEST(test_twins),  TEST(test_left_alone),
        TEST(test_kernel_names), TEST(test_faults), TEST(test_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
