#include "coordinator/api/denials.h"

#include "base/clock.h"

enum { WINDOW_MS = 1000 };

static bool is_over(const struct member_denials *denials, uint64_t now_ns)
{
    return denials->began_ns == 0 || now_ns - denials->began_ns >= WINDOW_MS * RAY_NS_PER_MS;
}

bool member_denials_take(struct member_denials *denials, uint64_t now_ns)
{
    if (is_over(denials, now_ns)) {
        denials->began_ns = now_ns;
        denials->told_count = 0;
    }
    if (denials->told_count == MEMBER_DENIALS_TOLD_MAX) {
        denials->held_count++;
        return false;
    }
    denials->told_count++;
    return true;
}

uint64_t member_denials_held(struct member_denials *denials, uint64_t now_ns)
{
    uint64_t count = denials->held_count;

    if (count == 0 || !is_over(denials, now_ns)) {
        return 0;
    }
    denials->held_count = 0;
    return count;
}
