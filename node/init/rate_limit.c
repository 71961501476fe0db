#include "node/init/rate_limit.h"

#include <assert.h>

#include "base/clock.h"

enum { MILLI = 1000 };

void rate_limit_init(struct rate_limit *limit, uint32_t burst, uint32_t per_s, uint64_t now_ns)
{
    assert(burst > 0 && per_s > 0);
    *limit = (struct rate_limit){.burst = burst,
                                 .per_s = per_s,
                                 .tokens_milli = (uint64_t)burst * MILLI,
                                 .updated_ns = now_ns};
}

static void refill(struct rate_limit *limit, uint64_t now_ns)
{
    uint64_t full = (uint64_t)limit->burst * MILLI;
    uint64_t elapsed_us;
    uint64_t more;

    if (now_ns <= limit->updated_ns) {
        return;
    }
    elapsed_us = (now_ns - limit->updated_ns) / RAY_NS_PER_US;
    if (elapsed_us / 1000000 >= (uint64_t)limit->burst / limit->per_s + 1) {
        limit->tokens_milli = full; /* long enough to fill it: no product to overflow */
        limit->updated_ns = now_ns;
        return;
    }
    more = elapsed_us * limit->per_s / 1000;
    if (more == 0) {
        return; /* keeps the fraction for the next time */
    }
    limit->tokens_milli = limit->tokens_milli + more > full ? full : limit->tokens_milli + more;
    limit->updated_ns = now_ns;
}

bool rate_limit_take(struct rate_limit *limit, uint64_t now_ns)
{
    refill(limit, now_ns);
    if (limit->tokens_milli < MILLI) {
        limit->suppressed_count++;
        return false;
    }
    limit->tokens_milli -= MILLI;
    return true;
}

uint64_t rate_limit_report(struct rate_limit *limit, uint64_t now_ns)
{
    uint64_t count = limit->suppressed_count;

    refill(limit, now_ns);
    if (count == 0 || limit->tokens_milli < MILLI) {
        return 0;
    }
    limit->suppressed_count = 0;
    return count;
}
