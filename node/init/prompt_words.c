/* What the words of the emergency prompt do. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/clock.h"
#include "node/init/init.h"

enum { FACTS_MS = 20000, NODE_MS = 900000, REPAIR_MS = 3600000 };

void init_prompt_banner(void *arg, struct terminal *terminal)
{
    const struct init *init = arg;

    terminal_print(terminal, "\nRayOS %s  node %s  state %s\n",
                   init->facts.image_version[0] != '\0' ? init->facts.image_version : RAY_VERSION,
                   init_node_name(init), init_state_name(init->state));
    if (init->has_identity) {
        terminal_print(terminal, "fingerprint %s\n", init->identity.words);
    }
    if (init->lease.is_bound) {
        terminal_print(terminal, "address %s/%u\n", init->lease.address, init->lease.prefix);
    } else {
        terminal_print(terminal, "no address yet\n");
    }
}

static void print_help(struct terminal *terminal)
{
    for (size_t i = 0; i < PROMPT_WORD_COUNT; i++) {
        const struct prompt_word_info *info = prompt_word_info((enum prompt_word)i);
        char left[40];
        (void)snprintf(left, sizeof left, "%s %s", info->word, info->argument);
        terminal_print(terminal, "  %-18s %s\n", left, info->explanation);
    }
}

static void print_data(struct init *init, struct terminal *terminal)
{
    if (!init->has_data) {
        terminal_print(terminal, "data      not there yet\n");
    } else if (init->data.is_disk) {
        terminal_print(terminal, "data      disk %s\n", init->data.device);
    } else {
        terminal_print(terminal, "data      RAM, because: %s%s%s\n",
                       init_data_reason_explanation(init->data.reason),
                       init->data.detail[0] != '\0' ? ": " : "", init->data.detail);
    }
}

static void print_status(struct init *init, struct terminal *terminal)
{
    const struct watchdog *watchdog = &init->watchdog;
    bool is_degraded = false;

    terminal_print(terminal, "node      %s  state %s\n", init_node_name(init),
                   init_state_name(init->state));
    terminal_print(terminal, "boot      %s  up %" PRIu64 " s\n", init->facts.boot_id,
                   ray_clock_boottime_ns() / RAY_NS_PER_S);
    print_data(init, terminal);
    if (init_cluster_standing(init)[0] != '\0') {
        terminal_print(terminal, "cluster   %s\n", init_cluster_standing(init));
    }
    terminal_print(terminal, "log       %s  lines %" PRIu64 "  lost %" PRIu64 "%s\n",
                   init->log.folder[0] != '\0' ? init->log.folder : "in memory only",
                   persist_log_line_count(&init->log), persist_log_lost_count(&init->log),
                   init->log.is_full ? "  DISK FULL" : "");
    if (watchdog->fd < 0) {
        terminal_print(terminal, "watchdog  none\n");
    } else {
        terminal_print(terminal, "watchdog  %s  %u s%s%s\n", watchdog->choice.driver,
                       watchdog->timeout_s, watchdog->withheld[0] != '\0' ? "  NOT FED: " : "",
                       watchdog->withheld);
    }
    for (size_t i = 0; i < init->timeline.stage_count; i++) {
        const struct timeline_stage *stage = &init->timeline.stages[i];
        if (stage->result == TIMELINE_FAILED || stage->result == TIMELINE_LATE) {
            terminal_print(terminal, "degraded  %s: %s\n", stage->name, stage->error);
            is_degraded = true;
        }
    }
    if (!is_degraded) {
        terminal_print(terminal, "degraded  nothing\n");
    }
}

static void print_services(struct init *init, struct terminal *terminal)
{
    for (size_t i = 0; i < init->supervise.count; i++) {
        const struct supervise_unit *unit = &init->supervise.units[i];
        const struct supervise_service *state = supervise_unit_state(unit);
        terminal_print(terminal, "  %-12s %-9s %-18s starts %-4u failures %-4u %s\n",
                       unit->def->name, supervise_state_name(state->state),
                       supervise_why_text(state->why), state->start_count, state->failure_count,
                       unit->last_exit);
    }
}

static void print_timeline(struct init *init, struct terminal *terminal)
{
    for (size_t i = 0; i < init->timeline.stage_count; i++) {
        const struct timeline_stage *stage = &init->timeline.stages[i];
        uint64_t end_us = stage->end_us != 0 ? stage->end_us : stage->begin_us;
        terminal_print(terminal, "  %10.3f s  +%9.3f ms  %-12s %-7s %s\n",
                       (double)stage->begin_us / 1e6, (double)(end_us - stage->begin_us) / 1e3,
                       stage->name, timeline_result_name(stage->result), stage->error);
    }
    for (size_t i = 0; i < init->timeline.mark_count; i++) {
        terminal_print(terminal, "  %10.3f s  %s\n", (double)init->timeline.marks[i].at_us / 1e6,
                       init->timeline.marks[i].line);
    }
}

/* Called with the log locked: it only queues. */
static bool print_line(void *arg, const char *line)
{
    terminal_print(arg, "%s\n", line);
    return true;
}

static void print_version(struct init *init, struct terminal *terminal)
{
    struct utsname kernel;

    terminal_print(terminal, "image %s  rayos-init %s\n", init->facts.image_version, RAY_VERSION);
    if (uname(&kernel) == 0) {
        terminal_print(terminal, "kernel %s %s\n", kernel.release, kernel.machine);
    }
}

static void print_words(struct init *init, struct terminal *terminal)
{
    if (init->has_identity) {
        terminal_print(terminal, "%s\n%s\n", init->identity.words, init->identity.fingerprint_hex);
    } else {
        terminal_print(terminal, "the node has no key yet\n");
    }
}

