/* clusterctl/lab/report.h - what is left of a lab for people and tests: events.jsonl while it
 * lives, report.json when it has ended.
 *
 * Memory: none kept.  Threads: the loop's.  Blocks: on the disk; the report asks the switch
 * for its counters.  Trust: texts were escaped when they came in. */
#ifndef RAY_CLUSTERCTL_LAB_REPORT_H
#define RAY_CLUSTERCTL_LAB_REPORT_H

#include "base/err.h"
#include "clusterctl/lab/paths.h"

struct lab;
struct lab_event;

/* Appends one line to events.jsonl. */
void lab_report_event(struct lab *lab, const struct lab_event *event);
/* Writes report.json: the last status, and how it came to its end. */
int lab_report_write(struct lab *lab, struct ray_err *err);
/* Keeps what only the switch knows for the report, while it still answers. */
void lab_report_keep_switch(struct lab *lab);

/* For a supervisor that cannot write its own any more: report.json with only the outcome. */
int lab_report_write_crash(const struct lab_paths *paths, struct ray_err *err);

#endif
