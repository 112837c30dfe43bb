#!/bin/bash
# tests/install_test.sh - make install as a package does it, then programs that know only what pkg-config tells them.
# SPDX-License-Identifier: BSD-2-Clause
#
# Checks: what is installed and nothing else; each public header compiles alone from the installed place, and all
# together with g++ and clang++; a C++ and a C consumer build, link and run, the C++ one also with -static; the same by
# CMake (find_package, and add_subdirectory of what make dist packs) and by meson; uninstall leaves nothing.
set -u
cd "$(dirname "$0")/.." || exit 1
.ci/need pkg-config || exit 1
. tests/script.sh

# As a package does: built for /opt/gort, put together below DESTDIR, moved to its place afterwards. We cannot write to
# /opt, so pkg-config is told where the place is by --define-variable.
check 'make install' make -s install PREFIX=/opt/gort DESTDIR="$dir/package"
root=$dir/package/opt/gort
check 'nothing beside the prefix' test "$(find "$dir/package" -type f | grep -vc "^$root/")" = 0
check 'the library' test -s "$root/lib/libgort.a"
export PKG_CONFIG_PATH=$root/lib/pkgconfig
check 'gort.pc' pkg-config --validate gort
check 'gort.pc: prefix' test "$(pkg-config --variable=prefix gort)" = /opt/gort
check 'gort.pc asks for stack probes' grep -q -- '-fstack-clash-protection' <(pkg-config --cflags gort)
check 'gort.pc binds functions' grep -q -- '-Bsymbolic-functions' <(pkg-config --libs gort)
read -ra cflags < <(pkg-config --define-variable=prefix="$root" --cflags gort)
read -ra libs < <(pkg-config --define-variable=prefix="$root" --libs gort)

compilers=(g++)
command -v clang++ >/dev/null && compilers+=(clang++)
cd "$dir" || exit 1 # the tree's own headers are out of reach from here

mapfile -t headers < <(cd "$root/include/gort" 2>/dev/null && find . -name '*.h' | sort | sed 's|^\./||')
check 'there are public headers' test "${#headers[@]}" -gt 0
warn=(-std=c++20 -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wold-style-cast -Werror)
for h in "${headers[@]}"; do
    echo "#include <$h>" >alone.cc
    check "<$h> alone" g++ "${warn[@]}" "${cflags[@]}" -fsyntax-only alone.cc
done
for cxx in "${compilers[@]}"; do
    printf '#include <%s>\n' "${headers[@]}" >all.cc
    check "all of them, $cxx" "$cxx" "${warn[@]}" "${cflags[@]}" -fsyntax-only all.cc
    # With a generic prefix as include path, as in <gort/rt/go.h>.
    printf '#include <gort/%s>\n' "${headers[@]}" >all.cc
    check "all as <gort/...>, $cxx" "$cxx" "${warn[@]}" -I"$root/include" -fsyntax-only all.cc
done

cat >user.cc <<'EOF'
#include <gort.h>
#include <atomic>
int main() {
    return gort::run([] {
        std::atomic<int> n = 0;
        for (int i = 0; i < 3; i++) gort::go([&n] { n++; });
        while (n < 3) gort::yield();
        return n.load() + 4;
    });
}
EOF
cat >other.cc <<'EOF'
#include <gort.h>
int other() { return 0; }
EOF
if [ -e "$root/include/gort/gort.h" ]; then
    for cxx in "${compilers[@]}"; do
        # Two translation units: whatever a header defines has to bear it.
        check "a program, $cxx" "$cxx" "${warn[@]}" -O2 "${cflags[@]}" user.cc other.cc -o user "${libs[@]}"
        check "it runs, $cxx" exits_with 7 ./user
        check "a static program, $cxx" "$cxx" "${warn[@]}" -O2 -static "${cflags[@]}" user.cc -o user "${libs[@]}"
        check "it runs, $cxx" exits_with 7 ./user
    done
else
    skip 'programs in C++: no gort.h yet'
fi
read -ra check_libs < <(pkg-config --define-variable=prefix="$root" --libs gort-check)
check 'a program with gort-check' g++ "${warn[@]}" "${cflags[@]}" user.cc -o user_check "${check_libs[@]}"
check 'it runs' exits_with 7 env GORT_CHECK=locks ./user_check
check 'the check is in it' grep -q gort_check_locks user_check
if [ -e "$root/include/gort/gort_c.h" ]; then
    printf '%s\n' '#include <gort_c.h>' 'static int seven(void* arg) { (void)arg; return 7; }' \
        'int main(void) { return gort_run(seven, NULL, NULL); }' >user.c
    check 'a program in C' gcc -std=c11 -Wall -Wextra -Wpedantic -Werror "${cflags[@]}" user.c -o user_c "${libs[@]}"
    check 'it runs' exits_with 7 ./user_c
    check 'it has no C++ runtime' test -z "$(ldd user_c | grep stdc)"
    check 'gort_c.h as C++' g++ -x c++ "${warn[@]}" "${cflags[@]}" -fsyntax-only user.c
