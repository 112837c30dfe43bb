// rt/sched/unload.h - when the shared object that holds gort is unloaded: what the process was given is taken back.
// SPDX-License-Identifier: BSD-2-Clause
//
// A plugin that is linked with libgort.a has a runtime of its own, and dlclose takes that out of a process that
// goes on. As the last of the object's destructors unload() ends a run of start()'s, waits until no thread of ours
// is left, and gives back signal handlers, the terminate handler, the key that tells of ending threads, descriptors
// and memory. Threads that called in are forgotten; their goroutine_locals are destroyed here.
// A goroutine of an earlier run that is still in user code would go on where nothing is mapped any more: an end of
// a run that leaves such a one behind makes the object stay loaded (host_stay_loaded).
// When the process exits nothing of this happens: other threads may still be in here.
// Context: the thread that calls dlclose; no other may use gort meanwhile, as with any shared object.
#pragma once

namespace gort::rt {

void unload();
bool unloading();           // asked by destructors: the object goes, and the process stays
void detach_all_foreign();  // enter.cc
void watch_process();       // fork.cc: for forks and for that; once for each process, again does nothing

}  // namespace gort::rt
