/* cpu.c - /proc/cpuinfo repeats itself for each CPU, so its head says all but the counts;
 * those come from /sys/devices/system/cpu. */
#include "node/facts/cpu.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

enum { CPUINFO_HEAD_SIZE = 16384, MEMINFO_SIZE = 8192, LIST_SIZE = 4096, PACKAGE_ID_MAX = 1023 };

/* One decimal number at *text, which moves behind it. */
static bool take_number(const char **text, unsigned *out)
{
    char *end = NULL;
    unsigned long number;

    if (!isdigit((unsigned char)**text)) {
        return false;
    }
    errno = 0;
    number = strtoul(*text, &end, 10);
    if (errno != 0 || number > INT_MAX) {
        return false;
    }
    *out = (unsigned)number;
    *text = end;
    return true;
}

size_t facts_cpu_list_parse(const char *text, unsigned *numbers, size_t numbers_count)
{
    size_t count = 0;

    for (;;) {
        unsigned first, last;

        if (!take_number(&text, &first)) {
            return 0;
        }
        last = first;
        if (*text == '-') {
            text++;
            if (!take_number(&text, &last) || last < first) {
                return 0;
            }
        }
        for (unsigned number = first; number <= last && number < FACTS_CPU_COUNT_MAX; number++) {
            if (count < numbers_count) {
                numbers[count++] = number;
            }
        }
        if (*text != ',') {
            break;
        }
        text++;
    }
    return *text == '\0' || *text == '\n' ? count : 0;
}

static uint32_t count_sockets(struct facts_source *source, const unsigned *cpus, size_t cpu_count)
{
    bool is_seen[PACKAGE_ID_MAX + 1] = {false};
    uint32_t count = 0;

    for (size_t i = 0; i < cpu_count; i++) {
        uint64_t id;

        if (!facts_exists(source, "sys/devices/system/cpu/cpu%u/topology/physical_package_id",
                          cpus[i])) {
            continue;
        }
        id = facts_number(source, "sys/devices/system/cpu/cpu%u/topology/physical_package_id",
                          cpus[i]);
        if (id <= PACKAGE_ID_MAX && !is_seen[id]) {
            is_seen[id] = true;
            count++;
        }
    }
    return count;
}

static char *field_copy(struct facts_source *source, const char *text, const char *key)
{
    size_t size = 0;
    const char *value = facts_field(text, key, &size);

    return facts_copy(source, value != NULL ? value : "", value != NULL ? size : 0);
}

/* The flags, each a text of its own. */
static void read_features(struct facts_source *source, const char *text, Rayos__Node__Cpu *out)
{
    size_t size = 0;
    const char *flags = facts_field(text, "flags", &size); /* x86 */
    char **features;

    if (flags == NULL) {
        flags = facts_field(text, "Features", &size); /* arm64 */
    }
    features =
        flags != NULL ? facts_alloc(source, FACTS_FEATURE_COUNT_MAX * sizeof *features) : NULL;
    if (features == NULL) {
        return;
    }
    while (size > 0 && out->n_features < FACTS_FEATURE_COUNT_MAX) {
        const char *space = memchr(flags, ' ', size);
        size_t length = space != NULL ? (size_t)(space - flags) : size;

        if (length > 0) {
            char *feature = facts_copy(source, flags, length);

            features[out->n_features++] = feature;
            if (strcmp(feature, "svm") == 0 || strcmp(feature, "vmx") == 0) {
                out->virtualization = feature;
            } else if (strcmp(feature, "hypervisor") == 0) {
                out->is_virtual = true;
            }
        }
        length += space != NULL ? 1 : 0;
        flags += length;
        size -= length;
    }
    out->features = features;
}

void facts_cpu_read(struct facts_source *source, Rayos__Node__Cpu *out)
{
    static const char online_path[] = "sys/devices/system/cpu/online";
    char *cpuinfo = facts_alloc(source, CPUINFO_HEAD_SIZE);
    unsigned *cpus = facts_alloc(source, FACTS_CPU_COUNT_MAX * sizeof *cpus);
    char list[LIST_SIZE];
    struct utsname names;
    size_t count = 0;

    if (cpuinfo == NULL || cpus == NULL) {
        return;
    }
    (void)facts_head(source, "proc/cpuinfo", cpuinfo, CPUINFO_HEAD_SIZE);
    out->vendor = field_copy(source, cpuinfo, "vendor_id");
    out->model = field_copy(source, cpuinfo, "model name");
    if (out->vendor[0] == '\0') {
        out->vendor = field_copy(source, cpuinfo, "CPU implementer");
    }
    if (out->model[0] == '\0') {
        out->model = field_copy(source, cpuinfo, "CPU part");
    }
    read_features(source, cpuinfo, out);
    if (uname(&names) == 0) {
        out->architecture = facts_copy(source, names.machine, strlen(names.machine));
    }
    if (facts_head(source, online_path, list, sizeof list) > 0) {
        count = facts_cpu_list_parse(list, cpus, FACTS_CPU_COUNT_MAX);
    }
    out->count = (uint32_t)count;
    out->socket_count = count_sockets(source, cpus, count);
    out->has_kvm = facts_exists(source, "dev/kvm");
}

/* "16318480 kB" in bytes. */
static uint64_t meminfo_bytes(const char *text, const char *key)
{
    size_t size = 0;
    const char *value = facts_field(text, key, &size);
    unsigned long long kib;

    if (value == NULL || !isdigit((unsigned char)value[0])) {
        return 0;
    }
    errno = 0;
    kib = strtoull(value, NULL, 10);
    return errno == 0 && kib <= UINT64_MAX / 1024 ? kib * 1024 : 0;
}

void facts_memory_read(struct facts_source *source, Rayos__Node__Memory *out)
{
    char text[MEMINFO_SIZE];

    (void)facts_head(source, "proc/meminfo", text, sizeof text);
    out->total_bytes = meminfo_bytes(text, "MemTotal");
    out->available_bytes = meminfo_bytes(text, "MemAvailable");
}
