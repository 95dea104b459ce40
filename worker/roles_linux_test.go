package worker_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"prefork/ipc"
	"prefork/sockets"
	"prefork/worker"
)

// start is worker.Start behind what the shim does: it writes the pid of the
// process that it becomes.
func start() *worker.Worker {
	if os.Getenv("WORKER_TEST_WRONG_PID") == "" {
		if err := os.Setenv(ipc.EnvListenPID, fmt.Sprint(os.Getpid())); err != nil {
			fail(err)
		}
	}
	if n := os.Getenv("WORKER_TEST_NOFILE"); n != "" {
		var limit unix.Rlimit
		if _, err := fmt.Sscan(n, &limit.Cur); err != nil {
			fail(err)
		}
		limit.Max = limit.Cur
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
			fail(err)
		}
	}
	w, err := worker.Start()
	if err != nil {
		fail(err)
	}
	return w
}

func end(err error) {
	if err != nil {
		fail(err)
	}
}

// site is what the workers of the tests answer.
func site(w *worker.Worker) http.Handler {
	m := http.NewServeMux()
	m.HandleFunc("POST /echo", func(rw http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(rw, err.Error(), http.StatusBadRequest)
			return
		}
		_, _ = rw.Write(b)
	})
	m.HandleFunc("GET /who", func(rw http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprint(rw, w.Slot())
	})
	// Goes on until the request's body has ended: the client decides how long.
	m.HandleFunc("POST /hold", func(rw http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(os.Stdout, "held\n")
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(rw, "held")
	})
	m.HandleFunc("GET /events", func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "text/event-stream")
		rc := http.NewResponseController(rw)
		_, _ = io.WriteString(rw, "data: first\n\n")
		_ = rc.Flush()
		<-w.Draining()
		_, _ = io.WriteString(rw, "data: last\n\n")
	})
	m.HandleFunc("GET /panic", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	// A line of the body becomes a line of the answer, at once.
	m.HandleFunc("POST /lines", func(rw http.ResponseWriter, r *http.Request) {
		rc := http.NewResponseController(rw)
		if r.ProtoMajor == 1 {
			end(rc.EnableFullDuplex())
		}
		end(rc.Flush())
		for in := bufio.NewReader(r.Body); ; {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			_, _ = io.WriteString(rw, line)
			end(rc.Flush())
		}
	})
	m.HandleFunc("GET /file", func(rw http.ResponseWriter, r *http.Request) { http.ServeFile(rw, r, os.Args[0]) })
	m.HandleFunc("GET /hijack", func(rw http.ResponseWriter, _ *http.Request) {
		c, b, err := http.NewResponseController(rw).Hijack()
		if err != nil {
			fail(err)
		}
		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		for {
			line, err := b.ReadString('\n')
			if err != nil {
				_ = c.Close()
				return
			}
			_, _ = io.WriteString(c, line)
		}
	})
	return m
}

var serveRole = role("serve", func() {
	w := start()
	end(w.Serve(site(w)))
})

// facts are what a worker sees of itself after Start.
type facts struct {
	Slot, Workers, Procs int
	Generation           uint64
	Left                 []string // variables of the contract that are still there
	Name                 string
	Named                bool
	Leaked               []string // descriptors of a program that the worker starts
}

// hasty is how long the role "hasty" waits for a request's headers.
const hasty = time.Second

var hastyRole = role("hasty", func() {
	w := start()
	end(w.ServeServer(&http.Server{Handler: site(w), ReadHeaderTimeout: hasty}))
})

var factsRole = role("facts", func() {
	w := start()
	f := facts{Slot: w.Slot(), Workers: w.Workers(), Generation: w.Generation(), Procs: runtime.GOMAXPROCS(0)}
	for _, v := range os.Environ() {
		if strings.HasPrefix(v, "PREFORK_") || strings.HasPrefix(v, "LISTEN_") || strings.HasPrefix(v, "NOTIFY_") {
			f.Left = append(f.Left, v)
		}
	}
	for name := range w.Listeners() {
		f.Name = name
	}
	f.Named = w.ListenerNamed("web") == w.Listener()
	list, err := exec.Command("sh", "-c", "ls /proc/$$/fd").Output()
	if err != nil {
		fail(err)
	}
	f.Leaked = strings.Fields(string(list))
	end(json.NewEncoder(os.Stdout).Encode(f))
})

var otherRole = role("other", func() {
	w := start()
	w.OnDrain(func(context.Context) error {
		fmt.Println("ended")
		return nil
	})
	go func() {
		for {
			c, err := w.Listener().Accept()
			if err != nil {
				fmt.Println("accept:", err)
				return
			}
			go func() {
				_, _ = io.Copy(c, c)
				_ = c.Close()
			}()
		}
	}()
	if err := w.Ready(); err != nil {
		fail(err)
	}
	end(w.Wait())
})

// fullRole has a server that accepts one connection and asks for no more.
var fullRole = role("full", func() {
	w := start()
	w.OnDrain(func(context.Context) error {
		fmt.Println("ended")
		return nil
	})
	if err := w.Ready(); err != nil {
		fail(err)
	}
	c, err := w.Listener().Accept()
	if err != nil {
		fail(err)
	}
	_, _ = io.Copy(c, c)
	_ = c.Close()
	end(w.Wait())
})

var selfRole = role("leaves", func() {
	w := start()
	http.HandleFunc("/leave", func(http.ResponseWriter, *http.Request) { go w.Stop() })
	end(w.Serve(nil))
})

var noisyRole = role("noisy", func() {
	w := start()
	go func() {
		<-w.Draining()
		// More than the pipe takes: without a reader this would wait for ever.
		for range 64 {
			fmt.Fprint(os.Stderr, strings.Repeat("n", 4095)+"\n")
		}
		fmt.Fprintln(os.Stderr, "the last line")
	}()
	end(w.Serve(site(w)))
})

var narrowRole = role("narrow", func() {
	w := start()
	// Lower than what Start saw: accept meets EMFILE in spite of the limit.
	d, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		fail(err)
	}
	n := uint64(len(d) + 6)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: n, Max: n}); err != nil {
		fail(err)
	}
	end(w.Serve(site(w)))
})

var tlsRole = role("tls", func() {
	w := start()
	cert, err := certificate()
	if err != nil {
		fail(err)
	}
	end(w.ServeServer(&http.Server{Handler: site(w), TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}}}))
})

func certificate() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}

// stalled is first in the queue and accepts one connection, no more: the next
// wake-up is its, too.
var stalledRole = role("stalled", func() {
	if err := unix.SetNonblock(0, true); err != nil {
		fail(err)
	}
	l, err := sockets.Accept(ipc.ListenFDStart, sockets.AcceptOptions{Strategy: sockets.Exclusive})
	if err != nil {
		fail(err)
	}
	fmt.Println("accepts")
	c, err := l.Accept()
	if err != nil {
		fail(err)
	}
	_ = c.Close()
	fmt.Println("stalled")
	// A goroutine in the runtime's poller keeps a thread in its epoll.
	_, _ = os.NewFile(0, "stdin").Read(make([]byte, 1))
})

var aloneRole = role("alone", func() {
	worker.Alone = "127.0.0.1:0"
	w, err := worker.Start()
	if err != nil {
		fail(err)
	}
	s := w.Store()
	if w.Store() != s {
		fail(errors.New("there are two stores"))
	}
	fmt.Println(w.Listener().Addr())
	end(w.Serve(site(w)))
})
