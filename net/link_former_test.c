/* link_former_test.c - a node that was removed while it was off: what it hears at a member's door,
 * and from whom. Links of both kinds share these parts; here they are TCP on the loop. */
#include <signal.h>
#include <sodium.h>

#include "base/test.h"
#include "net/link_fixture.h"
#include "net/link_uv.h"

static bool has_heard_removal(void *arg)
{
    const struct world *world = arg;

    return world->nodes[0].peers[1].removed_count > 0;
}

/* Refused in clear, told by who is proven; and a member again when it is let in again. */
static void test_removed_while_away(void **state)
{
    struct world *world = world_make(ray_link_uv_create, 2);
    struct world_node *a = &world->nodes[0], *b = &world->nodes[1];

    (void)state;
    b->peers[0].is_unknown = true;
    b->peers[0].says_removed = (struct ray_link_removal){.last_number = 1, .cluster_epoch = 5};
    world_add(a, b);
    world_run_until_trouble(a, b, "does not know this node yet");
    b->peers[0].says_removed = (struct ray_link_removal){.last_number = 77, .cluster_epoch = 5};
    a->peers[1].removed_count = 0;
    assert_true(world_run_until(world, has_heard_removal, world));
    assert_int_equal(a->peers[1].hears_removed.last_number, 77);
    assert_int_equal(a->peers[1].hears_removed.cluster_epoch, 5);
    assert_non_null(strstr(ray_link_trouble(a->link, &b->id), "removed this node"));
    assert_int_equal(b->guest_count, 0);
    b->peers[0].is_unknown = false;
    assert_true(world_run_until_linked(a, b));
    world_drop(world);
}

/* Who does not say so is asked as a member again. */
static void test_not_removed(void **state)
{
    struct world *world = world_make(ray_link_uv_create, 2);
    struct world_node *a = &world->nodes[0], *b = &world->nodes[1];

    (void)state;
    b->peers[0].is_unknown = true;
    world_add(a, b);
    world_run_until_trouble(a, b, "nothing is known of a removal");
    world_run_until_trouble(a, b, "not a member here");
    assert_int_equal(a->peers[1].removed_count, 0);
    b->peers[0].is_unknown = false;
    assert_true(world_run_until_linked(a, b));
    world_drop(world);
}

/* Another node at the member's address can refuse; it cannot say why. */
static void test_removal_by_somebody_else(void **state)
{
    struct world *world = world_make(ray_link_uv_create, 3);
    struct world_node *a = &world->nodes[0], *b = &world->nodes[1], *c = &world->nodes[2];
    struct ray_id b_id = b->id;

    (void)state;
    world_stop(b);
    world_stop(c);
    c->peers[0].is_unknown = true;
    c->peers[0].says_removed = (struct ray_link_removal){.last_number = 77, .cluster_epoch = 5};
    b->id = (struct ray_id){{9}};
    c->id = b_id; /* it answers to the name, without the key */
    assert_int_equal(world_start(c), RAY_OK);
    b->id = b_id;
    c->id = (struct ray_id){{9}};
    world_add_at(a, b, c->port);
    world_run_until_trouble(a, b, "not a member here");
    for (unsigned i = 0; i < 20; i++) {
        world_turns(world, 10, 20);
        assert_int_equal(a->peers[1].removed_count, 0);
    }
    assert_int_equal(c->guest_count, 0);
    world_drop(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_removed_while_away),
        cmocka_unit_test(test_not_removed),
        cmocka_unit_test(test_removal_by_somebody_else),
    };

    (void)signal(SIGPIPE, SIG_IGN);
    if (sodium_init() < 0) {
        return 2;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
