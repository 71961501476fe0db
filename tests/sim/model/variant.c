#include "tests/sim/model/variant.h"

#include <string.h>

const struct model_setup model_setups[] = {
    {.name = "lease", .epochs = 2, .slow = 1, .fast = 1},
    {.name = "election", .epochs = 2, .elections = 1},
    {.name = "ghost", .epochs = 2, .elections = 2},
    {.name = "migration", .epochs = 3, .migrations = 1, .deaths = 1},
    {.name = "again", .epochs = 4, .migrations = 1, .deaths = 2},
    {.name = "stop", .epochs = 3, .stops = 1},
    {.name = "stops", .epochs = 4, .stops = 2},
    {.name = "clone", .epochs = 2, .boots = 1, .is_clone = true},
    {.name = "reboot", .epochs = 3, .crashes = 1, .boots = 1},
    {.name = "change", .epochs = 2, .slow = 1, .fast = 1, .changes = 1},
    {.name = "changes", .epochs = 2, .changes = 2, .elections = 1},
    {.name = "all",
     .epochs = MODEL_EPOCHS - 1,
     .slow = 1,
     .fast = 1,
     .elections = 3,
     .migrations = 2,
     .stops = 2,
     .deaths = 2,
     .crashes = 1,
     .boots = 1,
     .changes = 2,
     .is_clone = true},
};
const size_t model_setup_count = sizeof model_setups / sizeof model_setups[0];

const struct model_variant model_right = {.name = "right", .text = "as DESIGN.md section 8 says"};

const struct model_variant model_variants[] = {
    {.name = "a",
     .text = "one deadline for the whole node",
     .setup = "migration",
     .node_deadline = true},
    {.name = "b",
     .text = "grants between append and commit",
     .setup = "lease",
     .grants_pending = true},
    {.name = "c", .text = "cancel keeps the epoch", .setup = "migration", .cancel_keeps = true},
    {.name = "d-margin", .text = "W without M", .setup = "lease", .no_margin = true},
    {.name = "d-stop", .text = "a vCPU stops later than M", .setup = "lease", .late_stop = true},
    {.name = "d-drift", .text = "W without drift", .setup = "lease", .no_drift = true},
    {.name = "e", .text = "a clone is accepted", .setup = "clone", .clone_accepted = true},
    {.name = "g",
     .text = "a new leader does not wait W",
     .setup = "election",
     .no_election_wait = true},
    {.name = "i", .text = "T is lowered at once", .setup = "change", .t_at_once = true},
    {.name = "j",
     .text = "only answered renewals count, pending guests left out",
     .setup = "lease",
     .is_harmless = true,
     .heard_at_answer = true},
    {.name = "j+b",
     .text = "only answered renewals count, pending guests granted",
     .setup = "lease",
     .heard_at_answer = true,
     .grants_pending = true},
    {.name = "k", .text = "a probe older than the request", .setup = "election", .old_probe = true},
    {.name = "l", .text = "grants before the own no-op", .setup = "ghost", .no_noop = true},
    {.name = "1-second-run",
     .text = "an epoch is run again after its monitor is gone",
     .setup = "migration",
     .second_run = true},
    {.name = "1-thaw",
     .text = "a copy frozen for migration thaws by the page",
     .setup = "migration",
     .frozen_thaws = true},
    {.name = "1-unburned",
     .text = "stopped before burn and reaping",
     .setup = "stop",
     .stopped_unburned = true},
    {.name = "1-stopped",
     .text = "a second run, and stopped keeps the epoch",
     .setup = "stops",
     .stopped_keeps = true,
     .second_run = true},
    {.name = "2",
     .text = "an outcome is itself a grant",
     .setup = "migration",
     .outcome_grants = true},
    {.name = "3",
     .text = "admission resets the silence",
     .setup = "clone",
     .admission_resets = true},
    {.name = "4", .text = "an agent keeps the old T", .setup = "change", .agent_t = true},
    {.name = "6",
     .text = "a copy runs at an epoch not its own",
     .setup = "migration",
     .foreign_copy = true},
};
const size_t model_variant_count = sizeof model_variants / sizeof model_variants[0];

const struct model_setup *model_setup_find(const char *name)
{
    for (size_t i = 0; i < model_setup_count; i++) {
        if (strcmp(model_setups[i].name, name) == 0) {
            return &model_setups[i];
        }
    }
    return NULL;
}
