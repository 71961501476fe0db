/* coordinator/store/crc32c.h - CRC32C (Castagnoli), RFC 3720 appendix B.4.
 *
 * Memory: none.  Threads: any.  Blocks: never.  Trust: bytes may be anything. */
#ifndef RAY_COORDINATOR_STORE_CRC32C_H
#define RAY_COORDINATOR_STORE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* `before`: 0, or the result for the bytes that precede these. */
uint32_t coord_crc32c(uint32_t before, const void *bytes, size_t size);
/* The same without the processor's help, for its test. */
uint32_t coord_crc32c_portable(uint32_t before, const void *bytes, size_t size);

#endif
