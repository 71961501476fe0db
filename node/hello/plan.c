#include "node/hello/plan.h"

#include <assert.h>

static struct hello_order order(struct hello_plan *plan, struct hello_order what)
{
    plan->last = what.kind;
    if (what.kind == HELLO_ORDER_POST) {
        plan->phase = what.phase;
    }
    return what;
}

static struct hello_order post(struct hello_plan *plan, enum hello_phase phase)
{
    return order(plan, (struct hello_order){.kind = HELLO_ORDER_POST, .phase = phase});
}

static struct hello_order ask(struct hello_plan *plan)
{
    return order(plan, (struct hello_order){.kind = HELLO_ORDER_ASK});
}

static struct hello_order end(struct hello_plan *plan, enum hello_end why)
{
    return order(plan, (struct hello_order){.kind = HELLO_ORDER_END, .end = why});
}

/* Never beyond the end, so that a wait is not what makes it late. */
static struct hello_order wait_for(struct hello_plan *plan, uint64_t wait_ms, uint64_t now_ms)
{
    uint64_t left_ms = plan->end_ms > now_ms ? plan->end_ms - now_ms : 0;

    return order(
        plan, (struct hello_order){.kind = HELLO_ORDER_WAIT,
                                   .wait_ms = (uint32_t)(wait_ms < left_ms ? wait_ms : left_ms)});
}

/* After a power cut a whole room starts at once: jitter over the upper half spreads it. */
static uint64_t backoff_ms(const struct hello_plan *plan, uint32_t random)
{
    uint64_t delay_ms = HELLO_RETRY_MIN_MS;

    for (uint32_t i = 1; i < plan->failure_count && delay_ms < HELLO_RETRY_MAX_MS; i++) {
        delay_ms *= 2;
    }
    if (delay_ms > HELLO_RETRY_MAX_MS) {
        delay_ms = HELLO_RETRY_MAX_MS;
    }
    return delay_ms - (delay_ms / 2) * (random % 1024) / 1024;
}

static struct hello_order try_again(struct hello_plan *plan, uint32_t random, uint64_t now_ms)
{
    plan->failure_count++;
    return wait_for(plan, backoff_ms(plan, random), now_ms);
}

/* What will be the same the next time: everything but a server in trouble or too busy. */
static bool is_final(int status)
{
    return status >= 300 && status < 500 && status != 408 && status != 425 && status != 429;
}

static struct hello_order on_answer(struct hello_plan *plan, const struct hello_event *event,
                                    uint64_t now_ms)
{
    if (event->status < 200 || event->status > 299) {
        return is_final(event->status) ? end(plan, HELLO_END_REFUSED)
                                       : try_again(plan, event->random, now_ms);
    }
    plan->failure_count = 0;
    if (plan->phase == HELLO_PHASE_READY) {
        return end(plan, HELLO_END_DONE);
    }
    plan->has_said_init = true;
    return ask(plan);
}

static struct hello_order on_node(struct hello_plan *plan, bool is_ready, uint64_t now_ms)
{
    plan->is_ready = plan->is_ready || is_ready;
    if (plan->is_ready) {
        return post(plan, HELLO_PHASE_READY);
    }
    return plan->has_said_init ? wait_for(plan, HELLO_ASK_AGAIN_MS, now_ms)
                               : post(plan, HELLO_PHASE_INIT);
}

struct hello_order hello_plan_step(struct hello_plan *plan, const struct hello_event *event,
                                   uint64_t now_ms)
{
    switch (event->kind) {
    case HELLO_EVENT_START:
        *plan = (struct hello_plan){.end_ms = now_ms + HELLO_TOTAL_MS};
        return post(plan, HELLO_PHASE_INIT);
    case HELLO_EVENT_ANSWERED:
        assert(plan->last == HELLO_ORDER_POST);
        return on_answer(plan, event, now_ms);
    case HELLO_EVENT_FAILED:
        assert(plan->last == HELLO_ORDER_POST);
        return try_again(plan, event->random, now_ms);
    case HELLO_EVENT_NODE:
        assert(plan->last == HELLO_ORDER_ASK);
        return on_node(plan, event->is_ready, now_ms);
    case HELLO_EVENT_WAITED:
        break;
    }
    assert(plan->last == HELLO_ORDER_WAIT);
    if (now_ms >= plan->end_ms) {
        return end(plan, HELLO_END_LATE);
    }
    return plan->is_ready ? post(plan, HELLO_PHASE_READY) : ask(plan);
}

const char *hello_phase_word(enum hello_phase phase)
{
    return phase == HELLO_PHASE_READY ? "ready" : "init";
}

const char *hello_end_text(enum hello_end why)
{
    switch (why) {
    case HELLO_END_DONE:
        return "all is said";
    case HELLO_END_REFUSED:
        return "the server does not take hellos";
    case HELLO_END_LATE:
        break;
    }
    return "nobody counts a boot as good after ten minutes";
}