else
    skip 'programs in C: no gort_c.h yet'
fi

if command -v gdb >/dev/null; then
    check 'gort-gdb finds its script' \
        grep -q 'Every goroutine' <("$root/bin/gort-gdb" -nx -batch -ex 'help info goroutines')
else
    skip 'gort-gdb: no gdb'
fi

version=$(sed -n 's/^#define GORT_VERSION "\(.*\)"/\1/p' "$root/include/gort/rt/version.h")
check 'pkg-config has the version' test "$(pkg-config --modversion gort)" = "$version"
printf '%s\n' '#include <gort.h>' '#include <cstdio>' 'int main() { std::puts(gort::version); }' >version.cc
check 'gort::version' g++ "${warn[@]}" "${cflags[@]}" version.cc -o version "${libs[@]}"
check 'is the same' test "$(./version)" = "$version"

"$OLDPWD/.ci/need" cmake meson ninja || echo 'what needs them is skipped'
fails() { ! "$@"; }
project() { # project DIR LANGUAGES LINE...: a CMake project with user.cc or user.c, which gets gort by these lines
    local at=$1 languages=$2
    shift 2
    mkdir -p "$at"
    cp user.cc user.c "$at"
    printf '%s\n' 'cmake_minimum_required(VERSION 3.16)' "project(user $languages)" "$@" \
        "add_executable(user user.$([ "$languages" = C ] && echo c || echo cc))" \
        'target_link_libraries(user gort::gort)' >"$at/CMakeLists.txt"
}
if command -v cmake >/dev/null; then
    for languages in CXX C; do
        project "find_$languages" $languages 'find_package(gort 0.1 REQUIRED)'
        check "find_package, $languages" cmake -S "find_$languages" -B "find_$languages/b" "-DCMAKE_PREFIX_PATH=$root"
        check 'builds' cmake --build "find_$languages/b"
        check 'runs' exits_with 7 "find_$languages/b/user"
    done
    for wanted in "$version EXACT=yes" 0.1=yes 0.0=no 0.2=no 0.10=no 1=no 0.1.99=no; do
        project "find_$wanted" C "find_package(gort ${wanted%=*} QUIET)" \
            "if(NOT gort_FOUND)" "message(FATAL_ERROR no)" "endif()"
        if [ "${wanted#*=}" = yes ]; then
            check "find_package ${wanted%=*}" cmake -S "find_$wanted" -B "find_$wanted/b" "-DCMAKE_PREFIX_PATH=$root"
        else
            check "find_package ${wanted%=*} finds none" \
                fails cmake -S "find_$wanted" -B "find_$wanted/b" "-DCMAKE_PREFIX_PATH=$root"
        fi
    done
    check 'make dist' make -s -C "$OLDPWD" dist
    tar xzf "$OLDPWD/build/gort-$version.tar.gz"
    check 'it unpacks into a folder of its own' test -e "gort-$version/Makefile"
    check 'and has no build' test ! -e "gort-$version/build"
    project sub CXX "add_subdirectory(../gort-$version gort)"
    check 'add_subdirectory' cmake -S sub -B sub/b
    check 'builds what make dist packed' env CCACHE_BASEDIR="$dir" CCACHE_NOHASHDIR=1 cmake --build sub/b
    check 'runs' exits_with 7 sub/b/user
    check 'nothing was built in the tree' test ! -e "gort-$version/build"
    check 'make dist without git' make -s -C "gort-$version" dist
    check 'packs the same' cmp <(tar tzf "$OLDPWD/build/gort-$version.tar.gz") \
        <(tar tzf "gort-$version/build/gort-$version.tar.gz")
else
    skip 'CMake: no cmake here'
fi
if command -v meson >/dev/null && command -v ninja >/dev/null; then
    mkdir meson
    cp user.cc meson
    printf '%s\n' "project('user', 'cpp', default_options: ['cpp_std=c++20'])" \
        "executable('by_pkgconfig', 'user.cc', dependencies: dependency('gort', method: 'pkg-config'))" \
        "cmake_gort = dependency('gort', method: 'cmake', modules: ['gort::gort'])" \
        "executable('by_cmake', 'user.cc', dependencies: cmake_gort)" \
        >meson/meson.build
    # gort.pc speaks of /opt/gort, where it is not yet.
    mkdir -p pc && sed "s|^prefix=.*|prefix=$root|" "$root/lib/pkgconfig/gort.pc" >pc/gort.pc
    if command -v cmake >/dev/null; then
        check 'meson' env PKG_CONFIG_PATH="$PWD/pc" meson setup meson/b meson --cmake-prefix-path "$root"
        check 'builds' ninja -C meson/b
        check 'runs, by pkg-config' exits_with 7 meson/b/by_pkgconfig
        check 'runs, by CMake' exits_with 7 meson/b/by_cmake
    fi
else
    skip 'meson: no meson here'
fi

cd - >/dev/null || exit 1
check 'make uninstall' make -s uninstall PREFIX=/opt/gort DESTDIR="$dir/package"
check 'nothing is left' test -z "$(find "$dir/package" -type f)"
finish
