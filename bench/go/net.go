// echo and http: a goroutine per connection, loaded by gortbench's epoll client from a process of its own.
// SPDX-License-Identifier: BSD-2-Clause
package main

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
)

// The client is a mode of the C++ programs: $GORTBENCH, or gortbench or posixbench beside this program or one above.
func clientProgram(r *run) string {
	self, _ := os.Executable()
	dir := filepath.Dir(self)
	for _, path := range []string{os.Getenv("GORTBENCH"), dir + "/gortbench", dir + "/posixbench",
		dir + "/../gortbench"} {
		if info, err := os.Stat(path); path != "" && err == nil && !info.IsDir() {
			return path
		}
	}
	r.check(false, "no gortbench to load the server with; set GORTBENCH")
	return ""
}

func load(r *run, metric, kind string, size int, address net.Addr) {
	client := clientProgram(r)
	s := series{metric: metric, unit: "/s", higher: true, note: "load=epoll"}
	if _, err := exec.LookPath("wrk"); err == nil && kind == "http" {
		s.note = "load=wrk"
	}
	_, port, _ := net.SplitHostPort(address.String())
	wall, cpu, total := 0.0, 0.0, 0.0
	for i := 0; i < r.reps; i++ {
		var out []byte
		var err error
		took, used := timeOf(func() {
			cmd := exec.Command(client, "--client", kind, port, "64", fmt.Sprint(size), fmt.Sprint(r.ms))
			cmd.Stderr = os.Stderr
			out, err = cmd.Output()
		})
		r.check(err == nil, "the client failed")
		var ops, ns float64
		fmt.Sscan(string(out), &ops, &ns)
		r.check(ops > 0, "the client counted nothing")
		s.values = append(s.values, ops*1e9/ns)
		s.n = uint64(ops)
		wall += took
		cpu += used
		total += ops
	}
	s.cpu = cpu / wall
	s.note += fmt.Sprintf(" cpu_us=%.2f", cpu/total/1e3)
	r.emit(s)
}

func serve(r *run, each func(net.Conn)) net.Addr {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	r.check(err == nil, "cannot listen")
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go each(conn)
		}
	}()
	return listener.Addr()
}

func benchEcho(r *run) {
	size := int(r.sizeOr(64))
	address := serve(r, func(conn net.Conn) {
		buf := make([]byte, 4096)
		for {
			n, err := conn.Read(buf)
			if err != nil {
				break
			}
			if _, err = conn.Write(buf[:n]); err != nil {
				break
			}
		}
		conn.Close()
	})
	load(r, "roundtrips", "echo", size, address)
}

var hello = []byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, World!")

// A minimal server on raw connections; net/http's beside it, because that is what people use.
func benchHTTP(r *run) {
	end := []byte("\r\n\r\n")
	raw := serve(r, func(conn net.Conn) {
		buf := make([]byte, 4096)
		have := 0
	serving:
		for {
			n, err := conn.Read(buf[have:])
			if err != nil {
				break
			}
			have += n
			for {
				at := bytes.Index(buf[:have], end)
				if at < 0 {
					break
				}
				have = copy(buf, buf[at+4:have])
				if _, err := conn.Write(hello); err != nil {
					break serving
				}
			}
			if have == len(buf) {
				break
			}
		}
		conn.Close()
	})
	load(r, "requests", "http", 0, raw)

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	r.check(err == nil, "cannot listen")
	go http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		w.Write([]byte("Hello, World!"))
	}))
	load(r, "requests_nethttp", "http", 0, listener.Addr())
}
