#include "clusterctl/verbs/power_judge.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"

void power_name(const char *name, char out[static POWER_NAME_SIZE])
{
    (void)ray_escape(out, POWER_NAME_SIZE, name, strlen(name));
}

bool power_loses_quorum(const struct power_order *order)
{
    const Rayos__Cluster__Plan *plan = order->plan;
    uint32_t up_then = plan->voters_up;

    if (strcmp(order->node->role, "voter") == 0 && order->node->is_up && up_then > 0) {
        up_then--;
    }
    return up_then < plan->voters / 2 + 1;
}

__attribute__((format(printf, 2, 3))) static void say(char out[static POWER_WHY_SIZE],
                                                      const char *format, ...)
{
    size_t used = strlen(out);
    va_list args;

    va_start(args, format);
    (void)vsnprintf(out + used, POWER_WHY_SIZE - used, format, args);
    va_end(args);
}

void power_describe(const struct power_order *order, char out[static POWER_WHY_SIZE])
{
    const Rayos__Cluster__Plan *plan = order->plan;
    char name[POWER_NAME_SIZE];

    power_name(order->node->name, name);
    out[0] = '\0';
    say(out, "Node %s goes down%s.", name,
        order->is_reboot ? " and comes back" : "; its power button starts it again");
    if (order->is_reboot && order->node->is_ephemeral) {
        say(out, " Where its key is in memory alone it comes back as a new node of that name, and "
                 "when its token needs approval, once somebody has approved it.");
    }
    if (!order->is_drained && power_loses_quorum(order)) {
        say(out,
            " Without it there is no quorum: of %u voters %u are up, and until it is back the "
            "cluster changes nothing.",
            plan->voters, plan->voters_up);
    }
    if (!order->is_drained && plan->guests > 0) {
        say(out, " Its %llu guests go with it (--drain moves them first).",
            (unsigned long long)plan->guests);
    }
}

bool power_is_back(const struct power_boot *before, const struct power_boot *now,
                   const Rayos__Cluster__NodeStatus *node, char line[static NODE_WAIT_LINE_SIZE])
{
    bool is_other = !ray_id_equal(&before->node, &now->node);
    bool is_new = is_other || now->counter > before->counter;
    const char *how = node->is_up ? "goes down" : "down";

    if (is_new && is_other && strcmp(node->state, "pending") == 0) {
        how = "waits for approval";
    } else if (is_new && node->is_up) {
        (void)snprintf(line, NODE_WAIT_LINE_SIZE, "back, %.32s, %.32s", node->state, node->role);
        return true;
    } else if (is_new) {
        how = "starts";
    }
    (void)snprintf(line, NODE_WAIT_LINE_SIZE, "%s", how);
    return false;
}
