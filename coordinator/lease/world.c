/* world.c - the walk: common things every tick, faults about every fifty ticks. A uniform mix
 * was shown to miss seeded bugs (research/grants.md). */
#include "coordinator/lease/world.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator/mutant.h"

struct ray_id world_guest_id(int guest)
{
    return (struct ray_id){{0x60, (uint8_t)(guest + 1)}};
}

struct ray_id world_node_id(int node)
{
    return (struct ray_id){{0x40, (uint8_t)(node + 1)}};
}

uint64_t world_local(const struct world *world, const struct world_machine *machine)
{
    return machine->clock_offset + world->tick * machine->clock_ppm / 1000;
}

uint32_t world_below(struct world *world, uint32_t limit)
{
    world->random ^= world->random << 13;
    world->random ^= world->random >> 7;
    world->random ^= world->random << 17;
    return (uint32_t)((world->random >> 11) % limit);
}

bool world_chance(struct world *world, uint32_t percent)
{
    return world_below(world, 100) < percent;
}

static void *allocate(size_t size)
{
    void *memory = aligned_alloc(64, (size + 63) / 64 * 64);

    if (memory == NULL) {
        abort();
    }
    memset(memory, 0, size);
    return memory;
}

static void create_member(struct world *world, int node)
{
    struct world_member *member = allocate(sizeof *member);
    struct coord_lease_view view = world_view(member);

    world->members[node] = member;
    member->world = world;
    member->node = node;
    member->cluster_epoch = 1;
    member->config = (1U << WORLD_NODES) - 1;
    world_registry_init(&member->registry);
    for (int i = 0; i < WORLD_GUESTS; i++) {
        member->registry.guests[i].is_wanted = true;
    }
    if (coord_lease_book_create(&member->book, &view, NULL) != RAY_OK) {
        abort();
    }
}

struct world *world_create(uint64_t seed)
{
    struct world *world = allocate(sizeof *world);

    world->random = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    world->tick = 1;
    for (int i = 0; i < WORLD_NODES; i++) {
        create_member(world, i);
    }
    for (int i = 0; i < WORLD_MACHINES; i++) {
        world->machines[i].page = allocate(RAY_GRANT_PAGE_SIZE);
        world->machines[i].launcher = allocate(sizeof *world->machines[i].launcher);
        world_machine_boot(world, i, i % WORLD_NODES, false);
    }
    world_machine_off(world, WORLD_MACHINES - 1);
    return world;
}

void world_destroy(struct world *world)
{
    for (int i = 0; i < WORLD_NODES; i++) {
        coord_lease_book_destroy(world->members[i]->book);
        free(world->members[i]);
    }
    for (int i = 0; i < WORLD_MACHINES; i++) {
        free(world->machines[i].page);
        free(world->machines[i].launcher);
    }
    free(world);
}

/* ---- messages ---- */

void world_send(struct world *world, const struct world_message *message)
{
    if (world->message_count < WORLD_MESSAGES_MAX) {
        world->messages[world->message_count++] = *message;
    }
}

static void deliver(struct world *world, const struct world_message *message)
{
    if (world->cut[message->from][message->to]) {
        return;
    }
    if (message->kind == WORLD_RENEW || message->kind == WORLD_PROPOSE) {
        if (world->machines[message->to].is_on) {
            world_receive(world, world->members[message->to], message);
        }
        return;
    }
    world_machine_take(world, message->to, message);
}

static void deliver_some(struct world *world)
{
    int count = world->message_count;

    for (int i = 0; i < count; i++) {
        uint32_t fate = world_below(world, 100);
        struct world_message message = world->messages[i];

        if (fate < 25) {
            continue; /* later */
        }
        if (fate >= 27) { /* else lost */
            deliver(world, &message);
        }
        if (fate < 97) { /* else once more */
            world->messages[i].kind = WORLD_HANDLED;
        }
    }
    count = 0;
    for (int i = 0; i < world->message_count; i++) {
        if (world->messages[i].kind != WORLD_HANDLED) {
            world->messages[count++] = world->messages[i];
        }
    }
    world->message_count = count;
}

