/* Rows are put from the top; the last two belong to the footer and are put last, so a body that
 * is too long loses its end. Whether the node is degraded, and what to do about it, is decided
 * here from the facts, worst first. */
#include "node/init/status_screen.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
    LABEL_WIDTH = 14,
    HEX_HEAD_SIZE = 16, /* 64 bits: enough to compare by eye */
    ISSUE_SIZE_MAX = 256,
    FOOTER_ROW_COUNT = 2,
    TEXT_SIZE_MAX = 512,
};

static_assert(STATUS_WIDTH_MIN > 2 * LABEL_WIDTH, "room beside the labels");

struct canvas {
    struct status_screen *screen;
    unsigned next;  /* row */
    unsigned limit; /* rows below it are the footer's */
};

/* ---- rows ---- */

/* Puts text into a row from `column` on; returns the column behind it. */
static unsigned put_cells(struct canvas *canvas, struct status_row *row, unsigned column,
                          const char *text, size_t size)
{
    size_t at = strlen(row->text);

    for (; at < column; at++) {
        row->text[at] = ' ';
    }
    for (size_t i = 0; i < size && column < canvas->screen->width; i++) {
        char byte = text[i];
        if (byte < 0x20 || byte >= 0x7f) {
            byte = '?';
        }
        row->text[column++] = byte;
    }
    row->text[column] = '\0';
    return column;
}

static struct status_row *next_row(struct canvas *canvas)
{
    return canvas->next < canvas->limit ? &canvas->screen->rows[canvas->next++] : NULL;
}

/* How much of `text` goes into `width` cells without breaking a word, if that can be. */
static size_t fit(const char *text, size_t width)
{
    size_t size = strlen(text);

    if (size <= width) {
        return size;
    }
    for (size_t i = width; i > width / 2; i--) {
        if (text[i] == ' ' || text[i - 1] == '-') {
            return i;
        }
    }
    return width;
}

/* "  label        text", continued below itself; empty texts make no row. */
static void put_entry(struct canvas *canvas, const char *label, enum status_style style,
                      const char *fmt, ...) __attribute__((format(printf, 4, 5)));

static void put_entry(struct canvas *canvas, const char *label, enum status_style style,
                      const char *fmt, ...)
{
    unsigned room = canvas->screen->width - LABEL_WIDTH - 1;
    char text[TEXT_SIZE_MAX];
    const char *rest = text;
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    while (*rest != '\0') {
        struct status_row *row = next_row(canvas);
        size_t size = fit(rest, room);

        if (row == NULL) {
            return;
        }
        (void)put_cells(canvas, row, 1, label, strlen(label));
        row->style = style;
        row->begin = LABEL_WIDTH;
        row->end = put_cells(canvas, row, LABEL_WIDTH, rest, size);
        rest += size;
        rest += strspn(rest, " ");
        label = "";
    }
}

static void put_rule(struct canvas *canvas)
{
    struct status_row *row = next_row(canvas);

    if (row != NULL) {
        row->is_rule = true;
    }
}

/* ---- what is wrong ---- */

struct issue {
    char text[ISSUE_SIZE_MAX];
    char next[ISSUE_SIZE_MAX];
    unsigned count;
};

