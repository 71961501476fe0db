/* world_raft.c - elections and replication as Raft has them, each exchange at once or not at all.
 * A heartbeat may confirm leadership without carrying entries: that is where a new leader could
 * grant before its no-op is committed. */
#include <assert.h>

#include "coordinator/lease/world.h"
#include "coordinator/mutant.h"

enum { ELECTION_TICKS = 15, TERMS_OF_RECOVERY = 128 };

static uint64_t local_of(const struct world *world, const struct world_member *member)
{
    return world_local(world, &world->machines[member->node]);
}

static bool is_up(const struct world *world, const struct world_member *member)
{
    return world->machines[member->node].is_on;
}

static bool is_majority(const struct world_member *member, unsigned mask)
{
    int all = __builtin_popcount(member->config);

    return 2 * __builtin_popcount(mask & member->config) > all;
}

void world_depose(struct world_member *member)
{
    member->is_leader = false;
    coord_lease_book_end(member->book);
}

static bool has_pending(const struct world_member *member, int guest)
{
    for (uint64_t i = member->registry.index + 1; i <= member->log_count; i++) {
        const struct world_entry *entry = &member->log[i];

        if ((entry->kind == WORLD_OUTCOME || entry->kind == WORLD_DELETE) &&
            entry->guest == guest) {
            return true;
        }
    }
    return false;
}

static bool has_pending_kind(const struct world_member *member, enum world_kind kind)
{
    for (uint64_t i = member->registry.index + 1; i <= member->log_count; i++) {
        if (member->log[i].kind == kind) {
            return true;
        }
    }
    return false;
}

bool world_append(struct world *world, struct world_member *member, struct world_entry entry)
{
    struct ray_id id = world_guest_id(entry.guest);

    (void)world;
    assert(member->is_leader);
    if (member->log_count >= WORLD_LOG_MAX) {
        return false;
    }
    if ((entry.kind == WORLD_OUTCOME || entry.kind == WORLD_DELETE) &&
        coord_lease_book_outcome_appended(member->book, &id, member->log_count + 1, NULL) !=
            RAY_OK) {
        return false;
    }
    entry.term = member->term;
    member->log_count++;
    member->log[member->log_count] = entry;
    return true;
}

static void lead(struct world *world, struct world_member *member)
{
    member->is_leader = true;
    member->heard_tick = world->tick;
    member->noop_index = member->log_count + 1;
    member->probe = 0;
    for (int i = 0; i < WORLD_NODES; i++) {
        member->match[i] = 0;
        member->echo[i] = 0;
    }
    world->election_tick[member->term] = world->tick;
    coord_lease_book_begin(member->book, local_of(world, member), member->noop_index);
    (void)world_append(world, member, (struct world_entry){.kind = WORLD_NOOP});
}

static bool is_reachable(const struct world *world, const struct world_member *from,
                         const struct world_member *to)
{
    return is_up(world, to) && from->cluster_epoch == to->cluster_epoch &&
           !world->cut[from->node][to->node];
}

static bool has_newer_log(const struct world_member *a, const struct world_member *b)
{
    uint64_t term_a = a->log_count > 0 ? a->log[a->log_count].term : 0;
    uint64_t term_b = b->log_count > 0 ? b->log[b->log_count].term : 0;

    return term_a > term_b || (term_a == term_b && a->log_count > b->log_count);
}

void world_elect(struct world *world, struct world_member *member)
{
    unsigned votes = 1U << member->node;

    member->heard_tick = world->tick;
    if (member->term + 1 >= WORLD_TERMS_MAX || member->term + 1 == TERMS_OF_RECOVERY ||
        member->log_count >= WORLD_LOG_MAX) {
        return;
    }
    if (member->is_leader) {
        world_depose(member);
    }
    member->term++;
    for (int i = 0; i < WORLD_NODES; i++) {
        struct world_member *other = world->members[i];

        if (other == member || !is_reachable(world, member, other) || other->term >= member->term) {
            continue;
        }
        other->term = member->term;
        world_depose(other);
        if (!has_newer_log(other, member) && !world->cut[other->node][member->node]) {
            votes |= 1U << i;
        }
    }
    if (is_majority(member, votes)) {
        lead(world, member);
    }
}

static void copy_log(struct world_member *to, const struct world_member *from)
{
    uint64_t i = to->commit + 1;

    while (i <= to->log_count && i <= from->log_count && to->log[i].term == from->log[i].term) {
        i++;
    }
    for (; i <= from->log_count; i++) {
        to->log[i] = from->log[i];
    }
    to->log_count = from->log_count;
}