/* ---- faults and operators ---- */

static struct world_member *any_leader(struct world *world)
{
    int member = (int)world_below(world, WORLD_NODES);

    for (int i = 0; i < WORLD_NODES; i++, member = (member + 1) % WORLD_NODES) {
        struct world_member *candidate = world->members[member];

        if (candidate->is_leader && candidate->registry.index >= candidate->noop_index &&
            candidate->log_count + 32 < WORLD_LOG_MAX) {
            return candidate;
        }
    }
    return NULL;
}

static void isolate(struct world *world, int machine, bool is_both_ways)
{
    bool is_inward = world_chance(world, 50);

    for (int i = 0; i < WORLD_MACHINES; i++) {
        if (i != machine) {
            world->cut[machine][i] = is_both_ways || !is_inward;
            world->cut[i][machine] = is_both_ways || is_inward;
        }
    }
}

static void heal_links(struct world *world)
{
    memset(world->cut, 0, sizeof world->cut);
}

static void operate_migration(struct world *world, struct world_member *leader)
{
    int guest = (int)world_below(world, WORLD_GUESTS);
    int node = (int)world_below(world, WORLD_NODES);

    if (!ray_id_is_none(&leader->registry.admitted[node])) {
        (void)world_append(world, leader,
                           (struct world_entry){.kind = WORLD_OPEN_MIGRATION,
                                                .guest = guest,
                                                .node = node,
                                                .incarnation = leader->registry.admitted[node],
                                                .expected = leader->registry.guests[guest].epoch});
    }
}

static void operate_delete(struct world *world, struct world_member *leader)
{
    int index = (int)world_below(world, WORLD_GUESTS);
    const struct world_guest *guest = &leader->registry.guests[index];
    struct world_entry entry = {.kind = WORLD_DELETE, .guest = index, .expected = guest->epoch};
    uint64_t now_ns = world_local(world, &world->machines[leader->node]);
    bool is_off = guest->is_stopped ||
                  coord_lease_book_may_take_over(leader->book, now_ns, &guest->home_incarnation,
                                                 guest->epoch, 0, NULL);

    if (ray_epoch_is_none(guest->epoch) || (!is_off && !RAY_MUTANT(LEASE_DELETE_AT_ONCE))) {
        return;
    }
    (void)world_append(world, leader, entry);
}

static void operate(struct world *world)
{
    static const uint64_t times[] = {20000, 30000, 60000};
    struct world_member *leader = any_leader(world);
    struct world_entry entry = {.guest = (int)world_below(world, WORLD_GUESTS)};

    if (leader == NULL) {
        return;
    }
    switch (world_below(world, 10)) {
    case 0:
        operate_delete(world, leader);
        break;
    case 1:
    case 2:
        entry.kind = WORLD_TIMING;
        entry.grant_ns = times[world_below(world, 3)];
        (void)world_append(world, leader, entry);
        break;
    case 3:
    case 4:
    case 5:
        entry.kind = WORLD_WANT;
        entry.is_wanted = world_chance(world, 60);
        (void)world_append(world, leader, entry);
        break;
    default:
        operate_migration(world, leader);
        break;
    }
}

static void boot_clone(struct world *world)
{
    int node = (int)world_below(world, WORLD_NODES);

    world_machine_boot(world, WORLD_MACHINES - 1, node, world_chance(world, 50));
}

/* One survivor goes on alone with a raised cluster epoch, while the others may be alive. */
static void recover(struct world *world)
{
    struct world_member *member = world->members[world_below(world, WORLD_NODES)];

    if (world->has_recovered || !world->machines[member->node].is_on ||
        member->log_count + 64 > WORLD_LOG_MAX) {
        return;
    }
    world->has_recovered = true;
    isolate(world, member->node, true);
    member->config = 1U << member->node;
    member->term = 128; /* its elections are a world of their own */
    member->cluster_epoch = 2;
    world_elect(world, member);
    (void)world_append(world, member,
                       (struct world_entry){.kind = WORLD_RECOVER, .node = member->node});
}

