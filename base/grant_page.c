/* grant_page.c - every access is sequentially consistent: a reader that sees a part of a new pair
 * has therefore either seen the deadline 0 that was written before it, or will see another id or
 * epoch when it looks again. */
#include "base/grant_page.h"

#include <assert.h>
#include <string.h>

static const uint64_t page_magic = UINT64_C(0x3145474150594152); /* "RAYPAGE1" */
enum { PAGE_VERSION = 1 };

static_assert(sizeof(struct ray_grant_slot) == 64, "shared between processes");
static_assert(offsetof(struct ray_grant_page, slots) == 64, "shared between processes");
static_assert((int)RAY_GRANT_PAGE_SIZE == 65536, "whole pages");
static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "locks are not shared between processes");

struct id_words {
    uint64_t low;
    uint64_t high;
};

static struct id_words words_of(const struct ray_id *id)
{
    struct id_words words;

    memcpy(&words.low, id->bytes, 8);
    memcpy(&words.high, id->bytes + 8, 8);
    return words;
}

void ray_grant_page_init(struct ray_grant_page *page)
{
    assert(page != NULL && (uintptr_t)page % 64 == 0);
    memset(page, 0, sizeof *page);
    page->magic = page_magic;
    page->version = PAGE_VERSION;
    page->slot_count = RAY_GRANT_SLOTS_MAX;
}

int ray_grant_page_check(const struct ray_grant_page *page, struct ray_err *err)
{
    assert(page != NULL);
    if (page->magic != page_magic || page->version != PAGE_VERSION ||
        page->slot_count != RAY_GRANT_SLOTS_MAX) {
        return ray_fail(err, RAY_EUNSUPPORTED, "grant page of version %u with %u slots",
                        page->version, page->slot_count);
    }
    return RAY_OK;
}

void ray_grant_page_step(struct ray_grant_page *page, size_t slot, enum ray_grant_step step,
                         const struct ray_id *id, struct ray_epoch epoch, uint64_t deadline_ns)
{
    struct ray_grant_slot *at;
    struct id_words words = words_of(id);

    assert(page != NULL && slot < RAY_GRANT_SLOTS_MAX);
    at = &page->slots[slot];
    switch (step) {
    case RAY_GRANT_STEP_KILL:
        atomic_store(&at->deadline_ns, 0);
        break;
    case RAY_GRANT_STEP_ID_LOW:
        atomic_store(&at->id_low, words.low);
        break;
    case RAY_GRANT_STEP_ID_HIGH:
        atomic_store(&at->id_high, words.high);
        break;
    case RAY_GRANT_STEP_CLUSTER:
        atomic_store(&at->epoch_cluster, epoch.cluster);
        break;
    case RAY_GRANT_STEP_INDEX:
        atomic_store(&at->epoch_index, epoch.index);
        break;
    case RAY_GRANT_STEP_DEADLINE:
        atomic_store(&at->deadline_ns, deadline_ns);
        break;
    case RAY_GRANT_STEP_COUNT:
    default:
        assert(false);
    }
}

static bool holds(const struct ray_grant_slot *slot, const struct ray_id *id,
                  struct ray_epoch epoch)
{
    struct id_words words = words_of(id);

    return atomic_load(&slot->id_low) == words.low && atomic_load(&slot->id_high) == words.high &&
           atomic_load(&slot->epoch_cluster) == epoch.cluster &&
           atomic_load(&slot->epoch_index) == epoch.index;
}

void ray_grant_page_set(struct ray_grant_page *page, size_t slot, const struct ray_id *id,
                        struct ray_epoch epoch, uint64_t deadline_ns)
{
    enum ray_grant_step first = RAY_GRANT_STEP_KILL;

    assert(page != NULL && slot < RAY_GRANT_SLOTS_MAX && !ray_id_is_none(id));
    if (holds(&page->slots[slot], id, epoch)) {
        first = RAY_GRANT_STEP_DEADLINE;
    }
    for (enum ray_grant_step step = first; step < RAY_GRANT_STEP_COUNT; step++) {
        ray_grant_page_step(page, slot, step, id, epoch, deadline_ns);
    }
}

void ray_grant_page_kill(struct ray_grant_page *page, size_t slot)
{
    assert(page != NULL && slot < RAY_GRANT_SLOTS_MAX);
    atomic_store(&page->slots[slot].deadline_ns, 0);
}

void ray_grant_page_clear(struct ray_grant_page *page, size_t slot)
{
    static const struct ray_id none;

    for (enum ray_grant_step step = 0; step < RAY_GRANT_STEP_COUNT; step++) {
        ray_grant_page_step(page, slot, step, &none, (struct ray_epoch){0, 0}, 0);
    }
}

bool ray_grant_page_pair(const struct ray_grant_page *page, size_t slot, struct ray_id *out_id,
                         struct ray_epoch *out_epoch)
{
    const struct ray_grant_slot *at;
    struct id_words words;

    assert(page != NULL && slot < RAY_GRANT_SLOTS_MAX && out_id != NULL && out_epoch != NULL);
    at = &page->slots[slot];
    words.low = atomic_load(&at->id_low);
    words.high = atomic_load(&at->id_high);
    if (words.low == 0 && words.high == 0) {
        return false;
    }
    memcpy(out_id->bytes, &words.low, 8);
    memcpy(out_id->bytes + 8, &words.high, 8);
    out_epoch->cluster = atomic_load(&at->epoch_cluster);
    out_epoch->index = atomic_load(&at->epoch_index);
    return true;
}

uint64_t ray_grant_page_deadline(const struct ray_grant_page *page, size_t slot,
                                 const struct ray_id *id, struct ray_epoch epoch)
{
    const struct ray_grant_slot *at;
    uint64_t deadline_ns;

    assert(page != NULL && id != NULL);
    if (slot >= RAY_GRANT_SLOTS_MAX || ray_id_is_none(id)) {
        return 0;
    }
    at = &page->slots[slot];
    if (!holds(at, id, epoch)) {
        return 0;
    }
    deadline_ns = atomic_load(&at->deadline_ns);
    return holds(at, id, epoch) ? deadline_ns : 0;
}
