/* Events: one line each on standard output, a count, a warning in the log where something was
 * refused, ignored or failed, and an entry in the timeline of the machine. */
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/size.h"
#include "provisioning/pxe/neighbour.h"
#include "provisioning/pxe/service_internal.h"

/* A reader that has fallen asleep must not stop the boot of machines: a line for which there is
 * no room is dropped and counted. A pipe with room for PIPE_BUF takes a whole line. */
static void write_line(struct provision_service *service, const struct provision_event *event)
{
    char line[PROVISION_EVENT_LINE_SIZE];
    struct pollfd room = {.fd = service->config.event_fd, .events = POLLOUT};
    size_t size = provision_event_format(event, line);

    if (poll(&room, 1, 0) == 1 && (room.revents & POLLOUT) != 0 &&
        write(service->config.event_fd, line, size) == (ssize_t)size) {
        return;
    }
    if (service->counters.lost_events++ == 0) {
        ray_log(service->config.logger, RAY_LOG_WARN, "provision",
                "an event was lost: the reader of standard output is slow or gone");
    }
}

/* What of the events from DHCP and TFTP belongs into a timeline. Scripts, images and hellos get
 * there with more than a text, by the code that serves them. */
static bool timeline_kind(enum provision_event_kind kind, enum provision_record_event_kind *out)
{
    static const struct {
        enum provision_event_kind event;
        enum provision_record_event_kind record;
    } map[] = {
        {PROVISION_EVENT_DHCP_DISCOVER, PROVISION_RECORD_EVENT_DHCP},
        {PROVISION_EVENT_DHCP_OFFER, PROVISION_RECORD_EVENT_OFFER},
        {PROVISION_EVENT_TFTP, PROVISION_RECORD_EVENT_TFTP},
        {PROVISION_EVENT_REFUSED, PROVISION_RECORD_EVENT_REFUSED},
        {PROVISION_EVENT_IGNORED, PROVISION_RECORD_EVENT_IGNORED},
    };

    for (size_t i = 0; i < RAY_ARRAY_COUNT(map); i++) {
        if (map[i].event == kind) {
            *out = map[i].record;
            return true;
        }
    }
    return false;
}

/* Who only asks for an address (a printer) is no machine to be listed; who names its
 * architecture boots, and whoever is listed stays so. */
static void note(struct provision_service *service, const struct provision_event *event,
                 const struct provision_arch *arch)
{
    const struct provision_time now = provision_time_now();
    enum provision_record_event_kind kind;
    struct provision_mac mac;
    const char *detail = event->detail;

    if (service->table == NULL || !timeline_kind(event->kind, &kind) ||
        provision_mac_parse(event->mac, &mac) != RAY_OK ||
        (arch == NULL && provision_table_find(service->table, &mac) == NULL)) {
        return;
    }
    if (arch != NULL) {
        struct provision_record_facts facts = {0};

        provision_arch_put(arch, facts.arch, sizeof(facts.arch));
        (void)provision_table_learn(service->table, &mac, &facts, &now); /* counted there */
    }
    if (kind == PROVISION_RECORD_EVENT_OFFER && event->ip[0] != '\0') {
        detail = event->ip;
    }
    (void)provision_table_note(service->table, &mac, kind, detail, &now); /* counted there */
}

void provision_emit(struct provision_service *service, struct provision_event *event,
                    const struct provision_arch *arch)
{
    event->t_us = ray_clock_monotonic_ns() / RAY_NS_PER_US;
    service->counters.events[event->kind]++;
    write_line(service, event);
    if (event->kind == PROVISION_EVENT_ERROR || event->kind == PROVISION_EVENT_REFUSED ||
        event->kind == PROVISION_EVENT_IGNORED) {
        ray_log(service->config.logger, RAY_LOG_WARN, "provision", "event=%s mac=%s ip=%s %s",
                provision_event_word(event->kind), event->mac[0] != '\0' ? event->mac : "-",
                event->ip[0] != '\0' ? event->ip : "-", event->detail);
    }
    note(service, event, arch);
}

bool provision_peer_mac(struct provision_service *service, const char *peer,
                        struct provision_mac *out)
{
    return provision_mac_parse(provision_tracker_mac(&service->tracker, peer), out) == RAY_OK ||
           provision_neighbour_find(service->config.config->interface, peer, out, NULL) == RAY_OK;
}

void provision_emit_text(struct provision_service *service, enum provision_event_kind kind,
                         const char *ip, const char *fmt, ...)
{
    struct provision_event event = {.kind = kind};
    struct provision_mac mac;
    va_list ap;

    (void)snprintf(event.ip, sizeof(event.ip), "%s", ip);
    if (ip[0] != '\0' && kind != PROVISION_EVENT_LISTENING &&
        provision_peer_mac(service, ip, &mac)) {
        (void)provision_mac_format(&mac, event.mac);
    }
    va_start(ap, fmt);
    (void)vsnprintf(event.detail, sizeof(event.detail), fmt, ap); /* cut to fit */
    va_end(ap);
    provision_emit(service, &event, NULL);
}