static void fault_of_machine(struct world *world, int machine)
{
    int guest = (int)world_below(world, WORLD_GUESTS);

    if (!world->machines[machine].is_on) {
        return;
    }
    switch (world_below(world, 12)) {
    case 0:
        if (machine < WORLD_NODES) {
            world_depose(world->members[machine]);
        }
        world_machine_off(world, machine);
        break;
    case 1:
    case 2:
    case 3:
    case 4:
        world_machine_kill_copy(world, machine, guest);
        break;
    case 5:
    case 6:
    case 7:
        world_machine_restart_agent(world, machine);
        break;
    default:
        world->machines[machine].watch_stalled_until = world->tick + world_below(world, 300);
        break;
    }
}

static void switch_on(struct world *world)
{
    for (int i = 0; i < WORLD_NODES; i++) {
        bool is_lost = world->has_recovered && world->members[i]->cluster_epoch < 2;

        if (!world->machines[i].is_on && !is_lost && world_chance(world, 30)) {
            world_machine_boot(world, i, i, false);
        }
    }
}

static void fault(struct world *world)
{
    switch (world_below(world, 40)) {
    case 0:
        boot_clone(world);
        break;
    case 1:
        if (world_chance(world, 15) && world->tick > 600) {
            recover(world);
        }
        break;
    case 2:
    case 3:
    case 4:
    case 5:
        world_elect(world, world->members[world_below(world, WORLD_NODES)]);
        break;
    case 6:
    case 7:
    case 8:
    case 9:
    case 10:
    case 11:
    case 12:
    case 13:
        isolate(world, (int)world_below(world, WORLD_MACHINES), world_chance(world, 70));
        break;
    case 14:
    case 15:
    case 16:
    case 17:
    case 18:
    case 19:
        heal_links(world);
        break;
    case 20:
    case 21:
    case 22:
    case 23:
    case 24:
    case 25:
        operate(world);
        operate(world);
        break;
    case 26:
    case 27:
        switch_on(world);
        break;
    default:
        fault_of_machine(world, (int)world_below(world, WORLD_MACHINES));
        break;
    }
    if (world->has_recovered) {
        /* The two worlds do not hear each other. */
        for (int i = 0; i < WORLD_NODES; i++) {
            if (world->members[i]->cluster_epoch == 2) {
                isolate(world, i, true);
            }
        }
    }
}

void world_walk(struct world *world, unsigned ticks)
{
    for (unsigned i = 0; i < ticks && world->lemma == NULL; i++) {
        world->tick++;
        /* Monitors first: a vCPU stops at the tick at which it must have stopped. */
        for (int machine = 0; machine < WORLD_MACHINES; machine++) {
            world_machine_tick(world, machine);
        }
        deliver_some(world);
        world_raft_tick(world);
        if (!world->is_calm && world_below(world, 12) == 0) {
            fault(world);
        }
        world_check_tick(world);
    }
}

void world_heal(struct world *world)
{
    world->is_calm = true;
    heal_links(world);
    world_machine_off(world, WORLD_MACHINES - 1);
    for (int i = 0; i < WORLD_NODES; i++) {
        struct world_machine *m = &world->machines[i];

        m->watch_stalled_until = 0;
        if (world->has_recovered && world->members[i]->cluster_epoch < 2) {
            world_depose(world->members[i]);
            world_machine_off(world, i); /* an operator has confirmed it */
        } else if (!m->is_on || m->agent.is_refused) {
            world_depose(world->members[i]);
            world_machine_off(world, i);
            world_machine_boot(world, i, i, false);
        }
    }
}
