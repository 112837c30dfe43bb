// rt/own/wait_reason.h - why a goroutine waits, in the words of Go's tracebacks.
// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "rt/own/g.h"

namespace gort::rt {

// Here and constexpr for the table that gdb reads (rt/trace/gdb_table.cc); all others call wait_reason_text.
constexpr const char* wait_reason_name(WaitReason why) {
    // A switch and no table: an array of pointers would need relocations, and the compiler says which one is missing.
    switch (why) {
    case WaitReason::kNone: return "waiting";
    case WaitReason::kChanReceive: return "chan receive";
    case WaitReason::kChanSend: return "chan send";
    case WaitReason::kChanReceiveNil: return "chan receive (nil chan)";
    case WaitReason::kChanSendNil: return "chan send (nil chan)";
    case WaitReason::kSelect: return "select";
    case WaitReason::kSelectNoCases: return "select (no cases)";
    case WaitReason::kSleep: return "sleep";
    case WaitReason::kIoWait: return "IO wait";
    case WaitReason::kSemacquire: return "semacquire";
    case WaitReason::kCondWait: return "sync.Cond.Wait";
    case WaitReason::kMutexLock: return "sync.Mutex.Lock";
    case WaitReason::kRwMutexRLock: return "sync.RWMutex.RLock";
    case WaitReason::kRwMutexLock: return "sync.RWMutex.Lock";
    case WaitReason::kLatchWait: return "latch wait";
    case WaitReason::kBarrierWait: return "barrier wait";
    case WaitReason::kFutureWait: return "future wait";
    case WaitReason::kWaitGroupWait: return "sync.WaitGroup.Wait";
    case WaitReason::kPark: return "park";
    case WaitReason::kCount: break;
    }
    return "waiting";
}

}  // namespace gort::rt
