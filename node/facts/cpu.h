/* node/facts/cpu.h - processors, what they can virtualize, memory.
 *
 * Memory: texts in the source's arena.  Threads: the caller's.  Blocks: as read.h.
 * Trust: as read.h. */
#ifndef RAY_NODE_FACTS_CPU_H
#define RAY_NODE_FACTS_CPU_H

#include <stddef.h>

#include "net/proto/node.pb-c.h"
#include "node/facts/read.h"

enum { FACTS_CPU_COUNT_MAX = 1024, FACTS_FEATURE_COUNT_MAX = 256 };

void facts_cpu_read(struct facts_source *source, Rayos__Node__Cpu *out);
void facts_memory_read(struct facts_source *source, Rayos__Node__Memory *out);

/* "0-3,8" is five CPUs; the numbers below FACTS_CPU_COUNT_MAX are stored, as many as fit.
 * 0 when it is no such list. */
size_t facts_cpu_list_parse(const char *text, unsigned *numbers, size_t numbers_count);

#endif
