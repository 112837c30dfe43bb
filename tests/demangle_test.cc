// tests/demangle_test.cc - our demangler against the C++ runtime's, and on what is no name.
// SPDX-License-Identifier: BSD-2-Clause
#include "rt/symbols/demangle.h"

#include <cxxabi.h>

#include <cstdlib>
#include <cstring>
#include <string>

#include "rt/symbols/image.h"
#include "rt/symbols/symbols.h"
#include "rt/trace/traceback.h"
#include "tests/test.h"

using namespace gort;

namespace {

std::string ours(const char* name) {
    char out[8192];
    return rt::demangle(name, out, sizeof out) ? out : "?";
}
std::string theirs(const char* name) {
    int status = 0;
    char* s = abi::__cxa_demangle(name, nullptr, nullptr, &status);
    std::string text = s ? s : "?";
    std::free(s);
    return text;
}

TEST(what_functions_of_all_kinds_are_called) {
    static const char* const kNames[] = {
        "_Z3fooi",
        "_Z3foov",
        "_ZN1a1b3fooEPKcRS1_",
        "_Z6workerN4gort4chanIiEE",
        "_ZN12_GLOBAL__N_13barEl",
        "_ZNKSt6vectorIiSaIiEE2atEm",
        "_ZNSt6vectorIiSaIiEED1Ev",
        "_ZN1AC2ERKS_",
        "_ZN1AC1IiEET_",
        "_ZN1AcvbEv",
        "_ZZ4mainENKUlvE_clEv",
        "_ZZ4mainENKUlvE0_clEv",
        "_ZZZ4mainENKUlvE_clEvENKUliE_clEi",
        "_ZZ3foovE1x_0",
        "_ZN4gort6detail13invoke_inlineINS0_4CallIZZ4mainENKUlvE_clEvEUlvE_JEEEEEvPv",
        "_Z1fPFviE",
        "_Z1fPFPFivEiE",
        "_Z1fM1AFivE",
        "_Z1fM1AKFivE",
        "_Z1fRA3_i",
        "_Z1fIJilEEvDpT_",
        "_Z1fIJilEEvDpRKT_",
        "_Z1fIJEEvDpT_",
        "_Z1fIiEPFvT_Ei",
        "_Z1fDn",
        "_Z1fILi3EEvv",
        "_Z1fILb1EEvv",
        "_Z1fILin7EEvv",
        "_Z1fIXadL_Z1gvEEEvv",
        "_ZlsRSoRK1A",
        "_ZN1AixEm",
        "_ZN1AaSEOS_",
        "_Znwm",
        "_ZdlPvm",
        "_ZTV1A",
        "_ZTI1A",
        "_ZTSN1a1bE",
        "_ZGVZ3foovE1x",
        "_ZThn8_N1B1fEv",
        "_ZNO1A1fEv",
        "_ZNKR1A1fEv",
        "_ZNVK1A1fEv",
        "_Z1fv.cold",
        "_Z1fv.constprop.0.isra.1.cold",
        "_ZN3abcB5cxx11Ev",
        "_Z1fNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE",

        "_Z1fIRiEvOT_",
        "_Z1fIiEvOT_",
        "_ZN1aUt_1fEv",
        "_ZStlsISt11char_traitsIcEERSt13basic_ostreamIcT_ES5_PKc",
        "_Z1fPDoFvvE",
        "_Z1fz",
        "_Z1fiz",
        "_ZN1AILi0EE1BIcE1fEv",
        "_ZSt4moveIRSsEONSt16remove_referenceIT_E4typeEOS2_"};
    int read = 0;
    for (const char* name : kNames) {
        const std::string want = theirs(name), got = ours(name);
        if (got == "?") continue;  // expressions
        ++read;
        if (got != want) std::printf("%s\n  %s\n  %s\n", name, want.c_str(), got.c_str());
        CHECK_EQ(got, want);
    }
    CHECK(read >= 50);
}

// Every name that this very program has, through the symbol table: hundreds.
TEST(this_program_s_own_names) {
    rt::Images* images = rt::Images::take();
    CHECK(images != nullptr);
    rt::Symbol s;
    rt::find_symbol(images, reinterpret_cast<uintptr_t>(&ours) | rt::kExactPc, &s);
    int same = 0, other = 0;
    const rt::Section& names = s.image->names;
    for (size_t at = 0; at < names.size;
         at += std::strlen(reinterpret_cast<const char*>(names.data) + at) + 1) {
        const char* name = reinterpret_cast<const char*>(names.data) + at;
        if (name[0] != '_' || name[1] != 'Z') continue;
        const std::string want = theirs(name);
        if (want != "?") (ours(name) == want ? same : other)++;
    }
    images->free();
    std::printf("%d names like the runtime's, %d not\n", same, other);
    CHECK(same > 300);
    CHECK(other * 50 <= same);
}

TEST(what_is_no_name_or_too_long) {
    for (const char* name :
         {"", "_", "_Z", "main", "_Z3fo", "_Z99999999999999999999x", "_ZN", "_ZN1", "_ZNE", "_ZS_",
          "_Z1fIJJJ", "_ZZZZZZ", "_Z1fT_", "_Z1fS999_", "_Z1fIXT_", "_Z1fDp", "_Z1fDpDpDp", "_Z1fPPPP"})
        CHECK_EQ(ours(name), std::string("?"));
    std::string deep = "_Z1f" + std::string(100'000, 'P') + "i", wide = "_Z1f";
    for (int i = 0; i < 5000; ++i) wide += "St6vectorIiSaIiEE";
    CHECK_EQ(ours(deep.c_str()), std::string("?"));
    ours(wide.c_str());
    char out[8];
    CHECK(rt::demangle("_Z11quite_a_longname", out, sizeof out));
    CHECK_EQ(std::string(out), std::string("quite_a"));
}

// Cut short anywhere, and with any one byte changed: an answer or none, and no fault.
TEST(mutilated_names) {
    const std::string name =
        "_ZN4gort6detail13invoke_inlineINS0_4CallIZZ4mainENKUlvE_clEvEUlRKNS_4chanIiEEDpT_E0_"
        "JiSsEEEEEvPFvPvEDpOT_";
    std::string s = name;
    for (size_t i = 0; i < name.size(); ++i) {
        ours(name.substr(0, i).c_str());
        for (int c = 1; c < 128; ++c) {
            s[i] = static_cast<char>(c);
            ours(s.c_str());
        }
        s[i] = name[i];
    }
}

}  // namespace
