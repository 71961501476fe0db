#include "provisioning/pxe/metrics.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "base/size.h"

#define PREFIX "rayos_provision_"

static const char *const route_words[] = {
#define WORD(id, word) [PROVISION_ROUTE_##id] = (word),
    PROVISION_ROUTE_MAP(WORD)
#undef WORD
};

enum provision_route provision_route_of(const char *path)
{
    static const struct {
        const char *path;
        bool is_folder;
        enum provision_route route;
    } routes[] = {
        {"/boot/script", false, PROVISION_ROUTE_SCRIPT},
        {"/boot/autoexec.ipxe", false, PROVISION_ROUTE_SCRIPT},
        {"/boot/rayos.efi", false, PROVISION_ROUTE_IMAGE},
        {"/image/", true, PROVISION_ROUTE_IMAGE},
        {"/hello", false, PROVISION_ROUTE_HELLO},
        {"/healthz", false, PROVISION_ROUTE_HEALTH},
        {"/metrics", false, PROVISION_ROUTE_METRICS},
    };

    for (size_t i = 0; i < RAY_ARRAY_COUNT(routes); i++) {
        if (routes[i].is_folder ? strncmp(path, routes[i].path, strlen(routes[i].path)) == 0
                                : strcmp(path, routes[i].path) == 0) {
            return routes[i].route;
        }
    }
    return PROVISION_ROUTE_OTHER;
}

void provision_counters_request(struct provision_counters *counters, enum provision_route route,
                                int status, uint64_t sent_bytes)
{
    int class = status / 100;

    counters->requests[route][class > 0 && class < PROVISION_STATUS_CLASS_COUNT ? class : 0]++;
    counters->sent_bytes += sent_bytes;
}

/* What stands above the samples of one metric. */
static int put_head(struct ray_buf *out, const char *name, const char *type, const char *help)
{
    return ray_buf_appendf(out, "# HELP " PREFIX "%s %s\n# TYPE " PREFIX "%s %s\n", name, help,
                           name, type);
}

static int put_one(struct ray_buf *out, const char *name, const char *type, const char *help,
                   uint64_t value)
{
    int rc = put_head(out, name, type, help);

    return rc == RAY_OK ? ray_buf_appendf(out, PREFIX "%s %" PRIu64 "\n", name, value) : rc;
}

static int put_labelled(struct ray_buf *out, const char *name, const char *label, const char *word,
                        uint64_t value)
{
    return ray_buf_appendf(out, PREFIX "%s{%s=\"%s\"} %" PRIu64 "\n", name, label, word, value);
}

static int put_service(struct ray_buf *out, const struct provision_metrics *metrics)
{
    int rc = put_head(out, "info", "gauge", "Version and mode of the service.");

    if (rc == RAY_OK) {
        rc = ray_buf_appendf(out, PREFIX "info{version=\"%s\",mode=\"%s\"} 1\n", RAY_VERSION,
                             provision_mode_word(metrics->mode));
    }
    if (rc == RAY_OK) {
        rc = put_one(out, "start_time_seconds", "gauge", "When the service started, Unix time.",
                     metrics->start_us / 1000000);
    }
    if (rc == RAY_OK && provision_mode_has_dnsmasq(metrics->mode)) {
        rc = put_one(out, "dnsmasq_up", "gauge", "Whether DHCP and TFTP are served.",
                     metrics->is_dnsmasq_serving);
    }
    if (rc == RAY_OK && provision_mode_has_dnsmasq(metrics->mode)) {
        rc = put_one(out, "dnsmasq_starts_total", "counter", "Starts of dnsmasq.",
                     metrics->counters->dnsmasq_starts);
    }
    return rc;
}

static int put_events(struct ray_buf *out, const struct provision_counters *counters)
{
    int rc = put_head(out, "events_total", "counter", "Events, as on standard output.");

    for (int i = 0; rc == RAY_OK && i < PROVISION_EVENT_KIND_COUNT; i++) {
        rc = put_labelled(out, "events_total", "event",
                          provision_event_word((enum provision_event_kind)i), counters->events[i]);
    }
    return rc != RAY_OK ? rc
                        : put_one(out, "events_lost_total", "counter",
                                  "Events that the reader of standard output did not take.",
                                  counters->lost_events);
}

