# The four helpers that every folder uses: ray_library, ray_program, ray_test, ray_fuzz.
# No globbing, no include_directories: the root and the generated sources are the only
# include paths.

find_package(PkgConfig REQUIRED)

set(RAY_SANITIZE "" CACHE STRING "sanitizers, e.g. address,undefined")
option(RAY_FAULTS "fault injection (base/fault.h)" OFF)
option(RAY_FUZZERS "build libFuzzer targets (clang)" OFF)
option(RAY_MUTANTS "known bad variants by name (coordinator/mutant.h)" OFF)
option(RAY_COVERAGE "line coverage" OFF)

set(ray_gen ${CMAKE_BINARY_DIR}/gen)
file(MAKE_DIRECTORY ${ray_gen})

# Flags of our own code; ray_flags is linked by everything made here.
add_library(ray_flags INTERFACE)
target_include_directories(ray_flags INTERFACE ${CMAKE_SOURCE_DIR} ${ray_gen})
target_compile_definitions(ray_flags INTERFACE _GNU_SOURCE RAY_VERSION="${PROJECT_VERSION}")
# No path of the machine in a program, so that two build folders give the same bytes; the
# linker compiles, too (LTO).
set(ray_prefix_maps -ffile-prefix-map=${CMAKE_SOURCE_DIR}/=
    -ffile-prefix-map=${CMAKE_BINARY_DIR}=build)
target_compile_options(ray_flags INTERFACE -fno-omit-frame-pointer ${ray_prefix_maps})
target_link_options(ray_flags INTERFACE ${ray_prefix_maps})
if(RAY_FAULTS)
    target_compile_definitions(ray_flags INTERFACE RAY_FAULTS)
endif()
if(RAY_MUTANTS)
    target_compile_definitions(ray_flags INTERFACE RAY_MUTANTS)
endif()
if(RAY_SANITIZE)
    target_compile_options(ray_flags INTERFACE -fsanitize=${RAY_SANITIZE} -fno-sanitize-recover=all)
    target_link_options(ray_flags INTERFACE -fsanitize=${RAY_SANITIZE})
endif()
if(RAY_COVERAGE)
    target_compile_options(ray_flags INTERFACE --coverage)
    target_link_options(ray_flags INTERFACE --coverage)
