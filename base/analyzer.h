/* base/analyzer.h - what gcc's -fanalyzer cannot know, said where it is so.
 *
 * Memory: none.  Threads: any.  Blocks: never.  Trust: none. */
#ifndef RAY_BASE_ANALYZER_H
#define RAY_BASE_ANALYZER_H

/* Around a function that opens descriptors by number for whatever runs later in this process, 0
 * to 2 above all: nobody holds them in a variable, so they look leaked. */
#if defined __GNUC__ && !defined __clang__
#define RAY_ANALYZER_FDS_BY_NUMBER_BEGIN                                                           \
    _Pragma("GCC diagnostic push") _Pragma("GCC diagnostic ignored \"-Wanalyzer-fd-leak\"")
#define RAY_ANALYZER_FDS_BY_NUMBER_END _Pragma("GCC diagnostic pop")
#else
#define RAY_ANALYZER_FDS_BY_NUMBER_BEGIN
#define RAY_ANALYZER_FDS_BY_NUMBER_END
#endif

#endif
