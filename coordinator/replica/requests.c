/* requests.c - slots of requests that are under way, each in the list of its state. A ticket is
 * {generation, slot}, so that an old ticket never names a new request. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "coordinator/replica/impl.h"

enum { SLOTS_FIRST = 64 };

static void list_init(struct replica_list *list)
{
    *list = (struct replica_list){.first = REPLICA_NO_SLOT, .last = REPLICA_NO_SLOT};
}

static uint32_t slot_of(const struct replica_requests *requests,
                        const struct replica_request *request)
{
    return (uint32_t)(request - requests->slots);
}

static void list_push(struct replica_requests *requests, struct replica_list *list,
                      struct replica_request *request)
{
    uint32_t slot = slot_of(requests, request);

    request->previous = list->last;
    request->next = REPLICA_NO_SLOT;
    if (list->last == REPLICA_NO_SLOT) {
        list->first = slot;
    } else {
        requests->slots[list->last].next = slot;
    }
    list->last = slot;
    list->count++;
}

static void list_remove(struct replica_requests *requests, struct replica_list *list,
                        struct replica_request *request)
{
    assert(list->count > 0);
    if (request->previous == REPLICA_NO_SLOT) {
        list->first = request->next;
    } else {
        requests->slots[request->previous].next = request->next;
    }
    if (request->next == REPLICA_NO_SLOT) {
        list->last = request->previous;
    } else {
        requests->slots[request->next].previous = request->previous;
    }
    list->count--;
}

static struct replica_list *list_of(struct replica_requests *requests,
                                    const struct replica_request *request)
{
    switch (request->state) {
    case REPLICA_REQUEST_FREE:
        return &requests->free;
    case REPLICA_REQUEST_QUEUED:
        return &requests->queued;
    case REPLICA_REQUEST_APPENDED:
        return request->is_orphan ? &requests->orphaned : &requests->appended;
    case REPLICA_REQUEST_FORWARDED:
        return &requests->forwarded;
    case REPLICA_REQUEST_WAITING:
        return &requests->waiting;
    }
    return NULL;
}

void replica_requests_init(struct replica_requests *requests, uint32_t slot_max)
{
    *requests = (struct replica_requests){.slot_max = slot_max, .deadline_ns = UINT64_MAX};
    list_init(&requests->free);
    list_init(&requests->queued);
    list_init(&requests->appended);
    list_init(&requests->orphaned);
    list_init(&requests->forwarded);
    list_init(&requests->waiting);
}

void replica_requests_fini(struct replica_requests *requests)
{
    for (uint32_t i = 0; i < requests->slot_count; i++) {
        free(requests->slots[i].command);
    }
    free(requests->slots);
    *requests = (struct replica_requests){0};
}

static bool grow(struct replica_requests *requests)
{
    uint32_t old = requests->slot_count;
    uint32_t count = old == 0 ? SLOTS_FIRST : old * 2;
    struct replica_request *slots;

    if (count > requests->slot_max) {
        count = requests->slot_max;
    }
    if (count == old || ray_fault(RAY_FAULT_ALLOC) != 0) {
        return false;
    }
    slots = realloc(requests->slots, count * sizeof(*slots));
    if (slots == NULL) {
        return false;
    }
    memset(slots + old, 0, (count - old) * sizeof(*slots));
    requests->slots = slots;
    requests->slot_count = count;
    for (uint32_t i = old; i < count; i++) {
        list_push(requests, &requests->free, &slots[i]);
    }
    return true;
}

struct replica_request *replica_request_new(struct replica_requests *requests, uint64_t *out_ticket)
{
    struct replica_request *request;
    uint32_t generation;

    if (requests->free.count == 0 && !grow(requests)) {
        return NULL;
    }
    request = &requests->slots[requests->free.first];
    list_remove(requests, &requests->free, request);
    generation = (request->generation + 1) & REPLICA_GENERATION_MASK;
    requests->arrived_count++;
    *request = (struct replica_request){.generation = generation, .state = REPLICA_REQUEST_QUEUED};
    list_push(requests, &requests->queued, request);
    *out_ticket = (uint64_t)generation << 32 | slot_of(requests, request);
    return request;
}

struct replica_request *replica_request_of(struct replica_requests *requests, uint64_t ticket)
{
    uint32_t slot = (uint32_t)ticket;
    struct replica_request *request;

    if (slot >= requests->slot_count) {
        return NULL;
    }
    request = &requests->slots[slot];
    return request->state != REPLICA_REQUEST_FREE && request->generation == ticket >> 32 ? request
                                                                                         : NULL;
}

void replica_request_move(struct replica_requests *requests, struct replica_request *request,
                          enum replica_request_state state)
{
    list_remove(requests, list_of(requests, request), request);
    request->state = state;
    request->is_orphan = false;
    list_push(requests, list_of(requests, request), request);
}

void replica_request_orphan(struct replica_requests *requests, struct replica_request *request)
{
    assert(request->state == REPLICA_REQUEST_APPENDED && !request->is_orphan);
    list_remove(requests, &requests->appended, request);
    request->is_orphan = true;
    list_push(requests, &requests->orphaned, request);
}

void replica_request_free(struct replica_requests *requests, struct replica_request *request)
{
    assert(request->state != REPLICA_REQUEST_FREE);
    free(request->command);
    request->command = NULL;
    replica_request_move(requests, request, REPLICA_REQUEST_FREE);
}

struct replica_request *replica_request_first(struct replica_requests *requests,
                                              const struct replica_list *list)
{
    return list->first == REPLICA_NO_SLOT ? NULL : &requests->slots[list->first];
}

struct replica_request *replica_request_after(struct replica_requests *requests,
                                              const struct replica_request *request)
{
    return request->next == REPLICA_NO_SLOT ? NULL : &requests->slots[request->next];
}

uint64_t replica_request_ticket(const struct replica_requests *requests,
                                const struct replica_request *request)
{
    return (uint64_t)request->generation << 32 | slot_of(requests, request);
}

bool replica_requests_name(const struct replica_requests *requests, const struct replica_peer *peer)
{
    for (uint32_t i = 0; i < requests->slot_count; i++) {
        const struct replica_request *request = &requests->slots[i];

        if (request->state != REPLICA_REQUEST_FREE &&
            (request->peer == peer || request->to == peer)) {
            return true;
        }
    }
    return false;
}

void replica_requests_expire(struct coord_replica *r, struct replica_requests *requests,
                             uint64_t now_ns, replica_request_end *late)
{
    if (now_ns < requests->deadline_ns) {
        return;
    }
    /* Lowered again by what stays, and by what callbacks begin meanwhile. */
    requests->deadline_ns = UINT64_MAX;
    for (uint32_t i = 0; i < requests->slot_count; i++) {
        struct replica_request *request = &requests->slots[i];

        if (request->state == REPLICA_REQUEST_FREE) {
            continue;
        }
        if (request->deadline_ns <= now_ns) {
            late(r, request);
        } else if (request->deadline_ns < requests->deadline_ns) {
            requests->deadline_ns = request->deadline_ns;
        }
    }
}

void replica_requests_end(struct coord_replica *r, struct replica_requests *requests,
                          replica_request_end *end)
{
    for (uint32_t i = 0; i < requests->slot_count; i++) {
        if (requests->slots[i].state != REPLICA_REQUEST_FREE) {
            end(r, &requests->slots[i]);
        }
    }
}