/* The first one is told, the others are counted: each has its row anyway. */
static void add_issue(struct issue *issue, const char *text, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void add_issue(struct issue *issue, const char *text, const char *fmt, ...)
{
    va_list ap;

    if (issue->count++ > 0) {
        return;
    }
    (void)snprintf(issue->text, sizeof issue->text, "%s", text);
    va_start(ap, fmt);
    (void)vsnprintf(issue->next, sizeof issue->next, fmt, ap);
    va_end(ap);
}

static void judge_services(const struct status_facts *facts, struct issue *issue)
{
    char text[ISSUE_SIZE_MAX];

    for (size_t i = 0; i < facts->service_count; i++) {
        const struct status_service *service = &facts->services[i];

        (void)snprintf(text, sizeof text, "%.32s %s", service->name,
                       service->gave_up ? "has been given up" : "is not well");
        add_issue(issue, text,
                  service->gave_up ? "%s: 'log' says why; then 'restart %.32s'"
                                   : "%s: 'log' says why, 'services' says when",
                  facts->prompt, service->name);
    }
}

static void judge_data(const struct status_facts *facts, struct issue *issue)
{
    if (facts->has_data && !facts->is_disk && !facts->is_data_absent) {
        if (facts->can_repair_data) {
            add_issue(issue, "the data disk is not used", "%s: 'repair', then 'reboot'",
                      facts->prompt);
        } else {
            add_issue(issue, "the data disk is not used",
                      "mend or replace the data disk, then reboot");
        }
    }
    if (facts->is_log_full) {
        add_issue(issue, "no space for the log", "make room on the data disk");
    }
}

static void judge(const struct status_facts *facts, struct issue *issue)
{
    char text[ISSUE_SIZE_MAX];

    if (facts->withheld[0] != '\0') {
        add_issue(issue, "the watchdog is about to reset this machine",
                  "%s: 'log' says more, 'reboot' is gentler", facts->prompt);
    }
    judge_services(facts, issue);
    judge_data(facts, issue);
    for (size_t i = 0; i < facts->stage_count; i++) {
        (void)snprintf(text, sizeof text, "boot stage %.32s failed", facts->stages[i].name);
        add_issue(issue, text, "%s: 'timeline' and 'log' say more", facts->prompt);
    }
    for (size_t i = 0; i < facts->pressure_count; i++) {
        if (facts->pressures[i].is_high && facts->pressures[i].is_trouble) {
            (void)snprintf(text, sizeof text, "short of %.16s", facts->pressures[i].name);
            add_issue(issue, text, "%s: 'log' names who uses it", facts->prompt);
        }
    }
    if (facts->watchdog[0] == '\0' && facts->state == STATUS_READY) {
        add_issue(issue, "no watchdog", "enable one in the firmware or the machine");
    }
}

/* ---- the parts ---- */

static void put_title(const struct status_facts *facts, struct canvas *canvas)
{
    struct status_row *row = next_row(canvas);
    unsigned width = canvas->screen->width;
    size_t name_size = strlen(facts->node_name);
    char text[96];

    if (row == NULL) {
        return;
    }
    (void)snprintf(text, sizeof text, "RayOS %.64s", facts->version);
    row->style = STATUS_TITLE;
    row->begin = 0;
    row->end = put_cells(canvas, row, 1, text, strlen(text));
    if (name_size > 0 && row->end + 2 + name_size < width) {
        row->end =
            put_cells(canvas, row, width - (unsigned)name_size - 1, facts->node_name, name_size);
    }
    put_rule(canvas);
}

static void put_emergency(const struct status_facts *facts, struct canvas *canvas)
{
    put_entry(canvas, "state", STATUS_BAD, "EMERGENCY: cannot boot without stage %s",
              facts->detail);
    if (facts->reboot_in_s > 0) {
        put_entry(canvas, "next", STATUS_BAD,
                  "%s: 'log' and 'timeline' say more; it reboots by itself in %u min unless a word "
                  "is entered there",
                  facts->prompt, (facts->reboot_in_s + 59) / 60);
    } else {
        put_entry(canvas, "next", STATUS_BAD, "%s: 'log' and 'timeline' say more, then 'reboot'",
                  facts->prompt);
    }
}

static void put_state(const struct status_facts *facts, struct canvas *canvas)
{
    struct issue issue = {.count = 0};
    char more[32] = "";

    judge(facts, &issue);
    if (issue.count > 1) {
        (void)snprintf(more, sizeof more, ", and %u more", issue.count - 1);
    }
    switch (facts->state) {
    case STATUS_EMERGENCY:
        put_emergency(facts, canvas);
        return;
    case STATUS_STOPPING:
        put_entry(canvas, "state", STATUS_UNSURE, "stopping: %s", facts->detail);
        return;
    case STATUS_BOOTING:
        put_entry(canvas, "state", STATUS_UNSURE, "booting: %s", facts->detail);
        break;
    case STATUS_WAITING:
        put_entry(canvas, "state", STATUS_UNSURE, "starting services%s%s%s",
                  issue.count > 0 ? ": " : "", issue.text, more);
        break;
    case STATUS_READY:
        if (issue.count > 0) {
            put_entry(canvas, "state", STATUS_UNSURE, "degraded: %s%s", issue.text, more);
        } else {
            put_entry(canvas, "state", STATUS_GOOD, "ready");
        }
        break;
    }
    if (issue.count > 0) {
        put_entry(canvas, "next", STATUS_UNSURE, "%s", issue.next);
    }
}

static void put_identity(const struct status_facts *facts, struct canvas *canvas)
{
    if (facts->words[0] == '\0') {
        put_entry(canvas, "fingerprint", STATUS_FAINT, "no key yet");
    } else {
        put_entry(canvas, "fingerprint", STATUS_PLAIN, "%s", facts->words);
        put_entry(canvas, "", STATUS_PLAIN, "%.*s...", HEX_HEAD_SIZE, facts->fingerprint_hex);
    }
    for (size_t i = 0; i < facts->address_count; i++) {
        put_entry(canvas, i == 0 ? "address" : "", STATUS_PLAIN, "%s", facts->addresses[i]);
    }
    if (facts->no_address_why[0] != '\0') {
        put_entry(canvas, facts->address_count == 0 ? "address" : "", STATUS_UNSURE,
                  "no IPv4 address: %s", facts->no_address_why);
    }
}

static void put_cluster(const struct status_facts *facts, struct canvas *canvas)
{
    bool is_quorate = strncmp(facts->cluster, "quorate", strlen("quorate")) == 0;

    if (facts->cluster[0] != '\0') {
        put_entry(canvas, "cluster", is_quorate ? STATUS_PLAIN : STATUS_UNSURE, "%s",
                  facts->cluster);
    }
}

static void format_up(uint64_t up_s, char *out, size_t size)
{
    unsigned long long minutes = up_s / 60;

    if (minutes < 1) {
        (void)snprintf(out, size, "since less than a minute");
    } else if (minutes < 60) {
        (void)snprintf(out, size, "since %llu min", minutes);
    } else if (minutes < 48 * 60ULL) {
        (void)snprintf(out, size, "since %llu h %llu min", minutes / 60, minutes % 60);
    } else {
        (void)snprintf(out, size, "since %llu days", minutes / 1440);
    }
}

static void put_boot(const struct status_facts *facts, struct canvas *canvas)
{
    char number[32] = "";
    char up[48];

    format_up(facts->up_s, up, sizeof up);
    if (facts->boot_counter > 0) {
        (void)snprintf(number, sizeof number, "number %llu, ",
                       (unsigned long long)facts->boot_counter);
    }
    put_entry(canvas, "boot", STATUS_PLAIN, "%s, %s, %s%s", facts->boot_path,
              facts->is_uefi ? "UEFI" : "BIOS", number, up);
    if (facts->last_end[0] != '\0') {
        put_entry(canvas, "", STATUS_UNSURE, "the boot before ended by: %s", facts->last_end);
    }
    if (!facts->has_data) {
        put_entry(canvas, "data", STATUS_FAINT, "not there yet");
    } else if (facts->is_disk) {
        put_entry(canvas, "data", STATUS_PLAIN, "disk %s", facts->data_device);
    } else {
        put_entry(canvas, "data", facts->is_data_absent ? STATUS_PLAIN : STATUS_UNSURE,
                  "RAM, gone with this boot: %s", facts->data_why);
    }
}

static void put_pressures(const struct status_facts *facts, struct canvas *canvas)
{
    char text[128] = "not measured by this kernel";
    enum status_style style = STATUS_PLAIN;
    size_t at = 0;

    for (size_t i = 0; i < facts->pressure_count; i++) {
        const struct status_pressure *pressure = &facts->pressures[i];
        int size = 0;

        if (pressure->is_high) {
            size = snprintf(text + at, sizeof text - at, "%s%.16s high (%u%%)", at > 0 ? ", " : "",
                            pressure->name, pressure->percent);
            style = pressure->is_trouble ? STATUS_UNSURE : style;
        }
        at += size > 0 && (size_t)size < sizeof text - at ? (size_t)size : 0;
    }
    if (facts->pressure_count > 0 && at == 0) {
        (void)snprintf(text, sizeof text, "none");
    }
    put_entry(canvas, "pressure", style, "%s", text);
}

static void put_health(const struct status_facts *facts, struct canvas *canvas)
{
    if (facts->watchdog[0] == '\0') {
        put_entry(canvas, "watchdog", STATUS_UNSURE, "none");
    } else if (facts->withheld[0] != '\0') {
        put_entry(canvas, "watchdog", STATUS_BAD, "NOT FED: %s", facts->withheld);
    } else {
        put_entry(canvas, "watchdog", STATUS_PLAIN, "%s, %u s", facts->watchdog, facts->watchdog_s);
    }
    put_pressures(facts, canvas);
    put_entry(canvas, "services", STATUS_PLAIN, "%zu ready, %zu waiting%s", facts->ready_count,
              facts->waiting_count, facts->service_count > 0 ? ", and not well:" : "");
    for (size_t i = 0; i < facts->service_count; i++) {
        const struct status_service *service = &facts->services[i];

        put_entry(canvas, "", service->gave_up ? STATUS_BAD : STATUS_UNSURE, "%s %s%s%s%s%s%s",
                  service->name, service->state, service->why[0] != '\0' ? ": " : "", service->why,
                  service->last_exit[0] != '\0' ? " (" : "", service->last_exit,
                  service->last_exit[0] != '\0' ? ")" : "");
    }
    for (size_t i = 0; i < facts->stage_count; i++) {
        put_entry(canvas, "boot stage", STATUS_UNSURE, "%s: %s", facts->stages[i].name,
                  facts->stages[i].error);
    }
}

/* One row each, cut: of many the newest that fit. */
static void put_problems(const struct status_facts *facts, struct canvas *canvas)
{
    static const char heading[] = "last warnings in the log";
    unsigned room = canvas->limit > canvas->next + 2 ? canvas->limit - canvas->next - 2 : 0;
    struct status_row *row;
    size_t first = facts->problem_count > room ? facts->problem_count - room : 0;

    if (facts->problem_count == 0 || room == 0) {
        return;
    }
    (void)next_row(canvas);
    row = next_row(canvas);
    if (row != NULL) {
        row->style = STATUS_FAINT;
        row->begin = 1;
        row->end = put_cells(canvas, row, 1, heading, sizeof heading - 1);
    }
    for (size_t i = first; i < facts->problem_count; i++) {
        row = next_row(canvas);
        if (row == NULL) {
            return;
        }
        (void)put_cells(canvas, row, 1, facts->problems[i],
                        strnlen(facts->problems[i], STATUS_PROBLEM_SIZE_MAX));
    }
}

static void put_footer(const struct status_facts *facts, struct canvas *canvas)
{
    struct status_row *row;
    char text[128];

    canvas->limit = canvas->screen->height;
    canvas->next = canvas->limit - (canvas->limit > FOOTER_ROW_COUNT ? FOOTER_ROW_COUNT : 1);
    if (canvas->limit > FOOTER_ROW_COUNT) {
        put_rule(canvas);
    }
    row = next_row(canvas);
    if (row == NULL) {
        return;
    }
    (void)snprintf(text, sizeof text,
                   "%.24s: prompt, 'help' lists its words    Alt-F1: this screen", facts->prompt);
    *row = (struct status_row){.style = STATUS_PLAIN};
    (void)put_cells(canvas, row, 1, text, strlen(text));
}

void status_screen_render(const struct status_facts *facts, unsigned width, unsigned height,
                          struct status_screen *out)
{
    struct canvas canvas = {.screen = out};

    assert(facts->service_count <= STATUS_SERVICE_COUNT_MAX);
    assert(facts->problem_count <= STATUS_PROBLEM_COUNT_MAX);
    *out = (struct status_screen){.width = width, .height = height};
    out->width = width < STATUS_WIDTH_MIN ? STATUS_WIDTH_MIN : out->width;
    out->width = width > STATUS_WIDTH_MAX ? STATUS_WIDTH_MAX : out->width;
    out->height = height < 1 ? 1 : height > STATUS_HEIGHT_MAX ? STATUS_HEIGHT_MAX : height;
    canvas.limit = out->height > FOOTER_ROW_COUNT ? out->height - FOOTER_ROW_COUNT : 0;
    put_title(facts, &canvas);
    put_state(facts, &canvas);
    (void)next_row(&canvas);
    put_identity(facts, &canvas);
    put_cluster(facts, &canvas);
    put_boot(facts, &canvas);
    put_health(facts, &canvas);
    put_problems(facts, &canvas);
    put_footer(facts, &canvas);
}
