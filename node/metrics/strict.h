/* node/metrics/strict.h - reads Prometheus' text format 0.0.4 as strictly as it can be read, for
 * tests: what no scraper would complain about is no proof.
 *
 * Memory: none.  Threads: any.  Blocks: never.  Trust: the text may be anything. */
#ifndef RAY_NODE_METRICS_STRICT_H
#define RAY_NODE_METRICS_STRICT_H

#include <stdbool.h>
#include <stddef.h>

enum { STRICT_WHY_SIZE = 256 };

/* Each line HELP, TYPE or a sample; of a family HELP, TYPE, then its samples, without another
 * between; names with the prefix "rayos_", of counters alone with the suffix "_total"; no two
 * samples alike; buckets rise, end with +Inf and agree with the count. */
bool strict_check(const char *text, char why[static STRICT_WHY_SIZE]);
/* The value of the sample whose name and labels are `series`, as text; NULL: none. Not
 * terminated but by the line's end. */
const char *strict_find(const char *text, const char *series);

#endif