endif()
if(RAY_FUZZERS)
    target_compile_options(ray_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()

set(ray_warnings -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wstrict-prototypes
    -Wmissing-prototypes -Wimplicit-fallthrough -Wvla -Wundef -Wformat=2 -Wcast-align -Werror)

# Link names: our own libraries by name, others by pkg-config module as pkg:libuv.
function(ray_link target scope)
    foreach(link IN LISTS ARGN)
        if(link MATCHES "^pkg:(.+)$")
            string(MAKE_C_IDENTIFIER "pkg_${CMAKE_MATCH_1}" name)
            pkg_check_modules(${name} REQUIRED IMPORTED_TARGET GLOBAL ${CMAKE_MATCH_1})
            target_link_libraries(${target} ${scope} PkgConfig::${name})
        else()
            target_link_libraries(${target} ${scope} ${link})
        endif()
    endforeach()
endfunction()

# ray_library(NAME base SOURCES err.c ... [HEADERS size.h ...] [PROTOS proto/rpc.proto ...]
#             [LINKS net pkg:libuv ...])
# Every x.h beside an x.c, and each of HEADERS, must compile alone.
function(ray_library)
    cmake_parse_arguments(arg "" "NAME" "SOURCES;HEADERS;PROTOS;LINKS" ${ARGN})
    add_library(${arg_NAME} STATIC ${arg_SOURCES})
    target_compile_options(${arg_NAME} PRIVATE ${ray_warnings})
    target_link_libraries(${arg_NAME} PUBLIC ray_flags)
    ray_link(${arg_NAME} PUBLIC ${arg_LINKS})

    file(RELATIVE_PATH folder ${CMAKE_SOURCE_DIR} ${CMAKE_CURRENT_SOURCE_DIR})
    set(alone "")
    foreach(source IN LISTS arg_SOURCES)
        string(REGEX REPLACE "\\.c$" ".h" header ${source})
        if(EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${header})
            list(APPEND arg_HEADERS ${header})
        endif()
    endforeach()
    list(REMOVE_DUPLICATES arg_HEADERS)
    foreach(header IN LISTS arg_HEADERS)
        set(file ${CMAKE_BINARY_DIR}/alone/${folder}/${header}.c)
        file(CONFIGURE OUTPUT ${file} CONTENT "#include \"${folder}/${header}\"\n" @ONLY)
        list(APPEND alone ${file})
    endforeach()
    if(alone)
        add_library(${arg_NAME}_headers OBJECT ${alone})
        target_compile_options(${arg_NAME}_headers PRIVATE ${ray_warnings})
        target_link_libraries(${arg_NAME}_headers PRIVATE ${arg_NAME})
    endif()

    if(arg_PROTOS)
        set(generated "")
        foreach(proto IN LISTS arg_PROTOS)
            string(REGEX REPLACE "\\.proto$" ".pb-c" stem ${proto})
            set(out ${ray_gen}/${folder}/${stem})
            add_custom_command(OUTPUT ${out}.c ${out}.h
                COMMAND protoc-c --c_out=${ray_gen} --proto_path=${CMAKE_SOURCE_DIR}
                        ${CMAKE_CURRENT_SOURCE_DIR}/${proto}
                DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${proto} VERBATIM)
            list(APPEND generated ${out}.c ${out}.h)
        endforeach()
        # Generated code keeps its own warnings to itself; the analyzer is for ours.
        add_library(${arg_NAME}_proto STATIC ${generated})
        target_compile_options(${arg_NAME}_proto PRIVATE $<$<C_COMPILER_ID:GNU>:-fno-analyzer>)
        target_link_libraries(${arg_NAME}_proto PUBLIC ray_flags)
        ray_link(${arg_NAME}_proto PUBLIC pkg:libprotobuf-c)
        target_link_libraries(${arg_NAME} PUBLIC ${arg_NAME}_proto)
        add_dependencies(${arg_NAME} ${arg_NAME}_proto)
    endif()
endfunction()

# All programs without the tests: `tools/build release programs`.
add_custom_target(programs)

# ray_program(NAME rayosd SOURCES rayosd.c LINKS net base)
function(ray_program)
    cmake_parse_arguments(arg "" "NAME" "SOURCES;LINKS" ${ARGN})
    add_executable(${arg_NAME} ${arg_SOURCES})
    target_compile_options(${arg_NAME} PRIVATE ${ray_warnings})
    target_link_libraries(${arg_NAME} PRIVATE ray_flags)
    ray_link(${arg_NAME} PRIVATE ${arg_LINKS})
    add_dependencies(programs ${arg_NAME})
endfunction()

# ray_test(NAME base_err SOURCES err_test.c LINKS base [LABEL unit] [TIMEOUT seconds] [ARGS ...])
# A cmocka program, one process of its own.
function(ray_test)
    cmake_parse_arguments(arg "" "NAME;LABEL;TIMEOUT" "SOURCES;LINKS;ARGS" ${ARGN})
    if(NOT arg_LABEL)
        set(arg_LABEL unit)
    endif()
    if(NOT arg_TIMEOUT)
        set(arg_TIMEOUT 120)
    endif()
    add_executable(${arg_NAME}_test ${arg_SOURCES})
    target_compile_options(${arg_NAME}_test PRIVATE ${ray_warnings})
    target_link_libraries(${arg_NAME}_test PRIVATE ray_flags)
    ray_link(${arg_NAME}_test PRIVATE ${arg_LINKS} pkg:cmocka)
    add_test(NAME ${arg_NAME} COMMAND ${arg_NAME}_test ${arg_ARGS})
    set_tests_properties(${arg_NAME} PROPERTIES LABELS ${arg_LABEL} TIMEOUT ${arg_TIMEOUT})
endfunction()

# ray_fuzz(NAME net_rpc SOURCES rpc_fuzz.c LINKS net)
# The seed corpus is tests/fuzz/corpus/NAME. With RAY_FUZZERS a libFuzzer program that
# replays the corpus and then runs for RAY_FUZZ_SECONDS (environment; 2 by default);
# otherwise a program that only replays.
function(ray_fuzz)
    cmake_parse_arguments(arg "" "NAME" "SOURCES;LINKS" ${ARGN})
    set(corpus ${CMAKE_SOURCE_DIR}/tests/fuzz/corpus/${arg_NAME})
    set(target ${arg_NAME}_fuzz)
    add_executable(${target} ${arg_SOURCES})
    target_compile_options(${target} PRIVATE ${ray_warnings} -Wno-missing-prototypes)
    target_link_libraries(${target} PRIVATE ray_flags)
    ray_link(${target} PRIVATE ${arg_LINKS})
    if(RAY_FUZZERS)
        target_link_options(${target} PRIVATE -fsanitize=fuzzer)
        add_test(NAME ${target} COMMAND ${CMAKE_SOURCE_DIR}/tools/fuzz-run
            $<TARGET_FILE:${target}> ${corpus} ${CMAKE_BINARY_DIR}/fuzz/${arg_NAME})
    else()
        target_sources(${target} PRIVATE ${CMAKE_SOURCE_DIR}/tools/cmake/fuzz_replay.c)
        add_test(NAME ${target} COMMAND ${target} ${corpus})
    endif()
    set_tests_properties(${target} PROPERTIES LABELS fuzz TIMEOUT 7200)
endfunction()