static void sync(struct world *world, struct world_member *leader, struct world_member *other,
                 bool has_entries)
{
    if (!is_reachable(world, leader, other)) {
        return;
    }
    if (other->term > leader->term) {
        if (!world->cut[other->node][leader->node]) {
            leader->term = other->term;
            world_depose(leader);
        }
        return;
    }
    if (other->term < leader->term) {
        other->term = leader->term;
        world_depose(other);
    }
    assert(!other->is_leader);
    other->heard_tick = world->tick;
    if (has_entries) {
        copy_log(other, leader);
        other->commit = leader->commit < other->log_count ? leader->commit : other->log_count;
    }
    if (world->cut[other->node][leader->node]) {
        return;
    }
    leader->echo[other->node] = leader->probe;
    if (has_entries) {
        leader->match[other->node] = leader->log_count;
    }
}

static void advance_commit(struct world_member *leader)
{
    for (uint64_t index = leader->log_count;
         index > leader->commit && leader->log[index].term == leader->term; index--) {
        unsigned mask = 1U << leader->node;

        for (int i = 0; i < WORLD_NODES; i++) {
            mask |= leader->match[i] >= index ? 1U << i : 0;
        }
        if (is_majority(leader, mask)) {
            leader->commit = index;
            return;
        }
    }
}

static uint64_t confirmed_probe(const struct world_member *leader)
{
    for (uint64_t probe = leader->probe; probe > 0; probe--) {
        unsigned mask = 1U << leader->node;

        for (int i = 0; i < WORLD_NODES; i++) {
            mask |= leader->echo[i] >= probe ? 1U << i : 0;
        }
        if (is_majority(leader, mask)) {
            return probe;
        }
        if (probe + 64 < leader->probe) {
            break;
        }
    }
    return 0;
}

static void apply(struct world *world, struct world_member *member)
{
    while (member->registry.index < member->commit) {
        uint64_t index = member->registry.index + 1;
        const struct world_entry *entry = &member->log[index];
        struct world_guest *guest = &member->registry.guests[entry->guest];
        struct ray_epoch before = guest->epoch;

        world_registry_apply(&member->registry, entry, index);
        member->cluster_epoch = member->registry.cluster_epoch;
        if (entry->kind == WORLD_TIMING) {
            coord_lease_book_timing_applied(member->book, local_of(world, member));
        }
        if (entry->kind == WORLD_OUTCOME && entry->origin == RAY_EPOCH_DEATH &&
            !ray_epoch_equal(before, guest->epoch)) {
            /* What a recovered member had not committed before is void by its cluster epoch. */
            bool is_void = member->term >= TERMS_OF_RECOVERY && entry->term < TERMS_OF_RECOVERY;

            world->takeover_count++;
            if (entry->was_alive && !is_void) {
                world_violate(world, "4 taken over while alive", entry->guest, member->node);
            }
        }
        if (entry->kind == WORLD_OUTCOME && entry->origin == RAY_EPOCH_MIGRATION &&
            !ray_epoch_equal(before, guest->epoch)) {
            world->migration_count++;
        }
    }
    coord_lease_book_applied(member->book, member->registry.index);
}

static void answer(struct world *world, struct world_member *leader)
{
    uint64_t confirmed = confirmed_probe(leader);
    struct world_message message = {.kind = WORLD_ANSWER};

    while (leader->is_leader &&
           coord_lease_book_next_answer(leader->book, confirmed, &message.answer)) {
        world_check_answer(world, leader, &message.answer);
        for (size_t i = 0; i < message.answer.pair_count; i++) {
            message.pairs[i] = message.answer.pairs[i];
        }
        message.from = leader->node;
        message.term = leader->term;
        message.incarnation = message.answer.incarnation;
        for (int i = 0; i < WORLD_MACHINES; i++) {
            if (ray_id_equal(&world->machines[i].incarnation, &message.incarnation)) {
                message.to = i;
                world_send(world, &message);
            }
        }
    }
}

static int pick_home(struct world *world, const struct world_registry *registry)
{
    int node = (int)world_below(world, WORLD_NODES);

    for (int i = 0; i < WORLD_NODES; i++, node = (node + 1) % WORLD_NODES) {
        bool is_usable = !ray_id_is_none(&registry->admitted[node]) &&
                         (registry->unknown & (1U << node)) == 0 &&
                         (registry->cluster_epoch == 1 || world->machines[node].is_on);

        if (is_usable) {
            return node;
        }
    }
    return -1;
}

static void care_for_guest(struct world *world, struct world_member *leader, int index)
{
    const struct world_guest *guest = &leader->registry.guests[index];
    struct world_entry entry = {.kind = WORLD_OUTCOME, .guest = index, .expected = guest->epoch};
    int home = pick_home(world, &leader->registry);

    if (home < 0 || guest->is_deleted || has_pending(leader, index)) {
        return;
    }
    entry.node = home;
    entry.incarnation = leader->registry.admitted[home];
    if (ray_epoch_is_none(guest->epoch)) {
        entry.origin = RAY_EPOCH_CREATED;
    } else if (guest->is_stopped) {
        if (!guest->is_wanted) {
            return;
        }
        entry.origin = RAY_EPOCH_RESTART;
    } else if (coord_lease_book_may_take_over(leader->book, local_of(world, leader),
                                              &guest->home_incarnation, guest->epoch, 0, NULL)) {
        entry.origin = RAY_EPOCH_DEATH;
        world_check_death(world, &entry);
    } else {
        return;
    }
    (void)world_append(world, leader, entry);
}