static int put_requests(struct ray_buf *out, const struct provision_counters *counters)
{
    static const char *const classes[] = {"none", "1xx", "2xx", "3xx", "4xx", "5xx"};
    int rc = put_head(out, "http_requests_total", "counter", "Requests by what they were for.");

    static_assert(RAY_ARRAY_COUNT(classes) == PROVISION_STATUS_CLASS_COUNT, "one word each");
    for (size_t route = 0; route < PROVISION_ROUTE_COUNT; route++) {
        for (size_t class = 0; rc == RAY_OK && class < RAY_ARRAY_COUNT(classes); class ++) {
            if (class == 1) {
                continue; /* never an answer of ours */
            }
            rc = ray_buf_appendf(
                out, PREFIX "http_requests_total{route=\"%s\",status=\"%s\"} %" PRIu64 "\n",
                route_words[route], classes[class], counters->requests[route][class]);
        }
    }
    return rc;
}

static int put_http(struct ray_buf *out, const struct provision_metrics *metrics)
{
    const struct {
        const char *name;
        const char *type;
        const char *help;
        uint64_t value;
    } ones[] = {
        {"http_sent_bytes_total", "counter", "Bytes of bodies sent.",
         metrics->counters->sent_bytes},
        {"http_broken_transfers_total", "counter", "Transfers of images that broke off.",
         metrics->counters->broken_transfers},
        {"http_refused_connections_total", "counter",
         "Connections of clients that had too many already.", metrics->http.refused_count},
        {"http_connections", "gauge", "Open connections.", metrics->http.conn_count},
        {"http_transfers", "gauge", "Images being sent.", metrics->http.transfer_count},
        {"http_transfers_queued", "gauge", "Images that wait for their turn.",
         metrics->http.queued_count},
    };
    int rc = put_requests(out, metrics->counters);

    for (size_t i = 0; rc == RAY_OK && i < RAY_ARRAY_COUNT(ones); i++) {
        rc = put_one(out, ones[i].name, ones[i].type, ones[i].help, ones[i].value);
    }
    return rc;
}

static int put_images(struct ray_buf *out, const struct provision_metrics *metrics)
{
    int rc = put_head(out, "images", "gauge", "Images in the store.");

    for (size_t i = 0; rc == RAY_OK && i < RAY_ARRAY_COUNT(metrics->image_counts); i++) {
        rc = put_labelled(out, "images", "state",
                          provision_store_state_word((enum provision_store_state)i),
                          metrics->image_counts[i]);
    }
    return rc;
}

static int put_machine_counts(struct ray_buf *out, const struct provision_table_stats *table)
{
    int rc = put_head(out, "machines", "gauge", "Machines by how their last try ended.");

    for (int i = 0; rc == RAY_OK && i < PROVISION_OUTCOME_COUNT; i++) {
        rc = put_labelled(out, "machines", "outcome",
                          provision_outcome_word((enum provision_outcome)i),
                          table->outcome_counts[i]);
    }
    if (rc == RAY_OK) {
        rc = put_head(out, "timeline_events_total", "counter",
                      "Entries in the machines' timelines.");
    }
    for (int i = 0; rc == RAY_OK && i < PROVISION_RECORD_EVENT_KIND_COUNT; i++) {
        rc = put_labelled(out, "timeline_events_total", "kind",
                          provision_record_event_word((enum provision_record_event_kind)i),
                          table->event_counts[i]);
    }
    return rc;
}

static int put_machines(struct ray_buf *out, const struct provision_table_stats *table)
{
    const struct {
        const char *name;
        const char *type;
        const char *help;
        uint64_t value;
    } ones[] = {
        {"machines_known", "gauge", "Machines that an operator named, grouped or assigned.",
         table->known_count},
        {"machines_given_way_total", "counter", "Records of machines that made room for others.",
         table->given_way_count},
        {"machines_turned_away_total", "counter", "Machines for which there was no room.",
         table->turned_away_count},
        {"tries_good_total", "counter", "Tries to boot that ended with a node that is ready.",
         table->good_count},
        {"table_writes_total", "counter", "Files of the machine table written.",
         table->write_count},
        {"table_write_failures_total", "counter", "Writes that failed and were tried again.",
         table->write_failure_count},
        {"table_damaged_files_total", "counter", "Files of the machine table set aside.",
         table->damaged_file_count},
    };
    int rc = put_machine_counts(out, table);

    for (size_t i = 0; rc == RAY_OK && i < RAY_ARRAY_COUNT(ones); i++) {
        rc = put_one(out, ones[i].name, ones[i].type, ones[i].help, ones[i].value);
    }
    return rc;
}

int provision_metrics_format(struct ray_buf *out, const struct provision_metrics *metrics)
{
    int rc = put_service(out, metrics);

    if (rc == RAY_OK) {
        rc = put_events(out, metrics->counters);
    }
    if (rc == RAY_OK) {
        rc = put_http(out, metrics);
    }
    if (rc == RAY_OK) {
        rc = put_images(out, metrics);
    }
    return rc == RAY_OK ? put_machines(out, &metrics->table) : rc;
}
