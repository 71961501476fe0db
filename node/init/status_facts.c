/* Collects from the modules what the status screen shows. */
#include "node/init/status_facts.h"

#include <arpa/inet.h>
#include <assert.h>
#include <ifaddrs.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/atomic_file.h"
#include "base/clock.h"
#include "base/size.h"

static_assert((int)STATUS_SERVICE_COUNT_MAX >= (int)SUPERVISE_SERVICE_COUNT_MAX, "room for all");
static_assert((int)STATUS_PRESSURE_COUNT_MAX == (int)PRESSURE_KIND_COUNT, "room for all");

/* ---- state ---- */

/* The stage that began last and still runs: others may run beside it. */
static const char *running_stage(const struct timeline *timeline)
{
    for (size_t i = timeline->stage_count; i > 0; i--) {
        if (timeline->stages[i - 1].result == TIMELINE_RUNNING) {
            return timeline->stages[i - 1].name;
        }
    }
    return "begins";
}

static void fill_emergency(struct init *init, struct status_facts *facts)
{
    uint64_t now_ns = ray_clock_boottime_ns();

    facts->state = STATUS_EMERGENCY;
    facts->detail = init->fatal_stage != NULL ? init->fatal_stage : "";
    if (ray_timer_is_active(&init->emergency) && init->emergency_reboot_ns > now_ns) {
        facts->reboot_in_s = (unsigned)((init->emergency_reboot_ns - now_ns) / RAY_NS_PER_S) + 1;
    }
}

static void fill_state(struct init *init, struct status_facts *facts)
{
    switch (init->state) {
    case INIT_BOOTING:
        facts->state = STATUS_BOOTING;
        facts->detail = running_stage(&init->timeline);
        break;
    case INIT_RUNNING:
        facts->state = STATUS_WAITING;
        break;
    case INIT_READY:
        facts->state = STATUS_READY;
        break;
    case INIT_STOPPING:
        facts->state = STATUS_STOPPING;
        facts->detail = init->stop_reason;
        break;
    case INIT_EMERGENCY:
        fill_emergency(init, facts);
        break;
    }
    for (size_t i = 0; i < init->timeline.stage_count; i++) {
        const struct timeline_stage *stage = &init->timeline.stages[i];
        if ((stage->result == TIMELINE_FAILED || stage->result == TIMELINE_LATE) &&
            facts->stage_count < STATUS_STAGE_COUNT_MAX) {
            facts->stages[facts->stage_count++] =
                (struct status_stage){.name = stage->name, .error = stage->error};
        }
    }
}

/* ---- identity and boot ---- */

static void fill_boot(struct init *init, struct status_facts *facts)
{
    const struct init_boot_facts *boot = &init->facts;

    facts->version = boot->image_version[0] != '\0' ? boot->image_version : RAY_VERSION;
    if (init->has_identity) {
        facts->node_name = init->identity.name;
        facts->words = init->identity.words;
        facts->fingerprint_hex = init->identity.fingerprint_hex;
        facts->boot_counter = boot->boot_counter; /* its thread stage is done */
    }
    facts->boot_path = init_boot_path_word(boot->path);
    facts->is_uefi = boot->is_uefi;
    facts->up_s = ray_clock_boottime_ns() / RAY_NS_PER_S;
    if (init->has_crash_report && init->crash.end >= INIT_END_DIRTY) {
        facts->last_end = init_end_word(init->crash.end);
    }
}

static void fill_data(struct init *init, struct status_facts *facts)
{
    if (!init->has_data) {
        return;
    }
    facts->has_data = true;
    facts->is_disk = init->data.is_disk;
    facts->data_device = init->data.device;
    facts->data_why = init_data_reason_explanation(init->data.reason);
    facts->is_data_absent = init->data.reason == INIT_DATA_REASON_ABSENT;
    facts->can_repair_data =
        init->data.reason == INIT_DATA_REASON_DAMAGED && init->found.count == 1;
    facts->is_log_full = init->log.is_full;
}

/* ---- addresses ---- */

/* Where the bytes of an address are in its struct; size 0: neither IPv4 nor IPv6. */
struct address_bytes {
    uint8_t bytes[sizeof(struct in6_addr)];
    size_t size;
};

static struct address_bytes bytes_of(const struct sockaddr *address)
{
    const uint8_t *raw = (const uint8_t *)address;
    struct address_bytes out = {.size = 0};

    if (address != NULL && address->sa_family == AF_INET) {
        out.size = sizeof(struct in_addr);
        memcpy(out.bytes, raw + offsetof(struct sockaddr_in, sin_addr), out.size);
    } else if (address != NULL && address->sa_family == AF_INET6) {
        out.size = sizeof(struct in6_addr);
        memcpy(out.bytes, raw + offsetof(struct sockaddr_in6, sin6_addr), out.size);
    }
    return out;
}

static unsigned prefix_of(const struct sockaddr *mask)
{
    struct address_bytes its = bytes_of(mask);
    unsigned count = 0;

    for (size_t i = 0; i < its.size; i++) {
        count += (unsigned)__builtin_popcount(its.bytes[i]);
    }
    return count;
}

