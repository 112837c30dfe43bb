# gortConfig.cmake - find_package(gort) defines the target gort::gort, for programs in C++ and C.
# SPDX-License-Identifier: BSD-2-Clause
#
# It lies in PREFIX/lib/cmake/gort, wherever PREFIX has been moved to.
include(CMakeFindDependencyMacro)
find_dependency(Threads)
if(NOT TARGET gort::gort)
    get_filename_component(gort_prefix "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)
    add_library(gort::gort STATIC IMPORTED)
    set_target_properties(gort::gort PROPERTIES
        IMPORTED_LOCATION "${gort_prefix}/lib/libgort.a"
        INTERFACE_INCLUDE_DIRECTORIES "${gort_prefix}/include/gort"
        INTERFACE_LINK_LIBRARIES Threads::Threads)
    if(CMAKE_CXX_COMPILER_LOADED)
        set_property(TARGET gort::gort PROPERTY INTERFACE_COMPILE_FEATURES cxx_std_20)
    endif()
    # Stack probes, as README.md explains; clang has none for ARM64 before version 18.
    if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64)$" OR NOT CMAKE_CXX_COMPILER_ID MATCHES Clang)
        set_property(TARGET gort::gort PROPERTY INTERFACE_COMPILE_OPTIONS -fstack-clash-protection)
    endif()
    unset(gort_prefix)
endif()
