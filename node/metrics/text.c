#include "node/metrics/text.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/size.h"
#include "node/metrics/families.h"

enum { VALUE_SIZE = 512, LABEL_SIZE = 1024 };

static const struct {
    const char *name;
    const char *type;
    const char *help;
} families[] = {
#define FAMILY_ROW(name, type, label, help) {name, type, help},
    METRICS_FAMILIES(FAMILY_ROW)
#undef FAMILY_ROW
};

#define ADD(text, ...)                                                                             \
    do {                                                                                           \
        if ((text)->code == RAY_OK) {                                                              \
            (text)->code = ray_buf_appendf((text)->out, __VA_ARGS__);                              \
        }                                                                                          \
    } while (0)

void metrics_begin(struct metrics_text *text, struct ray_buf *out)
{
    *text = (struct metrics_text){.out = out, .code = RAY_OK};
}

void metrics_family(struct metrics_text *text, const char *name)
{
    while (text->next < METRICS_FAMILY_COUNT && strcmp(families[text->next].name, name) != 0) {
        text->next++;
    }
    assert(text->next < METRICS_FAMILY_COUNT);
    text->current = text->next++;
    ADD(text, "# HELP %s %s\n# TYPE %s %s\n", name, families[text->current].help, name,
        families[text->current].type);
}

/* Backslash, quote and line feed are what the format wants escaped; ray_escape leaves the first
 * two as they are, and turns what is not printable into \xNN, whose backslash is escaped here. */
static void escape(char out[static LABEL_SIZE], const char *value)
{
    char plain[VALUE_SIZE];
    size_t used = 0;

    (void)ray_escape(plain, sizeof plain, value, strlen(value));
    for (const char *at = plain; *at != '\0' && used + 2 < LABEL_SIZE; at++) {
        if (*at == '\\' || *at == '"') {
            out[used++] = '\\';
        }
        out[used++] = *at;
    }
    out[used] = '\0';
}

static void add_name(struct metrics_text *text, struct metrics_label first,
                     struct metrics_label second)
{
    char one[LABEL_SIZE];
    char two[LABEL_SIZE];

    ADD(text, "%s", families[text->current].name);
    if (first.name == NULL) {
        return;
    }
    escape(one, first.value);
    if (second.name == NULL) {
        ADD(text, "{%s=\"%s\"}", first.name, one);
        return;
    }
    escape(two, second.value);
    ADD(text, "{%s=\"%s\",%s=\"%s\"}", first.name, one, second.name, two);
}

void metrics_labelled_twice(struct metrics_text *text, struct metrics_label first,
                            struct metrics_label second, uint64_t value)
{
    add_name(text, first, second);
    ADD(text, " %" PRIu64 "\n", value);
}

void metrics_labelled(struct metrics_text *text, struct metrics_label label, uint64_t value)
{
    metrics_labelled_twice(text, label, (struct metrics_label){0}, value);
}

void metrics_count(struct metrics_text *text, uint64_t value)
{
    metrics_labelled(text, (struct metrics_label){0}, value);
}

/* Nine digits behind the point, which is what nanoseconds need; by integers, so that nothing is
 * rounded. */
static void add_fraction(struct metrics_text *text, uint64_t value, uint64_t unit)
{
    uint64_t rest = value % unit;
    uint64_t digits = 0;

    for (int i = 0; i < 9; i++) {
        rest *= 10;
        digits = digits * 10 + rest / unit;
        rest %= unit;
    }
    ADD(text, "%" PRIu64 ".%09" PRIu64, value / unit, digits);
}

void metrics_ratio(struct metrics_text *text, struct metrics_label label, uint64_t value,
                   uint64_t unit)
{
    assert(unit > 0 && unit <= UINT64_MAX / 10);
    add_name(text, label, (struct metrics_label){0});
    ADD(text, " ");
    add_fraction(text, value, unit);
    ADD(text, "\n");
}

void metrics_histogram(struct metrics_text *text, const struct ray_histogram *histogram)
{
    const char *name = families[text->current].name;
    uint64_t count = 0;

    for (size_t i = 0; i < RAY_HISTOGRAM_BUCKETS; i++) {
        uint64_t bound_ns = ray_histogram_bound_ns(i);

        count += histogram->counts[i];
        ADD(text, "%s_bucket{le=\"", name);
        if (bound_ns == UINT64_MAX) {
            ADD(text, "+Inf");
        } else {
            add_fraction(text, bound_ns, RAY_NS_PER_S);
        }
        ADD(text, "\"} %" PRIu64 "\n", count);
    }
    ADD(text, "%s_sum ", name);
    add_fraction(text, histogram->sum_ns, RAY_NS_PER_S);
    ADD(text, "\n%s_count %" PRIu64 "\n", name, count);
}

void metrics_one(struct metrics_text *text, const char *name, uint64_t value)
{
    metrics_family(text, name);
    metrics_count(text, value);
}