/* True: it is an IPv4 address. */
static bool add_address(const struct ifaddrs *entry, struct status_facts *facts)
{
    struct address_bytes its = bytes_of(entry->ifa_addr);
    char text[INET6_ADDRSTRLEN];

    if (its.size == 0 || strcmp(entry->ifa_name, INIT_NET_BRIDGE) != 0 ||
        facts->address_count >= STATUS_ADDRESS_COUNT_MAX ||
        inet_ntop(entry->ifa_addr->sa_family, its.bytes, text, sizeof text) == NULL) {
        return false;
    }
    (void)snprintf(facts->addresses[facts->address_count++], STATUS_ADDRESS_SIZE_MAX, "%s/%u", text,
                   prefix_of(entry->ifa_netmask));
    return entry->ifa_addr->sa_family == AF_INET;
}

static const char *why_no_address(struct init *init)
{
    struct supervise_unit *dhcp = supervise_find(&init->supervise, "dhcp");
    char carrier[8] = "";

    if (init->dhcp_begin_us == 0) {
        return init->state == INIT_BOOTING ? "the network is not up yet" : "no network card";
    }
    (void)ray_file_read_text(init->root_fd, "sys/class/net/" INIT_NET_BRIDGE "/carrier", carrier,
                             sizeof carrier, NULL); /* unknown is not "0" */
    if (strcmp(carrier, "0") == 0) {
        return "no carrier; is the cable in?";
    }
    if (dhcp != NULL && supervise_unit_state(dhcp)->state != SUPERVISE_READY) {
        return "the DHCP client does not run";
    }
    return init->lease.reason[0] != '\0' ? "the DHCP server took it back"
                                         : "no DHCP server has answered yet";
}

static void fill_addresses(struct init *init, struct status_facts *facts)
{
    struct ifaddrs *list = NULL;
    bool has_v4 = false;

    if (getifaddrs(&list) == 0) {
        for (const struct ifaddrs *entry = list; entry != NULL; entry = entry->ifa_next) {
            has_v4 = add_address(entry, facts) || has_v4;
        }
        freeifaddrs(list);
    }
    facts->no_address_why = has_v4 ? "" : why_no_address(init);
}

/* ---- services, watchdog, pressure ---- */

static void fill_services(struct init *init, struct status_facts *facts)
{
    for (size_t i = 0; i < init->supervise.count; i++) {
        const struct supervise_unit *unit = &init->supervise.units[i];
        const struct supervise_service *service = supervise_unit_state(unit);
        bool is_late = unit->def->needed_for_ready && init->state == INIT_READY &&
                       service->state != SUPERVISE_READY;

        if (service->state != SUPERVISE_BACKOFF && service->state != SUPERVISE_GAVE_UP &&
            !is_late) {
            facts->ready_count += service->state == SUPERVISE_READY;
            facts->waiting_count +=
                service->state == SUPERVISE_WAITING || service->state == SUPERVISE_STARTING;
            continue;
        }
        facts->services[facts->service_count++] = (struct status_service){
            .name = unit->def->name,
            .state = supervise_state_name(service->state),
            .why = supervise_why_text(service->why),
            .last_exit = unit->last_exit,
            .gave_up = service->state == SUPERVISE_GAVE_UP,
        };
    }
}

static void fill_health(struct init *init, struct status_facts *facts)
{
    if (init->watchdog.fd > 0) {
        facts->watchdog = init->watchdog.choice.driver;
        facts->watchdog_s = init->watchdog.timeout_s;
        facts->withheld = init->watchdog.withheld;
    }
    for (int i = 0; i < PRESSURE_KIND_COUNT; i++) {
        enum pressure_kind kind = (enum pressure_kind)i;
        const struct pressure_rule *rule = pressure_rule(kind);
        struct init_psi psi = {0};
        struct status_pressure *out;

        if (!pressure_is_watched(&init->pressure, kind)) {
            continue;
        }
        out = &facts->pressures[facts->pressure_count++];
        out->name = rule->name;
        out->is_trouble = rule->is_trouble;
        out->is_high = pressure_level(&init->pressure, kind)->is_high;
        if (out->is_high && pressure_read(&init->pressure, kind, &psi, NULL) == RAY_OK) {
            out->percent = rule->is_trouble ? psi.full_percent : psi.some_percent;
        }
    }
}

/* ---- problems ---- */

/* Called with the log locked: it only copies. */
static bool keep_problem(void *arg, const char *line)
{
    struct status_problems *problems = arg;
    char text[STATUS_PROBLEM_SIZE_MAX];

    if (!status_problem_parse(line, text)) {
        return true;
    }
    if (problems->count == STATUS_PROBLEM_COUNT_MAX) {
        problems->count--;
        memmove(problems->lines[0], problems->lines[1],
                problems->count * sizeof problems->lines[0]);
    }
    memcpy(problems->lines[problems->count++], text, sizeof text);
    return true;
}

static void fill_problems(struct init *init, struct status_facts *facts)
{
    struct status_problems *problems = &init->problems;

    persist_log_since(&init->log, &problems->seen_line_count, keep_problem, problems);
    memcpy(facts->problems, problems->lines, sizeof facts->problems);
    facts->problem_count = problems->count;
}

void status_facts_fill(void *arg, struct status_facts *facts)
{
    struct init *init = arg;

    *facts = (struct status_facts){
        .detail = "",
        .prompt = "Alt-F2",
        .node_name = "",
        .words = "",
        .cluster = "",
        .fingerprint_hex = "",
        .last_end = "",
        .data_device = "",
        .data_why = "",
        .watchdog = "",
        .withheld = "",
    };
    fill_state(init, facts);
    fill_boot(init, facts);
    fill_data(init, facts);
    fill_addresses(init, facts);
    facts->cluster = init_cluster_standing(init);
    fill_services(init, facts);
    fill_health(init, facts);
    fill_problems(init, facts);
}
