/* console_fuzz.c - whatever a machine writes to its console or marker port. The first byte
 * says where the stream is cut in two; both halves together must give the same lines. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "clusterctl/lab/lines.h"
#include "clusterctl/lab/markers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct sink {
    struct lab_markers markers;
    uint64_t hash; /* of all lines */
};

static void on_line(void *arg, const char *line, size_t size)
{
    struct sink *sink = arg;

    assert(size <= LAB_LINE_SIZE_MAX && strlen(line) == size);
    for (size_t i = 0; i < size; i++) {
        assert((unsigned char)line[i] >= ' ' || line[i] == '\t');
        sink->hash = (sink->hash ^ (unsigned char)line[i]) * UINT64_C(1099511628211);
    }
    sink->hash = (sink->hash ^ '\n') * UINT64_C(1099511628211);
    if (lab_markers_add(&sink->markers, 1, 1, line, size) != NULL) {
        const struct lab_marker *last = NULL;
        const struct lab_marker *added = &sink->markers.items[sink->markers.count - 1];

        assert(lab_markers_count(&sink->markers, added->line, 0, SIZE_MAX, &last) >= 1);
        assert(last != NULL);
    }
}

static uint64_t feed(const uint8_t *data, size_t size, size_t cut)
{
    struct sink sink = {.hash = UINT64_C(14695981039346656037)};
    struct lab_lines lines;

    lab_markers_init(&sink.markers);
    lab_lines_init(&lines, on_line, &sink);
    lab_lines_feed(&lines, data, cut);
    lab_lines_feed(&lines, data + cut, size - cut);
    lab_lines_end(&lines);
    lab_markers_fini(&sink.markers);
    return sink.hash;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t cut;
    uint64_t in_two;
    uint64_t in_one;

    if (size == 0) {
        return 0;
    }
    cut = (size - 1) * data[0] / 255;
    in_two = feed(data + 1, size - 1, cut);
    in_one = feed(data + 1, size - 1, 0);
    assert(in_two == in_one);
    return 0;
}