static void care(struct world *world, struct world_member *leader)
{
    const struct world_registry *registry = &leader->registry;

    if (registry->index < leader->noop_index || leader->log_count + 16 > WORLD_LOG_MAX) {
        return;
    }
    for (int i = 0; i < WORLD_GUESTS; i++) {
        care_for_guest(world, leader, i);
    }
    if (!registry->is_settled && !has_pending_kind(leader, WORLD_SETTLED) &&
        coord_lease_book_may_settle(leader->book, local_of(world, leader))) {
        (void)world_append(world, leader, (struct world_entry){.kind = WORLD_SETTLED});
    }
    for (int i = 0; i < WORLD_NODES; i++) {
        if ((registry->unknown & (1U << i)) != 0 && !world->machines[i].is_on &&
            !has_pending_kind(leader, WORLD_CONFIRM_OFF)) {
            (void)world_append(world, leader,
                               (struct world_entry){.kind = WORLD_CONFIRM_OFF, .node = i});
        }
    }
}

/* A retry of what the registry has done is answered from there, like out of a session's window. */
static bool is_done(const struct world_registry *registry, const struct world_entry *entry)
{
    const struct world_guest *guest = &registry->guests[entry->guest];

    return entry->kind == WORLD_OUTCOME && ray_epoch_equal(guest->from, entry->expected) &&
           guest->origin == entry->origin &&
           ray_id_equal(&guest->home_incarnation, &entry->proposer);
}

void world_receive(struct world *world, struct world_member *member,
                   const struct world_message *message)
{
    struct coord_lease_gate gate = {.probe = member->probe + 1, .read_index = member->commit};
    const struct world_entry *entry = &message->entry;
    enum coord_lease_status status = COORD_LEASE_GRANTED;
    struct world_message back = {.kind = WORLD_REPLY, .from = member->node, .to = message->from};

    if (!member->is_leader) {
        return;
    }
    back.term = member->term;
    back.incarnation = message->renew.incarnation;
    if (message->kind == WORLD_PROPOSE) {
        if (is_done(&member->registry, entry)) {
            back.entry = *entry;
            back.epoch = member->registry.guests[entry->guest].epoch;
            world_send(world, &back);
        } else if ((entry->kind != WORLD_OUTCOME || !has_pending(member, entry->guest)) &&
                   world_append(world, member, *entry)) {
            gate = (struct coord_lease_gate){.entry_index = member->log_count,
                                             .read_index = member->commit};
        }
    }
    if (entry->kind == WORLD_ADMIT) {
        return; /* not a member yet: it has nothing to renew */
    }
    if (coord_lease_book_renew(member->book, local_of(world, member), &message->renew, &gate,
                               &status, NULL) == RAY_EDENIED) {
        back.kind = WORLD_ANSWER;
        back.answer = coord_lease_book_refusal(member->book, &message->renew, status);
        world_send(world, &back);
    }
}

const struct world_member *world_newest(const struct world *world, uint64_t cluster_epoch)
{
    const struct world_member *newest = NULL;

    for (int i = 0; i < WORLD_NODES; i++) {
        const struct world_member *member = world->members[i];

        if (member->registry.cluster_epoch == cluster_epoch &&
            (newest == NULL || member->registry.index > newest->registry.index)) {
            newest = member;
        }
    }
    return newest;
}

static void tick_leader(struct world *world, struct world_member *leader)
{
    if (world_chance(world, 70)) {
        leader->probe++;
        leader->echo[leader->node] = leader->probe;
    }
    for (int i = 0; i < WORLD_NODES && leader->is_leader; i++) {
        if (i != leader->node && world_chance(world, 70)) {
            sync(world, leader, world->members[i], world_chance(world, 60));
        }
    }
    if (leader->is_leader) {
        advance_commit(leader);
    }
}

void world_raft_tick(struct world *world)
{
    for (int i = 0; i < WORLD_NODES; i++) {
        struct world_member *member = world->members[i];

        if (!is_up(world, member)) {
            continue;
        }
        if (member->is_leader) {
            tick_leader(world, member);
        } else if (world->tick - member->heard_tick > ELECTION_TICKS && world_chance(world, 15)) {
            world_elect(world, member);
        }
        apply(world, member);
        if (member->is_leader) {
            answer(world, member);
            care(world, member);
        }
    }
}