/* ---- words that run a program ---- */

static void on_output(void *arg, const char *bytes, size_t size)
{
    struct init *init = arg;

    terminal_print_bytes(init->job_terminal, bytes, size);
}

static void on_end(void *arg, const struct ray_child_exit *how)
{
    struct init *init = arg;
    char text[48];

    if (how->is_signaled || how->status != 0) {
        terminal_print(init->job_terminal, "(%s)\n", ray_child_exit_text(how, text));
    }
    prompt_done(init->job_terminal);
}

static void on_repair_end(void *arg, const struct ray_child_exit *how)
{
    struct init *init = arg;

    if (!how->is_signaled && how->status == 0) {
        terminal_print(init->job_terminal, "repaired; 'reboot' uses the disk again\n");
    } else if (!how->is_signaled && how->status == 2) {
        terminal_print(init->job_terminal,
                       "its journal could not be replayed; 'repair force' drops it and what "
                       "was written last\n");
    }
    on_end(arg, how);
}

/* True: it is over already (it could not start). */
static bool run_program(struct init *init, struct terminal *terminal, const char *const *argv,
                        uint64_t deadline_ms,
                        void (*end)(void *arg, const struct ray_child_exit *how))
{
    struct ray_err err = {0};

    if (init->job.is_running) {
        terminal_print(terminal, "another terminal's command still runs\n");
        return true;
    }
    init->job_terminal = terminal;
    if (job_start(&init->job, &init->loop, argv, deadline_ms, on_output, end, init, &err) !=
        RAY_OK) {
        terminal_print(terminal, "%s\n", err.text);
        return true;
    }
    return false;
}

/* Nobody types at it: what it wants to have confirmed is given by options. */
static bool run_node(struct init *init, struct terminal *terminal,
                     const struct prompt_command *command)
{
    const char *argv[PROMPT_NODE_WORD_COUNT_MAX + 3] = {"/usr/bin/clusterctl", "node"};
    const char *word = command->words;

    for (uint32_t i = 0; i < command->word_count; i++) {
        argv[2 + i] = word;
        word += strlen(word) + 1;
    }
    return run_program(init, terminal, argv, NODE_MS, on_end);
}

/* Only a partition that is found and not mounted: the kernel would refuse no tool that
 * writes beneath a mounted file system. */
static bool run_repair(struct init *init, struct terminal *terminal, bool is_forced)
{
    char device[INIT_DATA_DEVICE_SIZE_MAX + sizeof "/dev/"];
    const char *const argv[] = {"/usr/sbin/xfs_repair", is_forced ? "-L" : device,
                                is_forced ? device : NULL, NULL};

    if (!init->has_data || init->data.is_disk || init->found.count != 1) {
        terminal_print(terminal, init->data.is_disk
                                     ? "the data disk is in use and needs no repair\n"
                                     : "there is not exactly one partition RAYOS_DATA\n");
        return true;
    }
    if (init->data.reason != INIT_DATA_REASON_DAMAGED) {
        terminal_print(terminal, "the disk is not damaged: %s\n",
                       init_data_reason_explanation(init->data.reason));
        return true;
    }
    (void)snprintf(device, sizeof device, "/dev/%s", init->found.device);
    return run_program(init, terminal, argv, REPAIR_MS, on_repair_end);
}

static void run_restart(struct init *init, struct terminal *terminal, const char *name)
{
    struct ray_err err = {0};

    if (supervise_restart(&init->supervise, name, &err) == RAY_OK) {
        terminal_print(terminal, "%s restarts\n", name);
    } else {
        terminal_print(terminal, "%s\n", err.text);
    }
}

static void run_shutdown(struct init *init, struct terminal *terminal, enum shutdown_mode mode)
{
    struct ray_err err = {0};

    if (init_shutdown(init, mode, "asked for at the prompt", &err) != RAY_OK) {
        terminal_print(terminal, "%s\n", err.text);
    }
}

bool init_prompt_run(void *arg, struct terminal *terminal, const struct prompt_command *command)
{
    static const char *const facts_argv[] = {"/usr/bin/clusterctl", "node", "facts", NULL};
    struct init *init = arg;

    if (init->state == INIT_EMERGENCY && ray_timer_is_active(&init->emergency)) {
        ray_timer_stop(&init->emergency); /* somebody is there */
        terminal_print(terminal, "it does not reboot by itself any more\n");
    }
    switch (command->word) {
    case PROMPT_HELP:
        print_help(terminal);
        return true;
    case PROMPT_STATUS:
        print_status(init, terminal);
        return true;
    case PROMPT_SERVICES:
        print_services(init, terminal);
        return true;
    case PROMPT_LOG:
        persist_log_tail(&init->log, command->count, print_line, terminal);
        return true;
    case PROMPT_TIMELINE:
        print_timeline(init, terminal);
        return true;
    case PROMPT_FACTS:
        return run_program(init, terminal, facts_argv, FACTS_MS, on_end);
    case PROMPT_WORDS:
        print_words(init, terminal);
        return true;
    case PROMPT_VERSION:
        print_version(init, terminal);
        return true;
    case PROMPT_NODE:
        return run_node(init, terminal, command);
    case PROMPT_RESTART:
        run_restart(init, terminal, command->argument);
        return true;
    case PROMPT_REPAIR:
        return run_repair(init, terminal, command->is_forced);
    case PROMPT_REBOOT:
        run_shutdown(init, terminal, SHUTDOWN_REBOOT);
        return true;
    case PROMPT_POWEROFF:
        run_shutdown(init, terminal, SHUTDOWN_POWEROFF);
        return true;
    case PROMPT_WORD_COUNT:
        break;
    }
    return true;
}
