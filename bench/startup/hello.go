// hello.go - starts one goroutine, joins it and exits.
// SPDX-License-Identifier: BSD-2-Clause
package main

func main() {
	done := make(chan bool)
	go func() { done <- true }()
	<-done
}
