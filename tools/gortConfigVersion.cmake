# gortConfigVersion.cmake - which version find_package(gort VERSION) finds: that of the installed rt/version.h.
# SPDX-License-Identifier: BSD-2-Clause
#
# A version fits if it is not older than what is asked for and of the same major version, or, below 1.0, of the same
# minor one (rt/README.md, "Versions").
file(STRINGS "${CMAKE_CURRENT_LIST_DIR}/../../../include/gort/rt/version.h" PACKAGE_VERSION
     REGEX "define GORT_VERSION \"")
string(REGEX REPLACE ".*\"(.*)\".*" "\\1" PACKAGE_VERSION "${PACKAGE_VERSION}")
string(REGEX REPLACE "^0\\.([0-9]+).*" "0.\\1" gort_series "${PACKAGE_VERSION}")
string(REGEX REPLACE "^([1-9][0-9]*)\\..*" "\\1" gort_series "${gort_series}")
string(REPLACE "." "[.]" gort_series "${gort_series}")
set(PACKAGE_VERSION_COMPATIBLE FALSE)
if(NOT PACKAGE_FIND_VERSION OR
   (PACKAGE_FIND_VERSION MATCHES "^${gort_series}([.]|$)" AND NOT PACKAGE_FIND_VERSION VERSION_GREATER PACKAGE_VERSION))
    set(PACKAGE_VERSION_COMPATIBLE TRUE)
endif()
if(PACKAGE_FIND_VERSION VERSION_EQUAL PACKAGE_VERSION)
    set(PACKAGE_VERSION_EXACT TRUE)
endif()
unset(gort_series)
